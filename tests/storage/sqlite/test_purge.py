"""Purges and other maintenance, as far as rows and connections of SQLite show it."""

import sqlite3

import pytest

from realtime_kv.core.retention.purge import Purge
from tests.core.services import Person
from tests.storage.sqlite.harness import rows

DAY = 24 * 60 * 60 * 1000


def test_rows_of_an_emptied_log_are_not_numbered_again_after_a_restart(services, store, alice):
    alice.set("a", 1)
    alice.delete("a")
    services.clock.now += 91 * DAY
    assert Purge(store).remove_trashed(services.clock() - 30 * DAY) == (1, 2)
    assert rows(store, "SELECT id FROM log") == []
    store.stop()
    again = Person(services.open(), alice.caller)
    again.set("a", 2)
    assert rows(again.store, "SELECT id, revision FROM log") == [(3, 3)]


def test_trimmed_writes_leave_the_history_index(services, store, alice):
    for n in range(6):
        alice.set("old", n)
    services.clock.now += 91 * DAY
    alice.set("old", "new")
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 5
    assert rows(store, "SELECT revision FROM log") == rows(store, "SELECT revision FROM history") == [(6,), (7,)]


def test_maintenance_runs_outside_a_transaction_and_rolls_back_on_failure(services, store, alice):
    alice.set("a", 1)

    def fail(db: sqlite3.Connection):
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (1,)
        db.execute("BEGIN")
        db.execute("DELETE FROM entries")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.runtime.wait(store.writer.run_exclusive(fail), 10)
    assert alice.get("a")["value"] == 1
    assert alice.set("a", 2)["revision"] == 2
