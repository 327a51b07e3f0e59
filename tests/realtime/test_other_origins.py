"""The origins that may open a socket, and the credentials that each may use."""

import pytest

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from tests.live_server import PASSWORD

OURS, PARTNER, STRANGER = "http://localhost", "https://app.example.com", "https://evil.example"


@pytest.fixture
def app(tmp_path):
    app = create_app(Config(data_dir=tmp_path, origins=(PARTNER,)))
    yield app
    app.extensions["realtime_kv"].stop()


@pytest.fixture
def browser(app):
    browser = app.test_client()
    browser.post("/api/v1/sign_up", json={"username": "alice", "password": PASSWORD})
    return browser


@pytest.fixture
def tokens(app, browser):
    """Return a session's token and an API token."""
    who = {"username": "alice", "password": PASSWORD, "token": True}
    return [
        app.test_client().post("/api/v1/sign_in", json=who).json["token"],
        browser.post("/api/v1/create_token", json={"name": "program"}).json["token"],
    ]


@pytest.mark.parametrize(("origin", "lets_in"), [(OURS, True), (PARTNER, True), (STRANGER, False), ("null", False)])
def test_a_token_opens_a_socket_on_allowed_origins_only(app, tokens, origin, lets_in):
    for token in tokens:
        tab = socketio.test_client(app, auth={"token": token}, headers={"Origin": origin})
        assert tab.is_connected() is lets_in


@pytest.mark.parametrize(("origin", "lets_in"), [(OURS, True), (PARTNER, False), (STRANGER, False)])
def test_the_cookie_opens_a_socket_on_our_own_origin_only(app, browser, origin, lets_in):
    tab = socketio.test_client(app, flask_test_client=browser, headers={"Origin": origin})
    assert tab.is_connected() is lets_in


def test_token_takes_precedence_over_the_cookie(app, browser, tokens):
    both = {"flask_test_client": browser, "headers": {"Origin": PARTNER}}
    assert socketio.test_client(app, auth={"token": tokens[0]}, **both).is_connected()
    assert not socketio.test_client(app, auth={"token": "rks_wrong"}, **both).is_connected()
