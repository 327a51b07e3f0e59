"""Reads still queued when their tab or stream closes: they have no recipient, so they are dropped."""

import threading

import pytest

from realtime_kv import metrics_history
from realtime_kv.app import create_app
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from tests.live_server import DEADLINE, PASSWORD
from tests.realtime.test_sse_timing import Wire
from tests.realtime.tools import eventually


@pytest.fixture
def app(tmp_path, monkeypatch):
    # the metrics for the diagnostics page are reads as well
    monkeypatch.setattr(metrics_history, "SECONDS", 3600)
    runtime = ThreadedRuntime()
    app = create_app(Config(data_dir=tmp_path, rate_limits=False), runtime)
    yield app
    app.extensions["realtime_kv"].stop()
    runtime.stop()


@pytest.fixture
def token(app):
    sign_up = {"username": "alice", "password": PASSWORD, "token": True}
    return app.test_client().post("/api/v1/sign_up", json=sign_up).json["token"]


@pytest.fixture
def readers(app):
    """Block all reader threads."""
    readers, opened, entered = app.extensions["realtime_kv"].store.readers, threading.Event(), []
    for n in range(len(readers.threads)):
        entered.append(threading.Event())
        readers.submit(lambda _, n=n: (entered[n].set(), opened.wait(DEADLINE)), Client(f"gate {n}"))
    assert all(event.wait(DEADLINE) for event in entered)
    yield readers
    opened.set()


def test_queued_reads_of_a_closed_tab_are_dropped_and_those_of_others_are_kept(app, token, readers):
    tab, other = (socketio.test_client(app, auth={"token": token}) for _ in range(2))
    for one in (tab, other):
        for _ in range(3):
            one.emit("history", {})
    assert eventually(lambda: readers.waiting == 6)
    tab.disconnect()
    assert readers.waiting == 3


def test_queued_reads_of_a_closed_stream_are_dropped(app, token, readers):
    services = app.extensions["realtime_kv"]
    caller = services.runtime.wait(services.accounts.caller(token, "http", presented="bearer"), DEADLINE)
    stream = services.streams.open(caller, "192.0.2.7", None, None, services.streams.endings)
    services.runtime.deliver(lambda: stream.begin(Wire()))
    assert eventually(lambda: readers.waiting == 1)
    stream.on_end()
    assert readers.waiting == 0
