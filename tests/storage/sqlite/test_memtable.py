"""The tables may be behind the log: this shows neither in reads nor after a crash."""

import time

import pytest

from realtime_kv.errors import Unavailable
from tests.core.services import Person


def test_commit_writes_only_the_log_and_crash_recovery_rebuilds_the_tables(services):
    alice = Person(services.open(), services.add_user("alice"))
    first = alice.set("k", {"a": 1}, op_id="x")
    assert len(services.database.rows("SELECT * FROM log")) == 1
    assert services.database.rows("SELECT * FROM entries") == services.database.rows("SELECT * FROM receipts") == []
    assert services.database.rows("SELECT revision FROM spaces") == [(0,)]
    again = Person(services.open(), alice.caller)
    assert services.database.rows("SELECT key, value, revision FROM entries") == [("k", '{"a":1}', 1)]
    assert services.database.rows("SELECT revision, keys FROM spaces") == [(1, 1)]
    assert again.set("k", {"a": 1}, op_id="x") == {**first, "replayed": True}


def test_idle_memtable_is_flushed(busy_services, runtime):
    alice = Person(busy_services.open(runtime), busy_services.add_user("alice"))
    alice.set("k", 1)
    writer = alice.store.writer
    # an empty job would flush as well, so only read
    given_up = time.monotonic() + 30
    while writer._committer.has_backlog and time.monotonic() < given_up:
        runtime.wait(alice.store.readers.submit(lambda _: None), timeout=30)
    assert busy_services.database.rows("SELECT key, value FROM entries") == [("k", "1")]


def test_full_disk_fails_a_list_instead_of_returning_stale_entries(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", 1)
    with services.database.refuse_writes(alice.store):
        with pytest.raises(Unavailable):
            alice.list()
        assert alice.get("k")["value"] == 1
        # a start cannot flush either
        again = Person(services.open(), alice.caller)
        assert again.get("k")["value"] == 1
    assert again.list()["entries"][0]["value"] == 1


def test_flush_watermark_stays_before_the_oldest_unflushed_write(services):
    alice = Person(services.open(), services.add_user("alice"))
    charlie = Person(alice.store, services.add_user("charlie"))
    alice.set("k", 1)
    charlie.set("k", 1)
    alice.set("k", 2)
    charlie.list()
    # alice's first write is still needed
    assert services.database.rows("SELECT value FROM meta WHERE name = 'flushed'") == [("0",)]
    alice.list()
    assert services.database.rows("SELECT value FROM meta WHERE name = 'flushed'") == [("3",)]
    again = Person(services.open(), charlie.caller)
    again.set("k", 2)
    assert services.database.rows("SELECT id FROM log ORDER BY id") == [(1,), (2,), (3,), (4,)]


def test_flushed_receipts_are_not_kept_in_memory(services):
    alice = Person(services.open(), services.add_user("alice"))
    space = alice.store._memtable.spaces
    for n in range(20):
        alice.delete("absent", op_id=f"nothing {n}")
        alice.set("k", n, op_id=f"something {n}")
    alice.list()
    for n in range(20):
        assert alice.delete("absent", op_id=f"nothing {n}")["replayed"]
        assert alice.set("k", n, op_id=f"something {n}")["replayed"]
    assert space[alice.caller.user_id].receipts == {}


def test_shared_job_keeps_the_caches_and_the_backlog(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", 1)
    committer = alice.store.writer._committer
    known = dict(committer.memtable.spaces)
    alice.store.writer.run_in_shared_transaction(lambda db: db.exec_driver_sql("SELECT 1").scalar()).result()
    assert committer.has_backlog and known == committer.memtable.spaces
    assert known
