"""The index of the log follows when the writer has time or a request needs it, and agrees with the log in the end."""

import sqlite3
import threading

import msgspec
import pytest

from realtime_kv.errors import NotFound, Unavailable
from realtime_kv.storage.sqlite import history_index
from tests.core.services import Person


def indexed(folder):
    with sqlite3.connect(folder / "kv.db") as db:
        return db.execute("SELECT user_id, key, revision, row FROM history ORDER BY row, key").fetchall()


def logged(folder):
    with sqlite3.connect(folder / "kv.db") as db:
        rows = db.execute("SELECT user_id, revision, id, frame FROM log ORDER BY id").fetchall()
    return [
        (user_id, key, revision, row)
        for user_id, revision, row, frame in rows
        for key in sorted(op["key"] for op in msgspec.json.decode(frame)["ops"])
    ]


def test_a_commit_writes_nothing_to_the_index(services, store, alice, tmp_path):
    for n in range(10):
        alice.set("k", n)
    alice.list()
    assert indexed(tmp_path) == []


def test_an_idle_writer_brings_the_index_up_to_date(busy_services, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(history_index, "STEP_ROWS", 7)
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    stepped = threading.Event()
    accept = store._committer._index.accept

    def accepted():
        accept()
        if store._committer.indexed == 30:
            stepped.set()

    store._committer._index.accept = accepted
    for n in range(28):
        alice.set(f"k{n % 5}", n)
    alice.batch(("set", 'q"uote\\', 1), ("set", "käse/🧀", 2))
    alice.delete("k0")
    assert stepped.wait(20)
    assert indexed(tmp_path) == logged(tmp_path)
    assert len(indexed(tmp_path)) == 31


def test_history_requests_wait_for_the_index_while_other_users_write(busy_services, runtime, monkeypatch):
    monkeypatch.setattr(history_index, "STEP_ROWS", 10)
    store = busy_services.open(runtime)
    alice, charlie = (Person(store, busy_services.add_user(name)) for name in ("alice", "charlie"))
    for n in range(200):
        alice.set("k", n)
    order: list[str] = []
    hold = threading.Event()
    store.writer.run_in_transaction(lambda _: hold.wait())
    history = store.history(alice.caller, key="k", limit=1000)
    undo = store.undo(alice.caller, 200)
    # her requests keep their order, his need not wait for her history
    after = store.set(alice.caller, "after", b"1")
    his = store.set(charlie.caller, "his", b"1")
    for name, future in (("history", history), ("undo", undo), ("after", after), ("his", his)):
        future.then(lambda _, name=name: order.append(name))
    hold.set()
    assert len(msgspec.json.decode(runtime.wait(history, 20).writes)) in (200, 201)
    assert runtime.wait(undo, 20).revision == 201
    assert runtime.wait(after, 20).revision == 202
    assert runtime.wait(his, 20).revision == 1
    assert order.index("his") < order.index("undo") < order.index("after")


def test_the_index_backlog_stays_bounded_under_continuous_load(services, store, alice, tmp_path, monkeypatch):
    monkeypatch.setattr("realtime_kv.core.engine.committer.INDEX_BACKLOG", 20)
    monkeypatch.setattr(history_index, "STEP_ROWS", 10)
    for n in range(100):
        alice.set(f"k{n}", n)
        assert store._committer.last_row - store._committer.indexed <= 20
    assert indexed(tmp_path) == logged(tmp_path)[: store._committer.indexed]


def test_an_index_step_is_limited_in_bytes(services, store, alice, monkeypatch):
    monkeypatch.setattr(history_index, "STEP_BYTES", 100_000)
    monkeypatch.setattr(store._committer._index, "_part", 1.0)
    monkeypatch.setattr(store._committer._index, "_clock", lambda: 0.0)
    for _ in range(10):
        alice.set("k", "x" * 60_000)
    steps, step = [], store._committer._index._step

    def counted(last_row, part):
        steps.append(step(last_row, part))
        return steps[-1]

    store._committer._index._step = counted
    assert [write["revision"] for write in alice.history(limit=3)["writes"]] == [10, 9, 8]
    assert steps == [2, 4, 6, 8, 10]


def test_a_failed_index_step_is_reported_to_waiting_requests_and_retried(services, store, alice, tmp_path):
    alice.set("k", 1)
    step, fail = store._committer._index._step, True

    def failing(last_row, part):
        step(last_row, part)
        if fail:
            raise sqlite3.OperationalError("no")
        return last_row

    store._committer._index._step = failing
    with pytest.raises((Unavailable, sqlite3.OperationalError)):
        alice.history()
    with pytest.raises((Unavailable, sqlite3.OperationalError)):
        alice.undo(1)
    fail = False
    store._committer._index._step = step
    assert alice.set("k", 2)["revision"] == 2
    assert len(alice.history(key="k")["writes"]) == 2
    assert indexed(tmp_path) == logged(tmp_path)


def test_history_after_a_restore_is_the_history_of_the_restored_data(services, store, alice, charlie, tmp_path):
    alice.set("k", 1)
    alice.history()
    with sqlite3.connect(tmp_path / "kv.db") as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    for n in range(5):
        alice.set("later", n)
    alice.history()

    def replace(db):
        with sqlite3.connect(tmp_path / "copy.db") as copy:
            copy.backup(db)

    store.runtime.wait(store.replace(replace), 20)
    assert alice.set("other", 1)["revision"] == 2
    assert [write["revision"] for write in alice.history()["writes"]] == [2, 1]
    assert indexed(tmp_path) == logged(tmp_path)


def test_history_requests_that_wait_during_a_restore_are_answered(busy_services, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(history_index, "STEP_ROWS", 10)
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    alice.set("k", 0)
    alice.history()
    with sqlite3.connect(tmp_path / "kv.db") as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    for n in range(100):
        alice.set("k", n)

    def replace(db):
        with sqlite3.connect(tmp_path / "copy.db") as copy:
            copy.backup(db)

    step, replaced = store._committer._index._step, []

    def meddling(last_row, part):
        # in the middle of the steps, and only once
        if not replaced:
            replaced.append(store.replace(replace))
        return step(last_row, part)

    hold = threading.Event()
    store.writer.run_in_transaction(lambda _: hold.wait())
    history = store.history(alice.caller)
    undo = store.undo(alice.caller, 101)
    store._committer._index._step = meddling
    hold.set()
    assert len(msgspec.json.decode(runtime.wait(history, 20).writes)) == 1
    with pytest.raises(NotFound):
        runtime.wait(undo, 20)
    assert alice.set("k", 1)["revision"] == 2


def test_a_brief_step_is_as_long_as_the_time_of_the_last_one_allows(services, store, alice, monkeypatch):
    monkeypatch.setattr(history_index, "STEP_ROWS", 160)
    for n in range(400):
        alice.set("k", n)
    followed, now, seconds = store._committer._index, [0.0], [0.0]

    def clock():
        now[0] += seconds[0]
        return now[0]

    followed._clock = clock
    rows = []

    def step(took):
        seconds[0] = took
        before = followed.row
        store.runtime.wait(store.writer.run_in_transaction(lambda connection: None), 20)
        store.writer._transactions.run(store._committer.index)
        rows.append(followed.row - before)

    for took in (
        0.0,
        0.0,
        0.0,
        history_index.BRIEF_SECONDS,
        4 * history_index.BRIEF_SECONDS,
        history_index.BRIEF_SECONDS,
    ):
        step(took)
    # twice as many after a short step, a quarter after one that took four times too long
    assert rows == [10, 20, 40, 80, 80, 20]
