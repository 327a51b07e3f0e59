"""The limits of one user, over sockets and over HTTP; without limits when they are off."""

import pytest
from socketio import Client
from socketio.exceptions import ConnectionError

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.core.domain.cost import BYTES_PER_UNIT
from realtime_kv.extensions import socketio
from tests.live_server import DEADLINE, PASSWORD, Server

ALLOWED = 100  # ten seconds' worth


@pytest.fixture
def open_app(tmp_path):
    apps = []

    def open_app(**settings):
        settings = {"verbs_per_second": ALLOWED // 10, "connections_per_user": 3, **settings}
        app = create_app(Config(data_dir=tmp_path, **settings))
        apps.append(app)
        if rates := app.extensions["realtime_kv"].accounts.rates:
            # time stands still: otherwise a verb paid back during the calls would be admitted
            rates.clock = lambda: 0
        return app

    yield open_app
    for app in apps:
        app.extensions["realtime_kv"].stop()


def sign_up(app, username):
    browser = app.test_client()
    assert browser.post("/api/v1/sign_up", json={"username": username, "password": PASSWORD}).status_code == 201
    return browser


def call(tab, verb, **payload):
    return tab.emit(verb, payload, callback=True)


def test_verb_limit_covers_sockets_and_http_and_returns_retry_after(open_app):
    app = open_app()
    browser = sign_up(app, "alice")
    tab = socketio.test_client(app, flask_test_client=browser)
    answers = [call(tab, "get", key="k") for _ in range(ALLOWED)]
    assert {answer["error"]["code"] for answer in answers} == {"not_found"}
    error = call(tab, "get", key="k")["error"]
    assert (error["code"], error["retry_after"]) == ("rate_limited", 1)
    assert call(tab, "set", key="k", value=1)["error"]["code"] == "rate_limited"
    answer = browser.post("/api/v1/set", json={"key": "k", "value": 1})
    assert (answer.status_code, answer.json["code"], answer.json["retry_after"]) == (429, "rate_limited", 1)
    assert answer.headers["Retry-After"] == "1"
    # another user's budget is separate
    assert call(socketio.test_client(app, flask_test_client=sign_up(app, "charlie")), "set", key="k", value=1)["ok"]


def test_a_batch_counts_as_many_verbs_as_it_has_ops(open_app):
    app = open_app()
    tab = socketio.test_client(app, flask_test_client=sign_up(app, "alice"))
    ops = [{"op": "set", "key": f"{n}", "value": n} for n in range(ALLOWED)]
    assert call(tab, "batch", ops=ops)["ok"]
    assert call(tab, "get", key="0")["error"]["code"] == "rate_limited"


def test_invalid_verbs_over_a_socket_count_towards_the_limit(open_app):
    app = open_app()
    tab = socketio.test_client(app, flask_test_client=sign_up(app, "alice"))
    codes = [call(tab, verb, key=5)["error"]["code"] for verb in ["get", "nothing"] * (ALLOWED // 2)]
    assert set(codes) == {"bad_request"}
    assert call(tab, "nothing")["error"]["code"] == "rate_limited"


def test_bytes_of_valid_and_invalid_requests_count_towards_the_limit(open_app):
    """The server reads one value far over the limit in the same time as many small ones."""
    app = open_app()
    tab = socketio.test_client(app, flask_test_client=sign_up(app, "alice"))
    large = "x" * (BYTES_PER_UNIT * ALLOWED // 2)
    assert call(tab, "set", key="k", value=large)["error"]["code"] == "too_large"
    assert call(tab, "nothing", value=large)["error"]["code"] == "rate_limited"


def test_invalid_requests_over_http_count_towards_the_limit(open_app):
    app = open_app()
    browser = sign_up(app, "alice")
    answers = [browser.post("/api/v1/set", json={"key": 5}).json["code"] for _ in range(ALLOWED // 2)]
    answers += [browser.get("/api/v1/get?no=field").json["code"] for _ in range(ALLOWED // 2)]
    assert set(answers) == {"bad_request"}
    assert browser.post("/api/v1/set", json={"key": 5}).json["code"] == "rate_limited"


def test_excess_tab_is_refused_until_another_one_closes(open_app):
    app = open_app()
    browser = sign_up(app, "alice")
    tabs = [socketio.test_client(app, flask_test_client=browser) for _ in range(3)]
    assert all(tab.is_connected() for tab in tabs)
    assert not socketio.test_client(app, flask_test_client=browser).is_connected()
    assert socketio.test_client(app, flask_test_client=sign_up(app, "charlie")).is_connected()
    tabs[0].disconnect()
    assert socketio.test_client(app, flask_test_client=browser).is_connected()


def test_disabled_limits_restrict_neither_tabs_nor_verbs(open_app):
    app = open_app(rate_limits=False)
    browser = sign_up(app, "alice")
    tabs = [socketio.test_client(app, flask_test_client=browser) for _ in range(6)]
    assert all(tab.is_connected() for tab in tabs)
    assert all(call(tabs[0], "set", key="k", value=n)["ok"] for n in range(2 * ALLOWED))


def test_refusal_of_an_excess_tab_has_a_reason_and_a_retry_after(tmp_path):
    server = Server(tmp_path, RKV_RATE_LIMITS="on", RKV_CONNECTIONS_PER_USER="1").start()
    try:
        alice = server.sign_up("alice")
        alice.open_tab()
        heard = []
        client = Client(reconnection=False)
        client.on("connect_error", heard.append)
        with pytest.raises(ConnectionError):
            client.connect(server.url, auth={"token": alice.token}, wait_timeout=DEADLINE)
        assert heard[0]["message"] == "rate_limited"
        assert heard[0]["data"]["retry_after"] >= 1
        alice.close()
    finally:
        server.close()
