"""Purges of thousands of random values, verified by the bytes that are left in the database."""

import pytest

from realtime_kv.core.retention.purge import Purge
from realtime_kv.errors import NotFound, Unavailable
from tests.core.services import Person, rows, secret, state

DAY = 24 * 60 * 60 * 1000


def floors(store, person):
    return rows(store, "SELECT floor, history_floor FROM spaces WHERE user_id = :user", user=person.caller.user_id)[0]


def test_purged_values_leave_no_bytes_and_others_are_untouched(services, store, alice, charlie):
    gone, kept = [], []
    for start in range(0, 1500, 50):
        part = range(start, start + 50)
        first, second = [secret() for _ in part], [secret() for _ in part]
        gone += first + second
        alice.batch(
            *[("set", f"trash/{n}", value) for n, value in zip(part, first, strict=True)],
            *[("set", f"beside/{n}", secret("kept")) for n in part],
        )
        alice.batch(*[("set", f"trash/{n}", value) for n, value in zip(part, second, strict=True)])
        kept += [secret("kept") for _ in part]
        charlie.batch(*[("set", f"k{n}", kept[n]) for n in part])
    for start in range(0, 1500, 100):
        alice.batch(*[("delete", f"trash/{n}") for n in range(start, start + 100)])
    before, charlies = alice.list(limit=1000)["entries"], state(charlie)
    proof = alice.sync()["digest"]
    services.clock.now += 31 * DAY
    assert len(services.database.find_bytes(gone)) == 3000
    purge = Purge(store)
    assert purge.remove_trashed(services.clock() - 30 * DAY) == (1500, 4500)
    assert purge.rewrite()
    assert services.database.find_bytes(gone) == []
    assert len(services.database.find_bytes(kept)) == 1500
    assert alice.list(limit=1000)["entries"] == before
    assert alice.sync()["digest"] == proof
    assert state(charlie) == charlies


def test_sync_from_before_a_purged_delete_resets_and_a_later_one_resumes(services, store, alice):
    alice.set("a", 1)
    alice.set("b", 2)
    alice.delete("a")
    alice.set("c", 3)
    epoch = alice.sync()["epoch"]
    assert alice.sync(epoch=epoch, since=2)["reset"] is False
    services.clock.now += 31 * DAY
    Purge(store).remove_trashed(services.clock() - 30 * DAY)
    assert floors(store, alice) == (3, 3)
    assert alice.sync(epoch=epoch, since=2)["reset"] is True
    assert alice.sync(epoch=epoch, since=3)["reset"] is False
    assert [write["revision"] for write in alice.sync()["writes"]] == [2, 4]


def test_recently_deleted_keys_stay_in_the_trash(services, store, alice):
    alice.set("old", "o")
    alice.delete("old")
    services.clock.now += 31 * DAY
    alice.set("new", "n")
    alice.delete("new")
    assert Purge(store).remove_trashed(services.clock() - 30 * DAY) == (1, 2)
    assert rows(store, "SELECT key FROM entries") == [("new",)]
    assert floors(store, alice) == (2, 2)


def test_key_recreated_during_a_purge_keeps_its_current_value(services, store, alice):
    alice.set("a", "first")
    alice.delete("a")
    services.clock.now += 31 * DAY
    trashed = {alice.caller.user_id: {"a": 2}}
    alice.set("a", "second")
    purge = Purge(store)
    # simulate a key that is created again after the purge has found it in the trash
    assert purge._remove_ops(trashed) == 2
    assert purge._remove_entries(trashed) == 0
    assert alice.get("a")["value"] == "second"
    assert [frame.count("second") for frame in services.database.frames()] == [1]
    assert purge.remove_trashed(services.clock()) == (0, 0)


def test_purge_leaves_the_other_ops_of_a_write_unchanged(services, store, alice):
    alice.batch(("set", "gone", 1), ("set", "käse/🧀", {"deep": [1, "x"]}))
    alice.delete("gone")
    frame = services.database.frames()[0]
    services.clock.now += 31 * DAY
    Purge(store).remove_trashed(services.clock() - 30 * DAY)
    assert services.database.frames() == [frame.replace('{"op":"set","key":"gone","value":1,"version":1},', "")]


def test_history_purge_trims_the_log_to_its_retention_and_spares_sync(services, store, alice):
    for n in range(6):
        alice.set("old", n)
    services.clock.now += 91 * DAY
    alice.set("old", "new")
    epoch, before = alice.sync()["epoch"], alice.sync()
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 5
    assert floors(store, alice) == (0, 6)
    # the purge keeps the values at the horizon: the last write can still be undone
    assert rows(store, "SELECT revision FROM log ORDER BY revision") == [(6,), (7,)]
    assert alice.sync() == before
    assert alice.sync(epoch=epoch, since=1)["reset"] is False
    # and the next write takes the next revision, also after another start
    assert alice.undo(7) == {"ok": True, "revision": 8, "count": 1}
    assert alice.get("old")["value"] == 5
    answer = alice.history()
    assert ([write["revision"] for write in answer["writes"]], answer["floor"]) == ([8, 7, 6], 7)


def test_history_purge_keeps_ops_that_were_current_at_the_horizon(services, store, alice):
    alice.batch(("set", "a", 1), ("set", "b", 1), ("set", "c", 1))
    alice.batch(("set", "a", 2), ("delete", "c"))
    services.clock.now += 91 * DAY
    alice.set("b", 3)
    alice.restore("c")
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 1
    assert [sorted(op["key"] for op in write["ops"]) for write in alice.history()["writes"]] == [
        ["c"], ["b"], ["a", "c"], ["b"],
    ]  # fmt: skip
    assert alice.history(key="a")["writes"][0]["ops"][0]["value"] == 2
    # nothing is left to do
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 0
    assert alice.undo(4)["count"] == alice.undo(3)["count"] == 1
    assert alice.get("b")["value"] == 1
    # an old write of which only a part is left cannot be undone
    with pytest.raises(NotFound):
        alice.undo(1)


def test_history_purge_keeps_each_user_within_a_byte_budget(services, store, alice, charlie):
    for n in range(300):
        alice.set(f"k{n % 10}", "x" * 1000)
        if n % 3 == 0:
            charlie.set("k", n)
    purge = Purge(store)
    assert purge.remove_history(0, 10**9) == 0
    assert 170 < purge.remove_history(0, 100_000) < 230
    held = rows(store, "SELECT user_id, sum(length(frame)) FROM log GROUP BY user_id ORDER BY user_id")
    assert held[0][1] < 100_000 + 10 * 1200
    answer = alice.history(limit=1000)
    revisions = [write["revision"] for write in answer["writes"]]
    assert set(range(answer["floor"], 301)) <= set(revisions)
    assert len(charlie.history(limit=1000)["writes"]) == 100
    # all remaining writes can still be undone, back to the floor
    for revision in range(300, 290, -1):
        alice.undo(revision, dry_run=True)


def test_temporary_clock_error_does_not_expire_history_early(services, store, alice):
    alice.set("k", 1)
    alice.set("k", 2)
    now, services.clock.now = services.clock.now, 1000
    alice.set("k", 3)
    services.clock.now = now
    alice.set("k", 4)
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 0
    services.clock.now += 91 * DAY
    assert Purge(store).remove_history(services.clock() - 90 * DAY, 10**9) == 3


def test_expired_history_leaves_no_bytes(services, store, alice):
    old, later = [secret() for _ in range(700)], [secret("kept") for _ in range(700)]
    alice.batch(*[("set", f"k{n}", secret("kept")) for n in range(60)])
    for start in range(0, 700, 100):
        alice.batch(*[("set", f"k{n}", old[n]) for n in range(start, start + 100)], ("set", "kept", start))
    alice.history()
    for start in range(0, 700, 100):
        alice.batch(*[("set", f"k{n}", later[n]) for n in range(start, start + 100)])
    services.clock.now += 91 * DAY
    purge = Purge(store)
    assert purge.remove_history(services.clock() - 90 * DAY, 10**9) == 8
    assert purge.rewrite()
    assert services.database.find_bytes(old) == []
    assert len(services.database.find_bytes(later)) == 700
    assert [len(write["ops"]) for write in alice.history()["writes"]] == [100] * 7 + [1]


def test_purged_keys_are_removed_from_every_index(services, store, alice):
    gone, kept = [secret() for _ in range(100)], [secret("kept") for _ in range(100)]
    alice.batch(*[("set", key, 1) for key in gone[:50]], *[("set", key, 1) for key in kept[:50]])
    alice.history()
    alice.batch(*[("set", key, 1) for key in gone[50:]], *[("set", key, 1) for key in kept[50:]])
    alice.batch(*[("delete", key) for key in gone])
    services.clock.now += 31 * DAY
    purge = Purge(store)
    assert len(services.database.find_bytes(gone)) == 100
    purge.remove_trashed(services.clock() - 30 * DAY)
    assert purge.rewrite()
    assert services.database.find_bytes(gone) == []
    assert len(services.database.find_bytes(kept)) == 100
    assert len(alice.history(limit=1000)["writes"]) == 2
    assert alice.history(key=gone[0])["writes"] == []
    with pytest.raises(NotFound):
        alice.restore(gone[0])
    with pytest.raises(NotFound):
        alice.restore(gone[0], revision=1)
    with pytest.raises(NotFound):
        alice.undo(3)
    assert alice.trash()["entries"] == []


def test_history_skips_ops_removed_by_a_purge_in_progress(services, store, alice):
    alice.set("first", 1)
    for n in range(5):
        alice.batch(("set", "gone", n), ("set", f"kept{n}", n))
    for n in range(5):
        alice.set("gone", n)
    alice.delete("gone")
    alice.history()
    services.clock.now += 31 * DAY
    purge = Purge(store)
    purge._remove_ops({alice.caller.user_id: {"gone": 12}})
    assert alice.history(key="gone", limit=2)["writes"] == []
    assert [write["revision"] for write in alice.history(limit=1)["writes"]] == [6]
    assert [write["revision"] for write in alice.history()["writes"]] == [6, 5, 4, 3, 2, 1]
    with pytest.raises(NotFound):
        alice.restore("gone", revision=3)


def test_partially_purged_undo_still_names_the_write_that_it_undoes(services, store, alice):
    alice.batch(("set", "gone", 1), ("set", "kept", 1))
    alice.batch(("set", "gone", 2), ("set", "kept", 2))
    alice.undo(2)
    alice.delete("gone")
    services.clock.now += 31 * DAY
    Purge(store).remove_trashed(services.clock() - 30 * DAY)
    write = alice.history()["writes"][0]
    assert (write["undoes"], [op["key"] for op in write["ops"]]) == (2, ["kept"])


def test_key_recreated_after_a_purge_has_no_earlier_history(services, store, alice):
    alice.set("k", 1)
    alice.delete("k")
    services.clock.now += 31 * DAY
    Purge(store).remove_trashed(services.clock() - 30 * DAY)
    alice.set("k", 2)
    answer = alice.history(key="k")
    assert ([write["revision"] for write in answer["writes"]], answer["floor"]) == ([3], 3)
    alice.undo(3)
    with pytest.raises(NotFound):
        alice.get("k")


def test_removed_space_leaves_no_rows(services, store, alice, charlie):
    for person in (alice, charlie):
        for n in range(600):
            person.set(f"k{n}", n)
        person.delete("k0")
        person.history()
    Purge(store).remove_spaces([alice.caller.user_id])
    for table in ("history", "log", "entries"):
        assert rows(store, f"SELECT DISTINCT user_id FROM {table}") == [(charlie.caller.user_id,)]


def test_revisions_continue_after_a_restart_with_an_emptied_log(services, store, alice):
    alice.set("a", 1)
    alice.delete("a")
    services.clock.now += 91 * DAY
    assert Purge(store).remove_trashed(services.clock() - 30 * DAY) == (1, 2)
    assert rows(store, "SELECT revision FROM log") == []
    store.stop()
    again = Person(services.open(), alice.caller)
    assert again.set("a", 2)["revision"] == 3
    assert again.get("a")["value"] == 2
    assert again.history(key="a")["writes"][0]["revision"] == 3
    assert rows(again.store, "SELECT revision FROM log") == [(3,)]


def test_receipts_are_kept_for_their_retention_period(services, store, alice):
    alice.set("a", 1, op_id="old")
    services.clock.now += 8 * DAY
    alice.set("b", 1, op_id="new")
    assert Purge(store).remove_receipts(services.clock() - 7 * DAY) == 1
    assert alice.set("b", 1, op_id="new")["replayed"] is True
    assert "replayed" not in alice.set("a", 1, op_id="old")


@pytest.mark.parametrize("steps", range(1, 6))
def test_interrupted_purge_loses_no_data_and_is_completed_by_the_next_one(services, store, alice, steps):
    gone = [secret() for _ in range(40)]
    for n, value in enumerate(gone):
        alice.batch(("set", f"t{n}", value), ("set", f"k{n}", n))
    alice.batch(*[("delete", f"t{n}") for n in range(40)])
    before = alice.list(limit=1000)["entries"]
    services.clock.now += 31 * DAY
    left = steps
    run = store.writer.run_in_transaction

    def run_some(fn):
        nonlocal left
        left -= 1
        if left < 0:
            raise Unavailable()
        return run(fn)

    store.writer.run_in_transaction = run_some
    # the steps: flush, floors, log, entries
    if steps < 4:
        with pytest.raises(Unavailable):
            Purge(store).remove_trashed(services.clock() - 30 * DAY)
    store.stop()
    store = services.open()
    alice = Person(store, alice.caller)
    assert alice.list(limit=1000)["entries"] == before
    Purge(store).remove_trashed(services.clock() - 30 * DAY)
    Purge(store).rewrite()
    assert services.database.find_bytes(gone) == []
    assert alice.list(limit=1000)["entries"] == before
    assert alice.sync(epoch=store.epoch, since=40)["reset"] is True
    assert alice.sync()["keys"] == 40


def test_other_writes_go_on_between_the_steps_of_a_purge(services, store, alice, charlie):
    for n in range(600):
        alice.set(f"t{n}", n)
    for start in range(0, 600, 100):
        alice.batch(*[("delete", f"t{n}") for n in range(start, start + 100)])
    services.clock.now += 31 * DAY
    run, written = store.writer.run_in_transaction, []

    def run_and_write(fn):
        written.append(charlie.set(f"k{len(written)}", 1)["revision"])
        return run(fn)

    store.writer.run_in_transaction = run_and_write
    assert Purge(store).remove_trashed(services.clock() - 30 * DAY)[0] == 600
    assert written == list(range(1, len(written) + 1))
    assert len(written) > 4
    assert charlie.sync()["keys"] == len(written)
