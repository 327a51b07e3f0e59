"""Waiting for an answer: it ends when the client has gone."""

import socket

import pytest

from realtime_kv.accounts import door
from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.core.errors import NotFound, Unauthenticated, Unavailable
from realtime_kv.core.runtime import Future, Threads
from realtime_kv.server.http import has_hung_up
from realtime_kv.web import house, sessions
from tests.web.conftest import PASSWORD


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_peer_that_is_there_is_not_taken_for_gone_and_nothing_is_read(pair):
    ours, theirs = pair
    assert not has_hung_up(ours)
    theirs.send(b"next")
    assert not has_hung_up(ours)
    assert ours.recv(9) == b"next"
    theirs.close()
    assert has_hung_up(ours)


@pytest.fixture
def app(tmp_path):
    runtime = Threads()
    app = create_app(Config(data_dir=tmp_path), runtime)
    yield app
    app.extensions["realtime_kv"].stop()
    runtime.stop()


def test_a_wait_ends_when_the_client_has_gone(app, pair):
    ours, theirs = pair
    with app.test_request_context(environ_overrides={door.HUNG_UP: lambda: has_hung_up(ours)}):
        done, failed, never = Future(), Future(), Future()
        done.resolve(7)
        failed.fail(NotFound("no"))
        assert house.wait(done) == 7
        with pytest.raises(NotFound):
            house.wait(failed)
        with pytest.raises(Unavailable, match="cannot answer"):
            # the client is there: it is the time that has run out
            house.wait(never, seconds=house.LOOK_SECONDS * 2)
        theirs.close()
        with pytest.raises(Unavailable, match="has closed"):
            house.wait(never)


def test_a_request_says_whose_it_is_and_nothing_where_that_could_not_be_found_out(app, monkeypatch):
    who = {"username": "Alice", "password": PASSWORD, "token": True}
    answer = app.test_client().post("/api/v1/sign_up", json=who).json
    with app.test_request_context() as context:
        user_id = sessions.look_up(answer["token"], "bearer").user_id
        assert context.request.environ[door.RECOGNISED] == (answer["token"], user_id)
    with app.test_request_context() as context:
        with pytest.raises(Unauthenticated):
            sessions.look_up(answer["token"][:-1] + "-", "bearer")
        assert context.request.environ[door.RECOGNISED] == door.NOBODY
    monkeypatch.setattr(house, "LOOK_SECONDS", 0.0)
    with app.test_request_context(environ_overrides={door.HUNG_UP: lambda: True}) as context:
        with pytest.raises(Unavailable):
            sessions.look_up(answer["token"], "bearer")
        assert door.RECOGNISED not in context.request.environ
