"""Tabs with a token limited to a prefix: they receive every change to their keys, and nothing of other keys."""

import json

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from realtime_kv.realtime.bookmarks import BOOKMARK_SHARES
from tests.robustness.replica import Replica
from tests.running import DEADLINE, PASSWORD, Account, fresh_name


@pytest.fixture
def app(tmp_path):
    app = create_app(Config(data_dir=tmp_path, rate_limits=False))
    yield app
    app.extensions["realtime_kv"].stop()


class Home:
    """A user with a tab of the browser, and tabs of programs with tokens."""

    def __init__(self, app, username):
        self.app = app
        self.browser = app.test_client()
        assert (
            self.browser.post("/api/v1/sign_up", json={"username": username, "password": PASSWORD}).status_code == 201
        )
        self.tab = socketio.test_client(app, flask_test_client=self.browser)

    def create_token(self, **details):
        answer = self.browser.post("/api/v1/create_token", json={"name": "program", **details})
        assert answer.status_code == 201
        return answer.json["token"]

    def open(self, token):
        return socketio.test_client(self.app, auth={"token": token})

    def open_limited(self, prefix, **details):
        return self.open(self.create_token(prefix=prefix, **details))


@pytest.fixture
def alice(app):
    return Home(app, "alice")


def call(tab, verb, **payload):
    return tab.emit(verb, payload, callback=True)


def heard(tab, name):
    return [event["args"][0] for event in tab.get_received() if event["name"] == name]


def set_all(tab, *keys):
    for key in keys:
        assert call(tab, "set", key=key, value=key)["ok"]


def test_a_limited_tab_receives_only_the_ops_on_its_keys(alice):
    limited = alice.open_limited("a/")
    call(limited, "sync")
    ops = [{"op": "set", "key": key, "value": 1} for key in ("a/x", "b", "a/y")]
    call(alice.tab, "batch", ops=ops)
    (change,) = heard(limited, "change")
    assert [[op["key"] for op in write["ops"]] for write in change["writes"]] == [["a/x", "a/y"]]
    (whole,) = heard(alice.tab, "change")
    assert change["writes"][0] == {
        **whole["writes"][0],
        "ops": [op for op in whole["writes"][0]["ops"] if op["key"] != "b"],
    }


def test_changes_of_other_keys_are_not_sent_and_from_is_the_last_sent_revision(alice):
    limited = alice.open_limited("a/")
    set_all(alice.tab, "b", "a/before")
    limited.get_received()
    assert call(limited, "sync")["revision"] == 2
    set_all(alice.tab, "b", "a/x", "b", "c")
    call(alice.tab, "delete", key="b")
    set_all(alice.tab, "a/x")
    assert [(change["from"], change["revision"]) for change in heard(limited, "change")] == [(2, 4), (4, 8)]


def test_values_that_look_like_a_key_under_the_prefix_do_not_match(alice):
    limited = alice.open_limited("a/")
    call(limited, "sync")
    for value in ({"key": "a/x"}, '"key":"a/x', [{"op": "set", "key": "a/x", "value": 1}]):
        call(alice.tab, "set", key="b", value=value)
    assert heard(limited, "change") == []


@pytest.mark.parametrize("prefix", ['"', "\\", 'a"b/', "é", "日/", "😀", "</script>", "\x80", "__proto__"])
def test_prefixes_with_special_characters_match_exactly_their_keys(alice, prefix):
    limited = alice.open_limited(prefix)
    call(limited, "sync")
    set_all(alice.tab, prefix, prefix + "x", "x" + prefix, prefix + "\\")
    own = [op["key"] for change in heard(limited, "change") for write in change["writes"] for op in write["ops"]]
    assert own == [prefix, prefix + "x", prefix + "\\"]


def test_bookmarks_of_a_limited_tab_have_the_last_sent_revision_and_no_digest(app, alice):
    limited, epoch = alice.open_limited("a/"), call(alice.tab, "sync")["epoch"]
    set_all(alice.tab, "a/x", "b")
    alice.tab.get_received()
    limited.get_received()
    call(limited, "sync")
    assert heard(limited, "bookmark") == [{"epoch": epoch, "revision": 2}]
    set_all(alice.tab, "b", "a/y", "b")
    gateway = app.extensions["realtime_kv"].gateway
    for _ in range(BOOKMARK_SHARES):
        gateway.bookmarks.send_slice()
    assert heard(limited, "bookmark") == [{"epoch": epoch, "revision": 4}]
    (whole,) = heard(alice.tab, "bookmark")
    assert (whole["revision"], whole["keys"]) == (5, 3)


def test_large_writes_reach_a_limited_tab_as_consecutive_changes(alice):
    limited = alice.open_limited("a/")
    call(limited, "sync")
    for n in range(12):
        big = [{"op": "set", "key": f"{folder}/{n}", "value": "x" * 60_000} for folder in "ab"]
        assert call(alice.tab, "batch", ops=big)["ok"]
    position = 0
    for change in heard(limited, "change"):
        assert change["from"] == position
        position = change["revision"]
    assert position == 12


def test_other_keys_never_show_in_the_events_or_answers_of_a_limited_tab(app, alice):
    secret = "hidden"
    limited = alice.open_limited("a/")
    ops = [{"op": "set", "key": key, "value": f"{secret} value"} for key in (f"{secret}/1", f"{secret}/2")]
    call(alice.tab, "batch", ops=[*ops, {"op": "set", "key": "a/x", "value": 1}])
    answers = [
        call(limited, "sync"),
        call(limited, "sync", epoch=call(limited, "sync")["epoch"], since=0),
        call(limited, "list"),
        call(limited, "list", prefix=secret),
        call(limited, "get", key=f"{secret}/1"),
        call(limited, "set", key=f"{secret}/1", value=1, if_revision=0),
        call(limited, "delete", key=f"{secret}/1", if_revision=99),
        call(limited, "batch", ops=[{"op": "delete", "key": f"{secret}/2", "if_revision": 9}]),
        call(limited, "set", key="a/x", value=1, if_revision=0),
    ]
    for n in range(3):
        call(alice.tab, "set", key=f"{secret}/3", value=f"{secret} {n}")
    call(alice.tab, "delete", key=f"{secret}/3")
    gateway = app.extensions["realtime_kv"].gateway
    for _ in range(BOOKMARK_SHARES):
        gateway.bookmarks.send_slice()
    told = json.dumps([answers, limited.get_received()])
    assert secret not in told
    assert "digest" not in told and '"keys"' not in told
    assert answers[4]["error"] == call(limited, "get", key="never/there")["error"]


def test_a_read_token_cannot_write_by_socket_or_http(app, alice):
    token = alice.create_token(scope="read")
    tab, http = alice.open(token), app.test_client()
    for verb, payload in [
        ("set", {"key": "k", "value": 1}),
        ("delete", {"key": "k"}),
        ("batch", {"ops": [{"op": "set", "key": "k", "value": 1}]}),
    ]:
        error = call(tab, verb, **payload)["error"]
        assert (error["code"], error["needs"]) == ("forbidden", "write")
        answer = http.post(f"/api/v1/{verb}", json=payload, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json["code"], answer.json["needs"]) == (403, "forbidden", "write")
    assert call(tab, "sync")["revision"] == 0
    set_all(alice.tab, "k")
    assert len(heard(tab, "change")) == 1


def test_a_prefix_also_limits_http_requests(app, alice):
    set_all(alice.tab, "a/x", "b")
    http, headers = app.test_client(), {"Authorization": f"Bearer {alice.create_token(prefix='a/')}"}
    assert http.get("/api/v1/get?key=a/x", headers=headers).json["entry"]["value"] == "a/x"
    answer = http.get("/api/v1/get?key=b", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert [entry["key"] for entry in http.get("/api/v1/list", headers=headers).json["entries"]] == ["a/x"]
    assert "digest" not in http.get("/api/v1/sync", headers=headers).json
    assert http.get("/api/v1/me", headers=headers).json["usage"] == {"keys": 1, "bytes": 8}


def test_the_tabs_of_a_revoked_token_are_closed_and_no_others(app, alice):
    revoked, other = alice.open_limited("a/"), alice.open_limited("a/")
    tokens = alice.browser.get("/api/v1/tokens").json["tokens"]
    assert alice.browser.post("/api/v1/revoke_token", json={"id": tokens[0]["id"]}).status_code == 204
    assert not revoked.is_connected()
    assert other.is_connected() and alice.tab.is_connected()
    set_all(alice.tab, "a/x")
    assert len(heard(other, "change")) == 1


PREFIX = "a/"
KEYS = ["a/", "a/1", "a/2", "a/2/3", "a", "a0", "b", "b/a/"]
_keys = st.sampled_from(KEYS)
_op = st.tuples(st.sampled_from(["set", "delete"]), _keys)
_writes = st.lists(st.lists(_op, min_size=1, max_size=4, unique_by=lambda op: op[1]), min_size=1, max_size=4)
_steps = st.one_of(
    st.tuples(st.just("write"), _writes),
    st.tuples(st.just("hear"), st.integers(1, 9)),
    st.tuples(st.just("lose"), st.integers(1, 2)),
    st.tuples(st.just("write, and lose the first"), _writes),
    st.tuples(st.just("sync"), st.none()),
    st.tuples(st.just("sync under way"), _writes),
    st.tuples(st.just("reconnect"), st.booleans()),
)


class Follower:
    """A client with a limited token that follows the protocol's rule for clients."""

    def __init__(self, home, token):
        self.home, self.token, self.tab = home, token, None
        self.replica = Replica()
        self.connect()

    def connect(self):
        if self.tab is not None:
            self.tab.disconnect()
        self.tab = self.home.open(self.token)
        self.waiting = []

    def hear(self, most=None):
        self._collect()
        heard, self.waiting = self.waiting[:most], self.waiting[most:] if most is not None else []
        for name, frame in heard:
            assert name in {"change", "bookmark"}
            if name == "change":
                assert frame["from"] < frame["revision"]
                in_step = self.replica.on_change(frame)
            else:
                in_step = frame["epoch"] == self.replica.epoch and frame["revision"] <= self.replica.revision
            if not in_step:
                self.sync()

    def lose(self, most):
        self._collect()
        del self.waiting[:most]

    def sync(self, meanwhile=lambda: None):
        payload = self.replica.begin_sync()
        while payload is not None:
            answer = call(self.tab, "sync", **payload)
            # changes pushed before the answer arrives are held back
            meanwhile()
            self._collect()
            for name, frame in self.waiting:
                if name == "change":
                    self.replica.on_change(frame)
            self.waiting = [item for item in self.waiting if item[0] != "change"]
            payload = self.replica.on_page(answer)

    def _collect(self):
        for event in self.tab.get_received():
            if event["name"] in {"change", "bookmark"}:
                self.waiting.append((event["name"], event["args"][0]))


@pytest.fixture
def token(alice):
    return alice.create_token(prefix=PREFIX)


@settings(max_examples=80)
@given(st.lists(_steps, max_size=14))
@example([("sync", None), ("hear", 1), ("write", [[("set", "a/1")], [("set", "b")], [("set", "a/2")]]), ("lose", 1)])
def test_a_limited_tab_converges_to_exactly_its_keys_despite_lost_changes(app, alice, token, steps):
    call(alice.tab, "batch", ops=[{"op": "delete", "key": key} for key in KEYS])
    follower = Follower(alice, token)

    def write(batches):
        for batch in batches:
            ops = [{"op": op, "key": key, **({"value": key} if op == "set" else {})} for op, key in batch]
            assert call(alice.tab, "batch", ops=ops)["ok"]

    for step, detail in steps:
        if step == "write":
            write(detail)
        elif step == "hear":
            follower.hear(detail)
        elif step == "lose":
            follower.lose(detail)
        elif step == "write, and lose the first":
            follower.hear()
            write(detail)
            follower.lose(1)
        elif step == "sync":
            follower.sync()
        elif step == "sync under way":
            follower.sync(lambda writes=detail: write(writes))
        else:
            # like a newly opened tab, or like one that was offline and keeps its position
            follower.connect()
            if detail:
                follower.replica = Replica()
            else:
                follower.sync()
    # the bookmark of the next round reveals the lost changes
    gateway = app.extensions["realtime_kv"].gateway
    if follower.replica.epoch is None:
        follower.sync()
    for _ in range(BOOKMARK_SHARES):
        gateway.bookmarks.send_slice()
    follower.hear()
    expected = {
        entry["key"]: (entry["revision"], entry["version"], entry["value"])
        for entry in call(alice.tab, "list", prefix=PREFIX)["entries"]
    }
    assert follower.replica.entries == expected
    follower.tab.disconnect()


@pytest.fixture
def pair(server):
    """Yield a signed-in user and a program of theirs with a limited token, on a real server."""
    account = server.sign_up(fresh_name("alice"))
    limited = Account(server, account.username, account.http("create_token", name="p", prefix="a/").json()["token"])
    yield account, limited
    for one in (account, limited):
        one.close()


def test_a_tab_of_a_revoked_token_gets_the_reason_before_it_is_closed(pair):
    alice, limited = pair
    tab = limited.open_tab()
    (token,) = requests.get(f"{alice.server.url}/api/v1/tokens", headers=alice.headers, timeout=DEADLINE).json()[
        "tokens"
    ]
    assert alice.http("revoke_token", id=token["id"]).status_code == 204
    assert tab.next("signed_out") == {"reason": "revoked"}
    tab.next("disconnect")
    assert limited.http("list").json()["code"] == "unauthenticated"


def test_a_limited_tab_stays_consistent_through_syncs_under_a_flood_of_writes(pair):
    """Use a real server, which reads syncs in parallel with the pushes of commits."""
    alice, limited = pair
    writer, tab = alice.open_tab(["websocket"]), limited.open_tab(["websocket"])
    replica = Replica()
    answers = []
    for n in range(1500):
        key = f"{'ab'[n % 3 == 0]}/{n % 7}"
        writer.client.emit("set", {"key": key, "value": n}, callback=answers.append)
        if n % 50 == 0:
            _sync(tab, replica)
    final = writer.call("set", key="a/last", value="done")["revision"]
    while replica.revision < final:
        if not replica.on_change(tab.next("change")):
            _sync(tab, replica)
    assert {key: held.value for key, held in replica.entries.items()} == {
        entry["key"]: entry["value"] for entry in alice.http("list", prefix="a/").json()["entries"]
    }
    assert len(answers) == 1500


def _sync(tab, replica):
    payload = replica.begin_sync()
    while payload is not None:
        answer = tab.call("sync", **payload)
        while not tab.heard.empty():
            name, data = tab.heard.get()
            if name == "change":
                replica.on_change(data)
        payload = replica.on_page(answer)
