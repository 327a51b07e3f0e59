"""A tab with too many unanswered requests is not read from until half of them are answered."""

import threading

import pytest

from realtime_kv.app import create_app
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from realtime_kv.realtime.gateway import UNANSWERED
from tests.live_server import DEADLINE, PASSWORD
from tests.realtime.tools import eventually


@pytest.fixture
def app(tmp_path):
    runtime = ThreadedRuntime()
    app = create_app(Config(data_dir=tmp_path, rate_limits=False), runtime)
    yield app
    app.extensions["realtime_kv"].stop()
    runtime.stop()


def test_busy_tab_is_read_again_once_half_of_its_requests_are_answered(app, monkeypatch):
    services = app.extensions["realtime_kv"]
    sign_up = {"username": "alice", "password": PASSWORD, "token": True}
    token = app.test_client().post("/api/v1/sign_up", json=sign_up).json["token"]
    tab = socketio.test_client(app, auth={"token": token})
    gateway, resumed, busy = services.gateway, [], []
    (sid,) = gateway._tabs
    monkeypatch.setattr(gateway._engine, "resume", lambda sid: resumed.append(gateway._tabs[sid].unanswered))
    opened = threading.Event()
    for n in range(len(services.store.readers.threads)):
        services.store.readers.submit(lambda _: opened.wait(DEADLINE), Client(f"gate {n}"))

    def ask():
        for _ in range(UNANSWERED):
            busy.append(gateway.busy(sid))
            gateway.receive(sid, None, b'["get",{"key":"k"}]')
        busy.append(gateway.busy(sid))

    services.runtime.deliver(ask)
    assert eventually(lambda: len(busy) == UNANSWERED + 1)
    assert busy == [False] * UNANSWERED + [True]
    opened.set()
    assert eventually(lambda: gateway._tabs[sid].unanswered == 0)
    # once, although half of the answers came after that
    assert resumed == [UNANSWERED // 2] and not gateway.busy(sid)
    tab.disconnect()
