"""Waiting for an answer ends when the client has disconnected."""

import socket
import threading

import pytest

from realtime_kv import services
from realtime_kv.app import create_app
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import Future, ThreadedRuntime
from realtime_kv.config import Config
from realtime_kv.errors import NotFound, Unauthenticated, Unavailable
from realtime_kv.request import authentication
from realtime_kv.server.http_server import has_hung_up
from realtime_kv.web.http import login
from tests.web.conftest import PASSWORD


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_disconnect_detection_reports_only_closed_peers_and_consumes_no_data(pair):
    ours, theirs = pair
    assert not has_hung_up(ours)
    theirs.send(b"next")
    assert not has_hung_up(ours)
    assert ours.recv(9) == b"next"
    theirs.close()
    assert has_hung_up(ours)


@pytest.fixture
def app(tmp_path):
    runtime = ThreadedRuntime()
    app = create_app(Config(data_dir=tmp_path), runtime)
    yield app
    app.extensions["realtime_kv"].stop()
    runtime.stop()


def test_a_wait_ends_when_the_client_disconnects(app, pair):
    ours, theirs = pair
    with app.test_request_context(environ_overrides={authentication.HUNG_UP: lambda: has_hung_up(ours)}):
        done, failed, never = Future(), Future(), Future()
        done.resolve(7)
        failed.fail(NotFound("no"))
        assert services.wait(done) == 7
        with pytest.raises(NotFound):
            services.wait(failed)
        with pytest.raises(Unavailable, match="cannot answer"):
            # the client is connected: the time has run out
            services.wait(never, seconds=services.LOOK_SECONDS * 2)
        theirs.close()
        with pytest.raises(Unavailable, match="has closed"):
            services.wait(never)


def test_a_request_records_its_user_unless_the_lookup_did_not_finish(app, monkeypatch):
    who = {"username": "Alice", "password": PASSWORD, "token": True}
    answer = app.test_client().post("/api/v1/sign_up", json=who).json
    with app.test_request_context() as context:
        user_id = login.look_up(answer["token"], "bearer").user_id
        assert context.request.environ[authentication.RECOGNISED] == (answer["token"], user_id)
    with app.test_request_context() as context:
        with pytest.raises(Unauthenticated):
            login.look_up(answer["token"][:-1] + "-", "bearer")
        assert context.request.environ[authentication.RECOGNISED] == authentication.NOBODY
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.0)
    with app.test_request_context(environ_overrides={authentication.HUNG_UP: lambda: True}) as context:
        with pytest.raises(Unavailable):
            login.look_up(answer["token"], "bearer")
        assert authentication.RECOGNISED not in context.request.environ


@pytest.mark.parametrize("begun", [True, False])
def test_an_abandoned_export_no_longer_counts_toward_the_limit(app, begun):
    parts = app.extensions["realtime_kv"]
    runtime, transfer = parts.runtime, parts.transfer
    token = runtime.wait(parts.accounts.access.sign_up("alice", "correct horse 42 battery", as_token=True), 30).token
    hold, ended, asked_for = threading.Event(), threading.Event(), []
    settle, export = transfer.settle, transfer.export

    def slowly(user_id):
        assert hold.wait(30)
        settle(user_id)

    def watched(*arguments):
        asked_for.append(export(*arguments))
        return asked_for[-1]

    # an export's progress is not visible from outside
    transfer.settle, transfer.export = slowly, watched
    others = [] if begun else [transfer._exporters.submit(lambda _: hold.wait(30), Client(n)) for n in range(2)]
    client = app.test_client()
    environ = {authentication.HUNG_UP: lambda: bool(asked_for)}
    answer = client.get("/api/v1/export", headers={"Authorization": f"Bearer {token}"}, environ_overrides=environ)
    assert answer.status_code == 503
    hold.set()
    runtime.deliver(lambda: asked_for[0].then(lambda _: ended.set()))
    assert ended.wait(30)
    assert asked_for[0].failed is not begun
    for other in others:
        runtime.wait(other, 30)
    assert transfer._exports.total() == 0
