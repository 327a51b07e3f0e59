"""Entries with a limited life: the effect of a `ttl`, and the end of an entry."""

import msgspec
import pytest
from sqlalchemy import text

from realtime_kv.caller import Caller
from realtime_kv.core.domain.operations import Expire
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.messages import digest_of, milliseconds, timestamp
from realtime_kv.core.retention.expiry import Expiry
from realtime_kv.errors import BadRequest, Conflict, NotFound, OpIdReused, Unauthenticated
from tests.core.services import Person, Watcher

YEAR = 365.25 * 24 * 60 * 60


def lasts(entry: dict) -> float:
    """Return the seconds from an entry's last write to its expiry."""
    return (milliseconds(entry["expires_at"]) - milliseconds(entry["updated_at"])) / 1000


def test_a_timestamp_round_trips_to_the_millisecond():
    for ms in (0, 1, 999, 1_800_000_000_123, 253_402_300_799_999):
        assert milliseconds(timestamp(ms)) == ms


@pytest.mark.parametrize("ttl", [0.25, 1, 60, 1e3, 100 * YEAR])
def test_an_entry_expires_ttl_seconds_after_its_write(alice, ttl):
    alice.set("k", 1, ttl=ttl)
    entry = alice.get("k")
    assert lasts(entry) == ttl
    assert alice.list()["entries"] == [entry]
    assert alice.sync()["writes"][0]["ops"][0]["expires_at"] == entry["expires_at"]


def test_a_tiny_ttl_is_rounded_up_to_one_millisecond(alice):
    alice.set("k", 1, ttl=1e-9)
    assert lasts(alice.sync()["writes"][0]["ops"][0] | {"updated_at": alice.sync()["writes"][0]["at"]}) == 0.001


@pytest.mark.parametrize("ttl", [0, -1, 100 * YEAR + 1, 1e300, float("inf"), float("nan")])
def test_a_ttl_is_above_zero_and_at_most_a_hundred_years(alice, ttl):
    with pytest.raises(BadRequest) as refused:
        alice.set("k", 1, ttl=ttl)
    assert refused.value.extra == {"field": "ttl"}


def test_a_set_without_a_ttl_keeps_the_expiry_and_null_removes_it(alice, store):
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


def test_a_deleted_or_expired_entry_is_created_anew_without_an_expiry(services, alice):
    alice.set("deleted", 1, ttl=60)
    alice.delete("deleted")
    alice.set("expired", 1, ttl=60)
    services.clock.now += 60_000
    for key in ("deleted", "expired"):
        assert alice.set(key, 2)["version"] == 1
        entry = alice.get(key)
        assert (entry["expires_at"], entry["created_revision"]) == (None, entry["revision"])


@pytest.mark.parametrize("flushed", [False, True])
def test_an_expired_key_reads_as_absent_but_counts_until_its_delete_is_written(services, alice, flushed):
    alice.set("k", 1, ttl=60)
    if flushed:
        alice.list()
    before = alice.sync()
    services.clock.now += 60_000
    with pytest.raises(NotFound) as missing:
        alice.get("k")
    assert missing.value.extra == {}
    assert alice.list()["entries"] == []
    assert alice.delete("k") == {"ok": True, "revision": 1, "existed": False}
    with pytest.raises(Conflict) as conflict:
        alice.set("k", 1, if_revision=1)
    assert conflict.value.extra["entry"] is None
    assert alice.sync() == before and before["keys"] == 1


def test_an_op_id_reused_with_a_different_ttl_is_refused(alice, store):
    first = alice.set("k", 1, ttl=5, op_id="x")
    assert alice.set("k", 1, ttl=5.0, op_id="x") == {**first, "replayed": True}
    for other in ({}, {"ttl": None}, {"ttl": 5.001}):
        with pytest.raises(OpIdReused):
            alice.set("k", 1, op_id="x", **other)
    alice.set("plain", 1, op_id="y")
    with pytest.raises(OpIdReused):
        alice.set("plain", 1, ttl=None, op_id="y")


def test_expiry_times_survive_a_crash(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("kept", 1, ttl=60)
    alice.set("kept", 2)
    alice.set("for ever", 1, ttl=60)
    alice.set("for ever", 2, ttl=None)
    alice.set("again", 1, ttl=1)
    services.clock.now += 2_000
    alice.set("again", 2, ttl=60)
    before = {key: alice.get(key) for key in ("kept", "for ever", "again")}
    assert lasts(before["again"]) == 60
    again = Person(services.crash(alice.store), alice.caller)
    assert {key: again.get(key) for key in before} == before
    assert msgspec.json.encode(again.sync()).count(b"expires_at") == 2


def expired(change: dict) -> tuple[dict, list[dict]]:
    """Return the origin and the ops of a change's only write."""
    (write,) = change["writes"]
    return write["origin"], write["ops"]


BY_THE_HOUSE = {"session": "", "label": "Expired", "via": "expiry"}


@pytest.mark.parametrize("flushed", [False, True])
def test_an_expired_entry_is_deleted_by_one_write_of_the_system(services, alice, store, flushed):
    expiry, watcher = Expiry(store), Watcher(store)
    alice.set("k", 1, ttl=60)
    alice.set("other", 1)
    if flushed:
        alice.list()
    expiry.look()
    services.clock.now += 60_000
    expiry.look()
    assert expired(watcher.changes[-1]) == (BY_THE_HOUSE, [{"op": "delete", "key": "k"}])
    with pytest.raises(NotFound) as trashed:
        alice.get("k")
    assert trashed.value.extra["deleted_at"] == watcher.changes[-1]["writes"][0]["at"]
    synced = alice.sync()
    assert (synced["revision"], synced["keys"], synced["digest"]) == (3, 1, digest_of("other", 2))
    for _ in range(3):
        services.clock.now += 60_000
        expiry.look()
    assert alice.sync()["revision"] == 3


def test_no_expiry_query_runs_before_an_entry_is_due(services, alice, store):
    expiry = Expiry(store)
    alice.set("k", 1)
    expiry.look()
    services.clock.now += 30_000
    looks = []
    store.readers.submit = lambda fn: looks.append(fn)
    expiry.look()
    assert looks == []


def test_a_write_just_before_the_expiry_delete_keeps_the_entry(services, alice, store):
    """The entry is found expired, and written again before the writer runs the system's delete."""
    alice.set("k", 1, ttl=60)
    alice.set("longer", 1, ttl=60)
    alice.set("gone", 1, ttl=60)
    services.clock.now += 60_000
    submit, late = store.writer.submit, []
    store.writer.submit = late.append
    expiry = Expiry(store)
    with pytest.raises(RuntimeError, match="not come out"):
        expiry._work(None, services.clock.now)
    store.writer.submit = submit
    alice.set("k", 2)
    alice.set("longer", 2, ttl=60)
    revision = alice.delete("gone")["revision"]
    (write,) = late
    assert [op.key for op in write.ops] == ["gone", "k", "longer"]
    submit(write)
    assert alice.sync()["revision"] == revision + 1
    assert [entry["key"] for entry in alice.list()["entries"]] == ["k", "longer"]
    # none of these keys is due any more: nothing is written
    again = WriteRequest(write.caller, "expire", write.ops)
    submit(again)
    assert alice.sync()["revision"] == revision + 1


def test_entries_that_expire_together_are_deleted_in_few_writes(services, alice, charlie, store):
    watcher = Watcher(store)
    for person, count in ((alice, 2500), (charlie, 3)):
        for start in range(0, count, 100):
            keys = [f"{n:04}" for n in range(start, min(start + 100, count))]
            store.batch(person.caller, [store.set_op(key, b"1", None, 60) for key in keys])
    before = len(watcher.changes)
    services.clock.now += 61_000
    expiry = Expiry(store)
    expiry.look()
    deletes = [len(write["ops"]) for change in watcher.changes[before:] for write in change["writes"]]
    assert sorted(deletes) == [3, 500, 1000, 1000]
    assert alice.sync()["keys"] == charlie.sync()["keys"] == 0


def test_large_expired_entries_take_more_writes_so_that_each_can_be_undone(services, alice, store):
    watcher = Watcher(store)
    for n in range(40):
        alice.set(f"{n:02}", "x" * 60_000, ttl=60)
    before = len(watcher.commits)
    services.clock.now += 61_000
    Expiry(store).look()
    deletes = [write for news in watcher.commits[before:] for write in news.writes]
    assert 3 <= len(deletes) < 10 and alice.sync()["keys"] == 0
    before = len(watcher.commits)
    for revision, _ in deletes:
        alice.undo(revision)
    assert all(alice.get(f"{n:02}") for n in range(40))
    assert max(len(frame) for news in watcher.commits[before:] for _, frame in news.writes) < 1_200_000


def test_each_run_deletes_a_limited_number_of_expired_entries(services, alice, store, monkeypatch):
    monkeypatch.setattr("realtime_kv.core.retention.expiry.LOOK_KEYS", 4)
    for n in range(10):
        alice.set(f"{n}", 1, ttl=60 + n)
    services.clock.now += 100_000
    expiry, left = Expiry(store), []
    for _ in range(4):
        expiry.look()
        left.append(alice.sync()["keys"])
    assert left == [6, 2, 0, 0]


def test_entries_that_expired_during_downtime_are_deleted_after_a_restart(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", 1, ttl=60)
    alice.set("later", 1, ttl=600)
    services.clock.now += 60_000
    store = services.crash(alice.store)
    expiry, watcher = Expiry(store), Watcher(store)
    expiry.look()
    assert expired(watcher.changes[0]) == (BY_THE_HOUSE, [{"op": "delete", "key": "k"}])
    services.clock.now += 540_000
    expiry.look()
    assert [op["key"] for op in expired(watcher.changes[1])[1]] == ["later"]
    # and the same after another crash
    again = Person(services.crash(store), alice.caller)
    assert again.sync()["keys"] == 0
    assert again.sync()["revision"] == 4


def test_a_failed_expiry_delete_is_retried(services, alice, store):
    expiry = Expiry(store)
    alice.set("k", 1, ttl=60)
    expiry.look()
    services.clock.now += 60_000
    with services.database.refuse_writes(store):
        expiry.look()
    assert alice.sync()["keys"] == 1
    services.clock.now += 5_000
    expiry.look()
    assert alice.sync()["keys"] == 0


def test_keys_of_an_account_that_is_being_purged_are_left_to_the_purge(services, alice, charlie, store):
    for person in (alice, charlie):
        person.set("k", 1, ttl=60)
        person.list()
    purge = text("UPDATE users SET deleted_at = 1, deleted_by = 'purge' WHERE username = 'alice'")
    store.writer.run_in_transaction(lambda connection: connection.execute(purge))
    services.clock.now += 60_000
    # found before the purge began
    write = WriteRequest(Caller.system(alice.caller.user_id, "Expired", "expiry"), "expire", [Expire("k")])
    store.writer.submit(write)
    with pytest.raises(Unauthenticated):
        write.future.result()
    Expiry(store).look()
    assert (alice.sync()["revision"], charlie.sync()["revision"]) == (1, 2)


def test_unannounced_expiries_are_found_in_a_minute_or_right_after_a_restore(services, alice, store):
    """Cover an account that is reactivated, and replaced data."""
    expiry = Expiry(store)
    for key in ("k", "l"):
        alice.set(key, 1)
    alice.list()
    expiry.look()

    def expires(key: str) -> None:
        change = text("UPDATE entries SET expires_at = 1 WHERE key = :key").bindparams(key=key)
        store.writer.run_in_transaction(lambda connection: connection.execute(change))

    expires("k")
    services.clock.now += 30_000
    expiry.look()
    assert alice.sync()["keys"] == 2
    services.clock.now += 31_000
    expiry.look()
    assert alice.sync()["keys"] == 1
    expires("l")
    expiry.after_restore()
    expiry.look()
    assert alice.sync()["keys"] == 0
