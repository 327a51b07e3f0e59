"""What a user's history, receipts and deleted keys take of the file, and the disk space that is kept free."""

import pytest

from realtime_kv.core.domain.space import Quota
from realtime_kv.core.retention.purge import Purge
from realtime_kv.errors import Unavailable
from realtime_kv.storage.sqlite import connections
from tests.core.services import Person
from tests.core.test_disk_limits import KIB, held
from tests.storage.sqlite.harness import rows


def test_database_file_stops_growing_under_constant_overwrites(services, tmp_path):
    store = services.open(quota=Quota(history_bytes=400 * KIB))
    alice = Person(store, services.add_user("alice"))
    sizes = []
    for n in range(3000):
        alice.set(f"k{n % 17}", f"{n:04}" * 500)
        if n % 100 == 99:
            alice.list(limit=1)
            sizes.append(rows(store, "PRAGMA page_count")[0][0])
    assert sizes[-1] < 1.1 * sizes[7]


def test_large_write_replaced_key_by_key_is_rewritten_only_a_few_times(services):
    store = services.open(quota=Quota(history_bytes=200 * KIB))
    alice, rewritten = Person(store, services.add_user("alice")), []
    connections.driver(store.writer._db.sql).set_trace_callback(
        lambda sql: rewritten.append(sql[:40]) if sql.startswith("UPDATE log SET frame") else None
    )
    for _ in range(3):
        alice.batch(*[("set", f"k{n}", "x" * 4000) for n in range(100)])
        for n in range(100):
            alice.set(f"k{n}", n)
            for m in range(10):
                alice.set("beside", f"{m}" * 4000)
            alice.list(limit=1)
            # the limit, and twice the size that undoing the rest needs
            assert held(store, alice) < (200 + 64 + 40 + 2 * 450) * KIB
    assert len(rewritten) < 3 * 10
    Purge(store).remove_history(0, 100)
    assert rows(store, "SELECT count(*) FROM log_garbage")[0][0] == 0
    assert held(store, alice) < 20 * KIB


def test_below_the_reserve_only_deletes_are_accepted(services, store, alice):
    alice.set("a", 1, op_id="first")
    alice.batch(("set", "b", 1), ("set", "c", 1))
    alice.set("b", 2)
    store.reserve.setting = 10**15
    store.reserve._looked_at = 0
    for write in (
        lambda: alice.set("a", 2),
        lambda: alice.set("d", 1, op_id="second"),
        lambda: alice.batch(("set", "a", 2), ("delete", "b")),
        lambda: alice.move("a", "e"),
        lambda: alice.copy("a", "e"),
        lambda: alice.undo(3),
    ):
        with pytest.raises(Unavailable) as told:
            write()
        assert "disk is nearly full" in told.value.message
        assert told.value.extra["retry_after"] == 30
    assert alice.set("a", 1, op_id="first")["replayed"] is True
    assert alice.delete("a")["existed"] is True
    with pytest.raises(Unavailable):
        alice.restore("a")
    assert alice.batch(("delete", "b"))["ok"]
    assert alice.delete_prefix("")["count"] == 1
    assert alice.list()["entries"] == []
    store.reserve.setting = 0
    store.reserve._looked_at = 0
    assert alice.set("a", 2)["ok"]


def test_default_reserve_covers_a_vacuum_of_the_database(services, store, alice):
    assert store.reserve.wanted == 64 * 1024 * KIB
    for n in range(60):
        alice.batch(*[("set", f"k{n}/{m}", "x" * 20_000) for m in range(40)])
    store.reserve._looked_at = 0
    alice.set("k", 1)
    assert store.reserve.wanted > Purge(store).rewrite_needs() - 1024 * KIB > 80 * 1024 * KIB
