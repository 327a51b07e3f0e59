"""How the house is doing: `/healthz` (alive), `/readyz` (can write), `/metrics` (Prometheus text)."""

import time
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, update

from realtime_kv.core.errors import Unavailable
from realtime_kv.core.models import Meta
from realtime_kv.core.runtime import Future
from realtime_kv.web.house import House, house, wait

health = Blueprint("health", __name__)

_PATIENCE = 5.0
# whoever watches us asks every few seconds; whoever asks more often gets the last answer, not another fsync
_FRESH = 1.0


@health.get("/healthz")
def healthz() -> Response:
    """Alive: no database, no disk."""
    return _text("ok")


@health.get("/readyz")
def readyz() -> Response:
    """Ready: a write has just reached the disk, and there is room for more."""
    try:
        wait(_probe(house()), _PATIENCE)
        house().store.reserve.check()
    except Unavailable as refusal:
        return _text(refusal.message, refusal.status)
    return _text("ready")


@health.get("/metrics")
def metrics() -> Response:
    """Figures about the whole house; no user and no key in a label."""
    registry = CollectorRegistry()
    registry.register(_Figures(house()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        for name, value in self._house.metrics().items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"rkv_{name}", name.removesuffix("_total").replace("_", " ").capitalize(), value)


# the last probe of each house, and when it was sent
_probes: "WeakKeyDictionary[House, tuple[float, Future[None]]]" = WeakKeyDictionary()


def _probe(house: House) -> Future[None]:
    now = time.monotonic()
    sent, probe = _probes.get(house, (now - _FRESH, None))
    if probe is None or (probe.done and now - sent >= _FRESH):
        probe = house.store.writer.run(_touch)
        _probes[house] = (now, probe)
    return probe


def _touch(connection: Connection) -> None:
    connection.execute(update(Meta).where(Meta.name == "epoch").values(value=Meta.value))


def _text(words: str, status: int = 200) -> Response:
    return Response(f"{words}\n", status, mimetype="text/plain")
