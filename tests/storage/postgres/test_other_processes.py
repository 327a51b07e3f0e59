"""Two writers on one database: cached state is used only if the locked row says that it is still true."""

import pytest
from sqlalchemy import text

from realtime_kv.errors import Conflict, QuotaExceeded, Unauthenticated
from tests.core.services import Person, Watcher


@pytest.fixture
def other(services, alice):
    """The same user at another process: another store on the same database."""
    return Person(services.open(), alice.caller)


def test_writers_take_turns_without_gaps(alice, other):
    for n in range(0, 20, 2):
        assert alice.set("k", n)["revision"] == n + 1
        assert other.set("k", n + 1)["revision"] == n + 2
    page = alice.sync()
    assert (page["revision"], page["keys"]) == (20, 1)
    assert other.sync()["digest"] == page["digest"]
    assert [write["revision"] for write in alice.history(key="k")["writes"]] == list(range(20, 0, -1))


def test_a_condition_sees_the_write_of_another_process(alice, other):
    first = alice.set("k", "mine")
    other.set("k", "theirs")
    with pytest.raises(Conflict) as conflict:
        alice.set("k", "again", if_revision=first["revision"])
    assert conflict.value.extra["entry"].revision == 2


def test_a_watcher_is_told_of_the_gap(alice, other):
    watcher = Watcher(alice.store)
    alice.set("a", 1)
    other.set("b", 2)
    alice.set("c", 3)
    # the next change begins behind the one that this process has not seen: tabs catch up by a sync
    assert [(change["from"], change["revision"]) for change in watcher.changes] == [(0, 1), (2, 3)]


def test_an_op_id_is_known_everywhere(alice, other):
    first = alice.set("k", 1, op_id="once")
    assert other.set("k", 1, op_id="once") == first | {"replayed": True}
    nothing = other.delete("absent", op_id="nothing")
    assert alice.delete("absent", op_id="nothing") == nothing | {"replayed": True}


def test_a_session_that_ended_elsewhere_writes_nothing(services, alice):
    alice.set("k", 1)
    with services.database.engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET ended_at = 1"))
    with pytest.raises(Unauthenticated):
        alice.set("k", 2)


def test_an_account_that_was_removed_elsewhere_writes_nothing(services, alice):
    alice.set("k", 1)
    with services.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM users"))
    with pytest.raises(Unauthenticated):
        alice.set("k", 2)


def test_a_quota_that_was_changed_elsewhere_applies_at_once(services, alice):
    alice.set("k", 1)
    with services.database.engine.begin() as connection:
        connection.execute(text("UPDATE users SET quota_keys = 1"))
    with pytest.raises(QuotaExceeded):
        alice.set("l", 2)


def test_using_a_session_keeps_the_caches(services, alice):
    alice.set("k", 1)
    with services.database.engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET last_seen_at = 5, expires_at = expires_at + 1"))
    assert services.database.rows("SELECT guard FROM spaces") == [(0,)]


def test_a_purge_elsewhere_is_noticed(services, alice, other):
    alice.set("k", 1)
    alice.delete("k")
    with services.database.engine.begin() as connection:
        retention = services.database.open().retention(connection)
        assert retention.remove_entries([(alice.caller.user_id, "k", 2)]) == 1
    assert alice.set("k", 2)["version"] == 1
    assert alice.store.runtime.wait(alice.store.usage(alice.caller)).keys == 1
