"""A user's disk use besides live keys: the change log, receipts and deleted keys, each with a limit."""

import dataclasses
import random

import pytest

from realtime_kv.caller import Caller
from realtime_kv.core.domain.disk_space import DiskSpace
from realtime_kv.core.domain.operations import Delete, Set
from realtime_kv.core.domain.space import Quota, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.evaluate import evaluate
from realtime_kv.core.messages import NEVER
from realtime_kv.core.retention.purge import Purge
from realtime_kv.errors import BadRequest, Conflict, NotFound, QuotaExceeded
from tests.core.services import Person, rows

DAY = 24 * 60 * 60 * 1000
KIB = 1024


def held(store, person):
    """Return the bytes of the frames in a user's log."""
    sql = "SELECT coalesce(sum(length(frame)), 0) FROM log WHERE user_id = :user"
    return rows(store, sql, user=person.caller.user_id)[0][0]


def counted_and_found(services, store, person):
    """Return the totals of a space, and the same summed up from its rows."""
    user = person.caller.user_id
    counted = rows(
        store, "SELECT history_bytes, receipt_bytes, trash_bytes FROM spaces WHERE user_id = :user", user=user
    )
    return counted[0], services.database.counted_bytes(user)


def until_refused(write):
    """Return the number of accepted writes, and the error of the next one."""
    n = 0
    while True:
        try:
            write(n)
        except QuotaExceeded as refusal:
            return n, refusal
        n += 1


def test_usage_counters_match_the_stored_rows(services):
    store = services.open(quota=Quota(history_bytes=60 * KIB))
    alice, chance = Person(store, services.add_user("alice")), random.Random(7)
    for n in range(1200):
        key, op_id = f"{chance.choice('aé𝄞')}/{chance.randrange(30)}", chance.choice([None, f"w{n}"])
        options = {} if op_id is None else {"op_id": op_id}
        doing = chance.randrange(9)
        try:
            if doing < 4:
                alice.set(key, "ü" * chance.randrange(400), **options)
            elif doing == 4:
                alice.delete(key, **options)
            elif doing == 5:
                keys = chance.sample(range(30), 8)
                alice.batch(*[("set", f"a/{k}", "x" * 200) for k in keys], ("delete", key), **options)
            elif doing == 6:
                alice.undo(alice.sync()["revision"] - chance.randrange(3), **options)
            elif doing == 7:
                alice.restore(key, **options)
            else:
                alice.move(f"{key[0]}/", "m/", **options)
                alice.delete_prefix("m/")
        except (BadRequest, NotFound, Conflict):
            continue
        if n % 300 == 299:
            counted, found = counted_and_found(services, store, alice)
            assert counted == found
            assert all(found)
    assert rows(store, "SELECT trimmed FROM spaces")[0][0] > 100
    # after a restart, with writes that the tables do not have yet
    for n in range(20):
        alice.set("new", n, op_id=f"new{n}")
    alice.delete("nothing", op_id="nothing")
    store.stop()
    store = services.open(quota=Quota(history_bytes=60 * KIB))
    alice = Person(store, alice.caller)
    assert (counted := counted_and_found(services, store, alice))[0] == counted[1]
    # and after a purge
    services.clock.now += 31 * DAY
    alice.set("later", 1, op_id="later")
    purge = Purge(store)
    purge.remove_trashed(services.clock() - 30 * DAY)
    purge.remove_receipts(services.clock() - 7 * DAY)
    assert (counted := counted_and_found(services, store, alice))[0] == counted[1]
    purge.remove_history(services.clock() - 1 * DAY, 10**9)
    assert (counted := counted_and_found(services, store, alice))[0] == counted[1]


def test_a_history_is_trimmed_as_soon_as_it_exceeds_its_limit(services, charlie):
    store = services.open(quota=Quota(history_bytes=400 * KIB))
    alice, charlie = Person(store, services.add_user("alice2")), Person(store, charlie.caller)
    charlie.set("k", "charlie's")
    for n in range(1000):
        alice.set(f"k{n % 17}", f"{n}" * 500)
        if n % 10 == 9:
            # the tables follow the log when they are read
            alice.list(limit=1)
            # the limit, one value of each key from before it, and the writes since the last check
            assert held(store, alice) < 400 * KIB + 17 * 2 * KIB + 10 * 2 * KIB + 64 * KIB
    answer = alice.history(limit=1000)
    floor = answer["floor"]
    assert 500 < floor < 900
    assert {write["revision"] for write in answer["writes"]} >= set(range(floor, 1001))
    # remaining writes can be undone, trimmed ones cannot; and no client has to start again
    for revision in range(1000, 983, -1):
        assert alice.undo(revision, dry_run=True)["count"] == 1
    with pytest.raises(NotFound):
        alice.undo(floor - 18)
    synced = alice.sync(epoch=store.epoch, since=100)
    assert (synced["reset"], synced["revision"], synced["keys"]) == (False, 1000, 17)
    assert charlie.history()["floor"] == 1
    # also after a restart
    before = alice.list()
    store.stop()
    alice = Person(services.open(quota=Quota(history_bytes=400 * KIB)), alice.caller)
    assert alice.list() == before
    assert alice.set("k0", "again")["revision"] == 1001


def test_receipt_limit_is_named_and_does_not_block_writes_without_an_op_id(services):
    store = services.open(quota=Quota(receipt_bytes=20_000))
    alice = Person(store, services.add_user("alice"))
    # these count towards no other limit: no key, no history
    written, told = until_refused(lambda n: alice.delete("nothing", op_id=f"{n:064}"))
    assert 60 < written < 90
    assert told.extra["resource"] == "receipts" and told.extra["limit"] == 20_000
    assert "RKV_RECEIPT_BYTES" in told.message
    assert alice.set("k", 1)["revision"] == 1
    with pytest.raises(QuotaExceeded):
        alice.set("k", 2, op_id="new")
    # existing receipts still answer, and stay counted
    assert alice.delete("nothing", op_id=f"{0:064}")["replayed"] is True
    limited = Person(store, dataclasses.replace(alice.caller, kind="token", prefix="a/"))
    with pytest.raises(QuotaExceeded) as told:
        limited.set("a/x", 1, op_id="new")
    assert told.value.extra == {"resource": "receipts", "limit": 20_000}
    store.stop()
    alice = Person(services.open(quota=Quota(receipt_bytes=20_000)), alice.caller)
    with pytest.raises(QuotaExceeded):
        alice.set("k", 2, op_id="new")
    services.clock.now += 8 * DAY
    assert Purge(alice.store).remove_receipts(services.clock() - 7 * DAY) == written
    assert alice.set("k", 2, op_id="new")["revision"] == 2


def test_trash_is_limited_and_a_purge_removes_its_oldest_keys_early(services):
    store = services.open(quota=Quota(trash_bytes=100_000))
    alice = Person(store, services.add_user("alice"))
    written, told = until_refused(lambda n: (alice.set(f"k{n}", "x" * 1000), alice.delete(f"k{n}")))
    assert 80 < written < 100
    assert told.extra["resource"] == "trash" and "RKV_TRASH_BYTES" in told.message
    # a batch that creates as much as it deletes does not evade the limit
    alice.restore("k0")
    alice.delete("k0")
    with pytest.raises(QuotaExceeded):
        alice.batch(("set", "other", 1), ("delete", "k0"))
    # writes that add nothing to the trash still succeed
    assert alice.restore("k1")["version"] == 2
    assert alice.set("k1", 2)["version"] == 3
    keys, _ = Purge(store).remove_trashed(services.clock() - 30 * DAY, 100_000)
    assert written // 3 < keys < written * 2 // 3
    assert alice.set("new", 1)["version"] == 1
    # the latest deleted keys can be restored, the oldest cannot
    assert alice.restore("k0")["ok"] and alice.restore(f"k{written - 1}")["ok"]
    with pytest.raises(NotFound):
        alice.restore("k2")
    assert (counted := counted_and_found(services, store, alice))[0] == counted[1]


def test_heaviest_disk_users_are_refused_first_near_the_reserve():
    near = DiskSpace(is_low=False, share=10_000)
    spaces = {
        user_id: Space(user_id, 5, 1, 600, 0, history_bytes=held_bytes, trash_bytes=500, entries={"k": None})
        for user_id, held_bytes in ((1, 0), (2, 9_000))
    }
    small, large = (Caller(user_id, "", False, 0, 7, "s", "", "socket") for user_id in (1, 2))

    def write(caller, verb, *ops, **options):
        request, space = WriteRequest(caller, verb, list(ops), **options), spaces[caller.user_id]
        return evaluate(request, space, NEVER, Quota(), 1000, "", room=near)

    assert write(small, "set", Set("k", "1")).revision == 6
    with pytest.raises(QuotaExceeded) as told:
        write(large, "set", Set("k", "1"))
    assert told.value.extra == {"resource": "disk", "limit": 10_000, "used": 10_100}
    with pytest.raises(QuotaExceeded) as told:
        write(dataclasses.replace(large, prefix="k"), "set", Set("k", "1"))
    assert told.value.extra == {"resource": "disk", "limit": 10_000}
    assert write(large, "delete", Delete("k")).existed is False
    # and only a part of the limit of receipts is left, except for a delete that frees space
    spaces[1].receipt_bytes = Quota().receipt_bytes // 16
    assert write(small, "delete", Delete("k"), op_id="one").existed is True
    with pytest.raises(QuotaExceeded) as told:
        write(small, "delete", Delete("k"), op_id="two")
    assert told.value.extra["resource"] == "receipts"
    spaces[1].receipt_bytes = 0
    write(small, "set", Set("k", "1"))
    spaces[1].receipt_bytes = Quota().receipt_bytes
    with pytest.raises(QuotaExceeded):
        write(small, "delete", Delete("k"), op_id="three")
