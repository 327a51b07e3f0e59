"""A stream with a slow sync during concurrent writes: in every interleaving, it ends with the server's state."""

import json
from collections import deque
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.app import create_app
from realtime_kv.concurrency.runtime import Future
from realtime_kv.config import Config
from realtime_kv.core.messages import CommitEvent
from realtime_kv.realtime.sse import stream as module
from realtime_kv.realtime.sse.hub import StreamHub
from tests.live_server import PASSWORD
from tests.realtime.events import Event, Follower

KEYS = ["a/1", "a/2", "a/3", "b", "a"]


class DelayedStore:
    """The store, with syncs that are read and answered when the test says so."""

    def __init__(self, store):
        self._store = store
        self._asked = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    def sync(self, caller, **position):
        self._asked = (caller, position, Future(), [])
        return self._asked[2]

    def read(self):
        if self._asked is not None:
            caller, position, _, answers = self._asked
            answers[:] = answers or [self._store.sync(caller, **position)]

    def answer(self):
        if self._asked is not None:
            self.read()
            _, _, future, (answer,) = self._asked
            self._asked = None
            future.become(answer)


class Wire:
    """A `Line` that loses nothing; its peer takes the waiting data when the test says so."""

    def __init__(self):
        self.waiting, self.taken, self.open = b"", b"", True

    @property
    def empty(self):
        return not self.waiting

    def send(self, data):
        self.waiting += data

    def close(self):
        self.open = False

    def take(self):
        self.taken, self.waiting = self.taken + self.waiting, b""


def events_of(text):
    *blocks, _ = text.decode().split("\n\n")
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        # for some readers, a block without data is an event
        assert "data" in fields, block
        yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))


@pytest.fixture
def app(tmp_path):
    app = create_app(Config(data_dir=tmp_path, rate_limits=False))
    yield app
    app.extensions["realtime_kv"].stop()


def sign_up(app, name):
    """Sign a user up; return the token and a function that calls verbs."""
    client = app.test_client()
    token = client.post("/api/v1/sign_up", json={"username": name, "password": PASSWORD, "token": True}).json["token"]

    def call(verb, **payload):
        return client.post(f"/api/v1/{verb}", json=payload, headers={"Authorization": f"Bearer {token}"}).json

    return token, call


@pytest.fixture
def account(app):
    return sign_up(app, "alice")


_writes = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=4, unique_by=lambda op: op[0])
_steps = st.one_of(
    st.tuples(st.just("write"), _writes),
    st.tuples(st.sampled_from(["read", "answer", "take", "mark"]), st.none()),
)


@settings(max_examples=200)
@given(st.lists(_steps, max_size=20), st.sampled_from([None, "a/"]), st.sampled_from([0, 400, 10**6]))
def test_every_write_during_a_sync_arrives_once_and_in_order(app, account, steps, prefix, held_bytes):
    services = app.extensions["realtime_kv"]
    token, call = account
    call("batch", ops=[{"op": "delete", "key": key} for key in KEYS])
    caller = services.runtime.wait(services.accounts.caller(token, "http", "", presented="bearer"))
    if prefix is not None:
        object.__setattr__(caller, "prefix", prefix)
    delayed = DelayedStore(services.store)
    streams, wire = StreamHub(services.config, services.runtime, delayed, services.accounts, services.limit_log), Wire()
    with patch.object(module, "HELD_BYTES", held_bytes):
        stream = streams.open(caller, "", None, None, streams.endings)
        stream.begin(wire)

        def take():
            wire.take()
            stream.on_taken()

        for step, ops in steps:
            if step == "write":
                made = [
                    {"op": "set", "key": key, "value": key} if put else {"op": "delete", "key": key} for key, put in ops
                ]
                assert call("batch", ops=made)["ok"]
            else:
                {"read": delayed.read, "answer": delayed.answer, "take": take, "mark": stream.mark}[step]()
        while delayed._asked or wire.waiting:
            delayed.answer()
            take()
        stream.mark()
        take()
    assert wire.open
    follower = Follower()
    for event in events_of(wire.taken):
        follower.take(event)
    expected = {
        entry["key"]: (entry["revision"], entry["value"]) for entry in call("list", prefix=prefix or "")["entries"]
    }
    assert follower.replica.entries == expected
    assert follower.replica.revision <= call("sync")["revision"]
    if prefix is None:
        assert follower.replica.revision == call("sync")["revision"]
    streams.forget(stream)


def test_a_stream_gets_only_the_writes_of_a_commit_that_its_sync_lacked():
    writes = [
        (n, f'{{"revision":{n},"at":"","origin":{{}},"ops":[{{"op":"delete","key":"{key}"}}]}}')
        for n, key in enumerate(["a/1", "b", "a/2", "b"], 5)
    ]
    news = module.SseEvent(CommitEvent(user_id=1, epoch="e", from_=4, writes=writes, keys=0, digest=0))

    def told(prefix, sent):
        text, at = news.since(prefix, sent)
        changes = [event.data for event in events_of(text)]
        return [(change["from"], [write["revision"] for write in change["writes"]]) for change in changes], at

    assert told(None, 4) == ([(4, [5, 6, 7, 8])], 8)
    assert told(None, 6) == ([(6, [7, 8])], 8)
    assert told("a/", 2) == ([(2, [5, 7])], 7)
    assert told("a/", 5) == ([(5, [7])], 7)
    assert told("a/", 7) == ([], 7)


def test_a_session_ended_during_lookup_gets_no_stream_and_others_still_do(app, account):
    services, (token, call) = app.extensions["realtime_kv"], account
    streams, (_, call_of_bob) = services.streams, sign_up(app, "bob")

    def is_let_in(meanwhile):
        endings, wire = streams.endings, Wire()
        caller = services.runtime.wait(services.accounts.caller(token, "http", "", presented="bearer"))
        stream = streams.open(caller, "", None, None, endings)
        meanwhile()
        stream.begin(wire)
        if wire.open:
            streams.forget(stream)
        return wire.open

    assert is_let_in(lambda: None)
    assert is_let_in(lambda: call_of_bob("sign_out"))
    assert not is_let_in(streams.after_restore)
    assert is_let_in(lambda: sign_up(app, "carol")[1]("sign_out"))
    with patch.object(streams, "_ended", deque(maxlen=0)):
        # the server no longer knows which session ended
        assert not is_let_in(lambda: sign_up(app, "dave")[1]("sign_out"))
    assert not is_let_in(lambda: call("sign_out"))
    assert streams.count == 0
