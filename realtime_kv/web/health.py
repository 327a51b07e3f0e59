"""Health checks: `/healthz` (alive), `/readyz` (can serve users and write), `/metrics` (Prometheus text)."""

import time
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, update

from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.backend import BackendReader
from realtime_kv.errors import Refusal, Unavailable
from realtime_kv.services import Services, services, wait
from realtime_kv.storage.models import Meta

health = Blueprint("health", __name__)

_TIMEOUT_SECONDS = 5.0
# a monitor asks every few seconds; a client that asks more often gets the last answer, not another fsync
_FRESH = 1.0


@health.get("/healthz")
def healthz() -> Response:
    """Report that the process is alive, without the database or the disk."""
    return _text("ok")


@health.get("/readyz")
def readyz() -> Response:
    """Report readiness: session lookup, reads of spaces and a durable write just worked, and the disk has free space.

    The probes wait in the same queues as users, so the check fails when users cannot be served.
    """
    try:
        for probe in _probes_of(services()):
            wait(probe, _TIMEOUT_SECONDS)
        services().store.reserve.check()
    except Refusal as refusal:
        return _text(refusal.message, Unavailable.status)
    return _text("ready")


@health.get("/metrics")
def metrics() -> Response:
    """Return figures of this process; no label contains a user or a key."""
    registry = CollectorRegistry()
    registry.register(_Figures(services()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        # with several workers, whichever has accepted the connection answers
        number = self._services.worker
        labels, worker = ([], []) if number is None else (["worker"], [str(number)])
        for name, value in self._services.metrics().items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(f"rkv_{name}", name.removesuffix("_total").replace("_", " ").capitalize(), labels=labels)
            family.add_metric(worker, value)
            yield family
        limits = CounterMetricFamily(
            "rkv_limits_reached", "Refusals and disconnections by limit", labels=["limit", *labels]
        )
        for name, count in sorted(self._services.limit_log.totals().items()):
            limits.add_metric([name, *worker], count)
        yield limits


Probes = list[Future[Any]]

# the last probes of each running app, and when they were sent
_sent: "WeakKeyDictionary[Services, tuple[float, Probes]]" = WeakKeyDictionary()
# queues like any other client
_PROBE = Client("probe")


def _probes_of(services: Services) -> Probes:
    now = time.monotonic()
    at, probes = _sent.get(services, (now - _FRESH, Probes()))
    if not probes or (all(probe.done for probe in probes) and now - at >= _FRESH):
        store = services.store
        probes = [
            store.identity.submit(_look, _PROBE, kind="probe", expected_ms=0.2),
            store.readers.submit(_look, _PROBE, kind="probe", expected_ms=0.2),
            store.writer.run_in_shared_transaction(_touch, _PROBE),
        ]
        _sent[services] = (now, probes)
    return probes


def _look(reader: BackendReader) -> None:
    reader.epoch()


def _touch(connection: Connection) -> None:
    connection.execute(update(Meta).where(Meta.name == "epoch").values(value=Meta.value))


def _text(words: str, status: int = 200) -> Response:
    return Response(f"{words}\n", status, mimetype="text/plain")
