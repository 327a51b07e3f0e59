"""The Socket.IO gateway with Flask-SocketIO's own test client: no server, no threads, the same code."""

import pytest

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from realtime_kv.realtime.bookmarks import BOOKMARK_SHARES
from tests.running import PASSWORD


@pytest.fixture
def app(tmp_path):
    app = create_app(Config(data_dir=tmp_path, rate_limits=False))
    yield app
    app.extensions["realtime_kv"].stop()


@pytest.fixture
def sign_up(app):
    def sign_up(username):
        browser = app.test_client()
        answer = browser.post("/api/v1/sign_up", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201
        return browser

    return sign_up


@pytest.fixture
def open_tab(app):
    return lambda browser: socketio.test_client(app, flask_test_client=browser)


@pytest.fixture
def tab(sign_up, open_tab):
    return open_tab(sign_up("alice"))


def call(tab, verb, *arguments):
    return tab.emit(verb, *arguments, callback=True)


def changes(tab):
    return [event["args"][0] for event in tab.get_received() if event["name"] == "change"]


def test_set_reaches_every_tab_of_the_user_and_no_one_else(sign_up, open_tab):
    browser = sign_up("alice")
    first, second, stranger = open_tab(browser), open_tab(browser), open_tab(sign_up("charlie"))
    assert call(first, "set", {"key": "k", "value": {"a": [1, 2.5, None]}}) == {"ok": True, "revision": 1, "version": 1}
    assert call(second, "get", {"key": "k"})["entry"]["value"] == {"a": [1, 2.5, None]}
    assert [change["revision"] for change in changes(first)] == [1]
    assert [change["revision"] for change in changes(second)] == [1]
    assert changes(stranger) == []
    assert call(stranger, "get", {"key": "k"})["error"]["code"] == "not_found"


def test_a_tab_joins_its_users_room(sign_up, open_tab):
    browser = sign_up("alice")
    open_tab(browser)
    open_tab(browser)
    assert len(socketio.server.manager.rooms["/"]["user:1"]) == 2


def test_an_unauthenticated_client_cannot_open_a_socket(app):
    assert not socketio.test_client(app).is_connected()
    assert not socketio.test_client(app, auth={"token": "rks_nonsense"}).is_connected()


def test_sign_out_closes_only_the_sockets_of_that_session(app, sign_up, open_tab):
    browser = sign_up("alice")
    other = app.test_client()
    other.post("/api/v1/sign_in", json={"username": "alice", "password": PASSWORD})
    here, there = open_tab(browser), open_tab(other)
    assert browser.post("/api/v1/sign_out", json={}).status_code == 204
    assert not here.is_connected()
    assert there.is_connected()
    assert call(there, "set", {"key": "k", "value": 1})["ok"]


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("set", [], "bad_request"),
        ("set", [{"key": "k", "value": 1}, 2], "bad_request"),
        ("set", ["text"], "bad_request"),
        ("set", [{"key": "k"}], "bad_request"),
        ("set", [{"key": "k", "value": 1, "tll": 5}], "bad_request"),
        ("set", [{"key": 5, "value": 1}], "bad_request"),
        ("set", [{"key": "k", "value": 1, "op_id": ""}], "bad_request"),
        ("set", [{"key": "k", "value": 1, "op_id": "x" * 65}], "bad_request"),
        ("set", [{"key": "k", "value": 1, "if_revision": -1}], "bad_request"),
        ("set", [{"key": "k", "value": 1, "if_revision": None}], "bad_request"),
        ("set", [{"key": "", "value": 1}], "invalid_key"),
        ("set", [{"key": "a\nb", "value": 1}], "invalid_key"),
        ("set", [{"key": "x" * 513, "value": 1}], "invalid_key"),
        ("set", [{"key": "k", "value": 2**53}], "invalid_value"),
        ("set", [{"key": "k", "value": "x" * 65_535}], "too_large"),
        ("batch", [{"ops": []}], "bad_request"),
        ("batch", [{"ops": [{"op": "set", "key": "k"}]}], "bad_request"),
        ("batch", [{"ops": [{"op": "delete", "key": "k"}, {"op": "delete", "key": "k"}]}], "bad_request"),
        ("batch", [{"ops": [{"op": "delete", "key": f"{n}"} for n in range(129)]}], "too_large"),
        ("list", [{"limit": 0}], "bad_request"),
        ("list", [{"limit": 1001}], "bad_request"),
        ("sync", [{"next": "garbage"}], "bad_request"),
        ("sync", [{"next": "x", "since": 1}], "bad_request"),
        ("hystory", [{}], "bad_request"),
        ("connect", [{}], "bad_request"),
        ("disconnect", [{}], "bad_request"),
        ("message", [{}], "bad_request"),
    ],
)
def test_an_invalid_event_gets_an_error_and_the_connection_stays_open(tab, verb, arguments, code):
    answer = call(tab, verb, *arguments)
    assert answer["ok"] is False
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert call(tab, "set", {"key": "fine", "value": 1})["revision"] == 1


def test_an_error_in_a_batch_contains_the_index_of_the_op(tab):
    ops = [{"op": "set", "key": "a", "value": 1}, {"op": "set", "key": "b\n", "value": 1}]
    assert call(tab, "batch", {"ops": ops})["error"]["index"] == 1
    ops = [{"op": "set", "key": "a", "value": 1}, {"op": "set", "key": "b", "value": 1, "if_revision": 4}]
    error = call(tab, "batch", {"ops": ops})["error"]
    assert (error["code"], error["index"], error["entry"]) == ("conflict", 1, None)


def test_a_conflict_error_contains_the_current_entry(tab):
    call(tab, "set", {"key": "k", "value": {"a": 1}})
    error = call(tab, "set", {"key": "k", "value": 2, "if_revision": 0})["error"]
    assert error["entry"]["value"] == {"a": 1}
    assert error["entry"]["revision"] == 1


def test_an_event_without_a_callback_is_executed_and_not_acknowledged(tab):
    tab.emit("set", {"key": "k", "value": 1})
    assert tab.acks is None
    assert call(tab, "get", {"key": "k"})["entry"]["revision"] == 1


def test_the_change_comes_before_the_acknowledgement(app, tab):
    order = []
    received, tab.queue = tab.queue, _Recorder(order)
    answer = call(tab, "set", {"key": "k", "value": 1})
    assert answer["ok"]
    assert order == ["change"]
    tab.queue = received


class _Recorder(list):
    def __init__(self, order):
        super().__init__()
        self._order = order

    def append(self, event):
        self._order.append(event["name"])
        super().append(event)


def test_presence_is_sent_when_tabs_connect_and_disconnect(sign_up, open_tab):
    browser = sign_up("alice")
    first = open_tab(browser)
    call(first, "sync", {})
    second = open_tab(browser)
    counts = [len(e["args"][0]["tabs"]) for e in first.get_received() if e["name"] == "presence"]
    assert counts == [1, 2]
    second.disconnect()
    assert [len(e["args"][0]["tabs"]) for e in first.get_received() if e["name"] == "presence"] == [1]


def test_large_changes_are_sent_without_gaps_in_their_revisions(tab):
    for n in range(9):
        ops = [{"op": "set", "key": f"{n}/{m}", "value": "x" * 60_000} for m in range(2)]
        assert call(tab, "batch", {"ops": ops})["ok"]
    position = 0
    for change in changes(tab):
        assert change["from"] == position
        position = change["revision"]
    assert position == 9


def test_every_room_receives_one_bookmark_per_round_of_shares(app, sign_up, open_tab):
    tabs = [open_tab(sign_up(name)) for name in ("alice", "charlie", "zoe")]
    for number, tab in enumerate(tabs, 1):
        for n in range(number):
            call(tab, "set", {"key": f"{n}", "value": n})
        tab.get_received()
    gateway = app.extensions["realtime_kv"].gateway
    for _ in range(BOOKMARK_SHARES):
        gateway.bookmarks.send_slice()
    for number, tab in enumerate(tabs, 1):
        (bookmark,) = [event["args"][0] for event in tab.get_received() if event["name"] == "bookmark"]
        assert (bookmark["revision"], bookmark["keys"]) == (number, number)


def test_sessions_expire_when_idle_only_once_their_tabs_are_no_longer_seen(tmp_path):
    now = [1_800_000_000_000]
    app = create_app(Config(data_dir=tmp_path, session_idle_days=1), clock=lambda: now[0])
    services, hours = app.extensions["realtime_kv"], 60 * 60 * 1000
    browser = app.test_client()
    browser.post("/api/v1/sign_up", json={"username": "alice", "password": PASSWORD})
    tab = socketio.test_client(app, flask_test_client=browser)
    for _ in range(3):
        now[0] += 20 * hours
        services.gateway.touch_sessions()
        services.accounts.flush_last_seen()
    services.accounts.end_expired()
    assert call(tab, "list", {})["ok"]
    assert tab.is_connected()
    ended = []
    services.accounts.watch(ended.append)
    now[0] += 24 * hours
    services.accounts.end_expired()
    assert [end.reason for end in ended] == ["expired"]
    assert not tab.is_connected()
    services.stop()
