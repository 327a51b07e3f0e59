"""The write-ahead log stays short without a checkpoint inside a commit."""

import sqlite3

import pytest

from realtime_kv.core.domain.space import Quota
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.files import checkpointer, vacuum
from realtime_kv.storage.sqlite.files.checkpointer import count_pages
from tests.core.services import Person

VALUE = "x" * 60_000
MIB = 1024 * 1024


@pytest.fixture
def alice(services, runtime):
    store = services.open(runtime, quota=Quota(history_bytes=10**9))
    return Person(store, services.add_user("alice"))


def write(person, mib):
    """Write this much, which takes twice as much of the write-ahead log: the log's rows, and the entries."""
    for n in range(mib * MIB // len(VALUE)):
        person.set(f"k{n % 100}", VALUE)


def test_pages_are_counted_as_sqlite_counts_them(tmp_path):
    db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (v)")
    log = tmp_path / "a.db-wal"
    for size in (0, 1, 300, 7, 0, 90):
        for _ in range(size):
            db.execute("INSERT INTO t VALUES (zeroblob(6000))")
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        busy, pages, done = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        other.close()
        assert (busy, pages) == (0, done)
        assert count_pages(log) == pages
        # the next transaction starts the log again, over the frames of before
        db.execute("INSERT INTO t VALUES (1)")
        assert 0 < count_pages(log) < 5
    assert count_pages(tmp_path / "none-wal") == 0
    db.close()


def test_under_load_the_log_starts_again_and_no_commit_checkpoints(services, alice, monkeypatch):
    (pages,) = alice.store.runtime.wait(
        alice.store.writer.run_exclusive(lambda db: db.execute("PRAGMA wal_autocheckpoint").fetchone()), 10
    )
    assert pages == 0
    # the way out of a log that is far too long
    monkeypatch.setattr(connections, "shorten_log", lambda _: pytest.fail("the log became too long"))
    file = services.database.file
    log = file.with_name("kv.db-wal")
    starts, before = 0, 0
    for _ in range(100):
        write(alice, 1)
        pages = count_pages(log)
        starts, before = starts + (pages < before), pages
    assert starts >= 3
    assert file.stat().st_size > 50 * MIB


def test_maintenance_finds_the_log_free_while_the_thread_checkpoints_all_the_time(alice, monkeypatch):
    monkeypatch.setattr(checkpointer, "MIN_PAGES", 1)
    monkeypatch.setattr(checkpointer, "LOOK_SECONDS", 0.0)
    for _ in range(30):
        write(alice, 1)
        assert alice.store.runtime.wait(alice.store.writer.run_exclusive(vacuum.empty_log), 10)


def test_without_threads_sqlite_checkpoints_by_itself(services):
    store = services.open()
    (pages,) = store.runtime.wait(
        store.writer.run_exclusive(lambda db: db.execute("PRAGMA wal_autocheckpoint").fetchone()), 10
    )
    assert pages == 4096
