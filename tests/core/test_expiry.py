"""Entries that last for a while: what a `ttl` says, and what becomes of an entry when its time is over."""

import msgspec
import pytest

from realtime_kv.core.errors import BadRequest, Conflict, NotFound, OpIdReused
from realtime_kv.core.frames import milliseconds, timestamp
from tests.core.house import Person, Watcher

YEAR = 365.25 * 24 * 60 * 60


def lasts(entry: dict) -> float:
    """How long an entry is to live from its last write on, in seconds."""
    return (milliseconds(entry["expires_at"]) - milliseconds(entry["updated_at"])) / 1000


def test_a_moment_is_read_back_to_the_millisecond():
    for ms in (0, 1, 999, 1_800_000_000_123, 253_402_300_799_999):
        assert milliseconds(timestamp(ms)) == ms


@pytest.mark.parametrize("ttl", [0.25, 1, 60, 1e3, 100 * YEAR])
def test_an_entry_expires_so_many_seconds_after_it_was_written(alice, ttl):
    alice.set("k", 1, ttl=ttl)
    entry = alice.get("k")
    assert lasts(entry) == ttl
    assert alice.list()["entries"] == [entry]
    assert alice.sync()["writes"][0]["ops"][0]["expires_at"] == entry["expires_at"]


def test_no_ttl_is_too_short_to_see_the_entry_once(alice):
    alice.set("k", 1, ttl=1e-9)
    assert lasts(alice.sync()["writes"][0]["ops"][0] | {"updated_at": alice.sync()["writes"][0]["at"]}) == 0.001


@pytest.mark.parametrize("ttl", [0, -1, 100 * YEAR + 1, 1e300, float("inf"), float("nan")])
def test_a_ttl_is_more_than_nothing_and_at_most_a_hundred_years(alice, ttl):
    with pytest.raises(BadRequest) as refused:
        alice.set("k", 1, ttl=ttl)
    assert refused.value.extra == {"field": "ttl"}


def test_a_set_without_a_ttl_keeps_the_expiry_and_null_takes_it_away(alice, store):
    watcher = Watcher(store)
    alice.set("k", 1, ttl=60)
    expires_at = alice.get("k")["expires_at"]
    alice.set("k", 2)
    assert alice.get("k")["expires_at"] == expires_at
    alice.batch(("set", "k", 3))
    assert alice.get("k")["expires_at"] == expires_at
    alice.set("k", 4, ttl=None)
    assert alice.get("k")["expires_at"] is None
    alice.set("k", 5)
    assert alice.get("k")["expires_at"] is None
    shown = [change["writes"][0]["ops"][0].get("expires_at") for change in watcher.changes]
    assert shown == [expires_at] * 3 + [None] * 2


def test_a_batch_gives_every_key_its_own_ttl(alice, store):
    ops = [store.set_op("a", b"1", None, 5), store.set_op("b", b"1"), store.set_op("c", b"1", None, None)]
    store.batch(alice.caller, ops)
    assert [alice.get(key)["expires_at"] is None for key in "abc"] == [False, True, True]
    assert lasts(alice.get("a")) == 5


def test_what_was_deleted_or_has_expired_is_created_anew_and_stays(house, alice):
    alice.set("deleted", 1, ttl=60)
    alice.delete("deleted")
    alice.set("expired", 1, ttl=60)
    house.clock.now += 60_000
    for key in ("deleted", "expired"):
        assert alice.set(key, 2)["version"] == 1
        entry = alice.get(key)
        assert (entry["expires_at"], entry["created_revision"]) == (None, entry["revision"])


@pytest.mark.parametrize("flushed", [False, True])
def test_an_expired_key_reads_as_absent_at_once_but_counts_until_its_delete_is_written(house, alice, flushed):
    alice.set("k", 1, ttl=60)
    if flushed:
        alice.list()
    before = alice.sync()
    house.clock.now += 60_000
    with pytest.raises(NotFound) as missing:
        alice.get("k")
    assert missing.value.extra == {}
    assert alice.list()["entries"] == []
    assert alice.delete("k") == {"ok": True, "revision": 1, "existed": False}
    with pytest.raises(Conflict) as conflict:
        alice.set("k", 1, if_revision=1)
    assert conflict.value.extra["entry"] is None
    assert alice.sync() == before and before["keys"] == 1


def test_an_op_id_stands_for_its_ttl_too(alice, store):
    first = alice.set("k", 1, ttl=5, op_id="x")
    assert alice.set("k", 1, ttl=5.0, op_id="x") == {**first, "replayed": True}
    for other in ({}, {"ttl": None}, {"ttl": 5.001}):
        with pytest.raises(OpIdReused):
            alice.set("k", 1, op_id="x", **other)
    alice.set("plain", 1, op_id="y")
    with pytest.raises(OpIdReused):
        alice.set("plain", 1, ttl=None, op_id="y")


def test_after_a_crash_everything_expires_when_it_was_to(house):
    alice = Person(house.open(), house.add_user("alice"))
    alice.set("kept", 1, ttl=60)
    alice.set("kept", 2)
    alice.set("for ever", 1, ttl=60)
    alice.set("for ever", 2, ttl=None)
    alice.set("again", 1, ttl=1)
    house.clock.now += 2_000
    alice.set("again", 2, ttl=60)
    before = {key: alice.get(key) for key in ("kept", "for ever", "again")}
    assert lasts(before["again"]) == 60
    again = Person(house.open(), alice.caller)
    assert {key: again.get(key) for key in before} == before
    assert msgspec.json.encode(again.sync()).count(b"expires_at") == 2
