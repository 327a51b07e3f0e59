"""`history`, `restore`, `undo` and `trash`, on a real database: earlier writes can be read and restored."""

import dataclasses
import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.core.domain.space import Quota
from realtime_kv.errors import BadRequest, Conflict, Forbidden, InvalidKey, NotFound, OpIdReused, QuotaExceeded
from tests.core.services import Person, Watcher

DAY = 24 * 60 * 60 * 1000

_numbers = itertools.count()


@pytest.fixture
def limited(alice):
    """Alice's program, whose token is limited to `a/`."""
    return Person(alice.store, dataclasses.replace(alice.caller, kind="token", label="program", prefix="a/"))


def ops(write):
    return [(op["op"], op["key"], op.get("value")) for op in write["ops"]]


def refusal(kind, ask, *arguments, **options):
    with pytest.raises(kind) as refused:
        ask(*arguments, **options)
    return refused.value


# history


def test_history_lists_the_pushed_changes_newest_first_with_their_origin(store, alice, charlie):
    heard = Watcher(store)
    alice.set("a", 1)
    alice.batch(("set", "b", {"x": [1.5, "é"]}), ("set", "__proto__", None))
    alice.delete("a")
    charlie.set("a", "hers, not his")
    told = [
        write
        for news, change in zip(heard.commits, heard.changes, strict=True)
        if news.user_id == alice.caller.user_id
        for write in change["writes"]
    ]
    answer = alice.history()
    assert answer["writes"] == told[::-1]
    assert answer["floor"] == 1
    assert answer["writes"][0]["origin"] == {"session": "s1", "label": "A test", "via": "socket"}


def test_history_of_a_key_contains_only_that_key_and_survives_its_delete(alice):
    alice.batch(("set", "a", 1), ("set", "b", 2))
    alice.set("b", 3)
    alice.delete("a")
    alice.set("a", 4)
    writes = alice.history(key="a")["writes"]
    assert [(write["revision"], ops(write)) for write in writes] == [
        (4, [("set", "a", 4)]),
        (3, [("delete", "a", None)]),
        (1, [("set", "a", 1)]),
    ]
    assert alice.history(key="never")["writes"] == []


def test_history_is_paged(alice):
    for n in range(25):
        alice.batch(("set", "k", n), ("set", f"other{n}", n))
    for options in ({}, {"key": "k"}):
        seen, before = [], None
        while page := alice.history(before=before, limit=10, **options)["writes"]:
            assert len(page) <= 10
            seen += [write["revision"] for write in page]
            before = seen[-1]
        assert seen == list(range(25, 0, -1))


def test_history_pages_are_limited_by_size_and_resume_without_gaps(alice):
    for n in range(30):
        alice.set(f"k{n}", "x" * 60_000)
    first = alice.history(limit=1000)["writes"]
    assert 8 <= len(first) <= 10
    rest, before = [], first[-1]["revision"]
    while page := alice.history(before=before)["writes"]:
        rest += page
        before = page[-1]["revision"]
    assert [write["revision"] for write in first + rest] == list(range(30, 0, -1))


def test_unflushed_writes_are_in_the_history(services, alice):
    for n in range(1, 20):
        alice.set("k", n)
        assert alice.history(limit=1)["writes"][0]["revision"] == n
        assert alice.history(key="k", limit=1)["writes"][0]["revision"] == n


def test_history_is_the_same_after_a_restart(services, store, alice):
    for n in range(5):
        alice.set("k", n)
    alice.history()
    alice.set("k", "after the index was made")
    before = alice.history()
    store.stop()
    again = Person(services.open(), alice.caller)
    assert again.history() == before
    assert again.history(key="k")["writes"] == before["writes"]


def test_limited_token_sees_only_the_history_under_its_prefix(alice, limited):
    alice.set("b/secret", 1)
    alice.batch(("set", "a/1", 1), ("set", "b/secret", 2))
    alice.set("a/2", 2)
    alice.delete("b/secret")
    writes = limited.history()["writes"]
    assert [(write["revision"], ops(write)) for write in writes] == [
        (3, [("set", "a/2", 2)]),
        (2, [("set", "a/1", 1)]),
    ]
    assert len(limited.history(key="a/1")["writes"]) == 1
    for key in ("b/secret", "b/never", "a"):
        refusal(Forbidden, limited.history, key=key)
    refusal(InvalidKey, alice.history, key="")


def test_limited_token_finds_its_write_behind_many_others(alice, limited):
    alice.set("a/first", 1)
    for n in range(50):
        alice.set("b", n)
    assert [write["revision"] for write in limited.history(limit=1)["writes"]] == [1]


# restore


def test_restore_of_a_deleted_key_continues_its_version_count(alice):
    alice.set("k", 1)
    alice.set("k", {"deep": ["é"]})
    alice.delete("k")
    assert alice.restore("k") == {"ok": True, "revision": 4, "version": 3}
    entry = alice.get("k")
    assert (entry["value"], entry["created_revision"], entry["version"], entry["expires_at"]) == (
        {"deep": ["é"]},
        1,
        3,
        None,
    )
    assert alice.history(key="k")["writes"][0]["ops"] == [
        {"op": "set", "key": "k", "value": {"deep": ["é"]}, "version": 3}
    ]
    assert alice.sync()["keys"] == 1
    assert alice.trash()["entries"] == []


def test_restore_of_an_earlier_revision_works_on_live_and_deleted_keys(alice):
    for n in (1, 2, 3):
        alice.set("k", n)
    assert alice.restore("k", revision=1) == {"ok": True, "revision": 4, "version": 4}
    assert alice.get("k")["value"] == 1
    alice.delete("k")
    assert alice.restore("k", revision=2) == {"ok": True, "revision": 6, "version": 5}
    assert alice.get("k")["value"] == 2


def test_restored_entry_never_expires(services, alice):
    alice.set("k", 1, ttl=100)
    alice.delete("k")
    alice.restore("k")
    assert alice.get("k")["expires_at"] is None
    alice.set("k", 2, ttl=100)
    alice.restore("k", revision=1)
    assert alice.get("k")["expires_at"] is None


@pytest.mark.parametrize("flushed", [False, True])
def test_restore_finds_the_last_value_before_and_after_a_flush(alice, flushed):
    alice.set("k", "old")
    alice.list()
    alice.set("k", "new")
    if flushed:
        alice.list()
    alice.delete("k")
    if flushed:
        alice.list()
    alice.restore("k")
    assert alice.get("k")["value"] == "new"
    assert alice.list()["entries"][0]["value"] == "new"


def test_impossible_restore_is_refused_with_the_reason(alice):
    alice.set("live", 1)
    alice.delete("live")
    alice.set("live", 2)
    assert refusal(BadRequest, alice.restore, "live").extra["field"] == "revision"
    assert refusal(BadRequest, alice.restore, "live", revision=2).extra["field"] == "revision"
    refusal(NotFound, alice.restore, "never")
    refusal(NotFound, alice.restore, "never", revision=1)
    refusal(NotFound, alice.restore, "live", revision=0)
    refusal(NotFound, alice.restore, "live", revision=99)
    refusal(InvalidKey, alice.restore, "a\nb")
    assert alice.sync()["revision"] == 3


def test_restore_honours_if_revision_like_set(alice):
    alice.set("k", 1)
    alice.set("k", 2)
    conflict = refusal(Conflict, alice.restore, "k", revision=1, if_revision=1)
    assert conflict.extra["entry"].revision == 2
    assert alice.restore("k", revision=1, if_revision=2)["version"] == 3
    alice.delete("k")
    assert refusal(Conflict, alice.restore, "k", if_revision=3).extra["entry"] is None
    assert alice.restore("k", if_revision=0)["version"] == 4


def test_a_restore_keeps_to_the_quota(services):
    store = services.open(quota=Quota(keys=1))
    alice = Person(store, services.add_user("alice"))
    alice.set("a", 1)
    alice.delete("a")
    alice.set("b", 1)
    refusal(QuotaExceeded, alice.restore, "a")
    alice.delete("b")
    assert alice.restore("a")["version"] == 2


def test_retried_restore_replays_its_answer_although_the_key_is_live(services, store, alice):
    alice.set("k", 1)
    alice.delete("k")
    first = alice.restore("k", op_id="r")
    assert alice.restore("k", op_id="r") == {**first, "replayed": True}
    refusal(OpIdReused, alice.restore, "k", revision=1, op_id="r")
    refusal(OpIdReused, alice.set, "k", 1, op_id="r")
    store.stop()
    again = Person(services.open(), alice.caller)
    assert again.restore("k", op_id="r") == {**first, "replayed": True}
    assert again.sync()["revision"] == 3


def test_token_restores_only_within_its_prefix_and_scope(alice, limited):
    for key in ("a/k", "b/k"):
        alice.set(key, 1)
        alice.delete(key)
    for key in ("b/k", "b/never"):
        refusal(Forbidden, limited.restore, key)
        refusal(Forbidden, limited.restore, key, revision=1)
    assert limited.restore("a/k")["version"] == 2
    reader = Person(alice.store, dataclasses.replace(alice.caller, kind="token", scope="read"))
    assert refusal(Forbidden, reader.restore, "b/k").extra == {"needs": "write"}
    assert refusal(Forbidden, reader.undo, 1).extra == {"needs": "write"}


# undo


def test_undo_reverts_all_ops_of_a_write_in_one_write(store, alice):
    alice.batch(("set", "changed", "before"), ("set", "deleted", "here"))
    alice.batch(("set", "changed", "after"), ("delete", "deleted"), ("set", "created", 1))
    heard = Watcher(store)
    assert alice.undo(2) == {"ok": True, "revision": 3, "count": 3}
    assert [len(change["writes"]) for change in heard.changes] == [1]
    assert {entry["key"]: (entry["value"], entry["version"]) for entry in alice.list()["entries"]} == {
        "changed": ("before", 3),
        "deleted": ("here", 2),
    }
    # and the undo can be undone
    assert alice.undo(3)["count"] == 3
    assert {entry["key"]: entry["value"] for entry in alice.list()["entries"]} == {"changed": "after", "created": 1}


def test_undo_restores_the_replaced_expiry_and_no_value_expired_since(services, alice):
    alice.set("k", 1, ttl=1000)
    before = alice.get("k")["expires_at"]
    alice.set("k", 2, ttl=None)
    alice.undo(2)
    assert (alice.get("k")["value"], alice.get("k")["expires_at"]) == (1, before)
    alice.delete("k")
    alice.undo(4)
    assert alice.get("k")["expires_at"] == before
    alice.set("k", 3, ttl=None)
    alice.set("gone", 1, ttl=1000)
    alice.delete("gone")
    services.clock.now += 2_000_000
    # the earlier value would have expired by now
    assert alice.undo(6)["count"] == 1
    refusal(NotFound, alice.get, "k")
    assert [op["op"] for op in alice.history(key="k", limit=1)["writes"][0]["ops"]] == ["delete"]
    # but a deleted entry comes back when its user undoes the delete
    assert alice.undo(8)["count"] == 1
    assert alice.get("gone")["expires_at"] is None


def test_undos_can_be_chained_backward_and_forward(alice):
    """Undo as in a text editor: a value that an undo restored counts as the previous value."""
    for value in (1, 2, 3):
        alice.set("k", value)
    alice.delete("k")
    # revisions 5, 6, 7: back to 3, 2, 1
    for revision, value in ((4, 3), (3, 2), (2, 1)):
        alice.undo(revision, dry_run=True)
        alice.undo(revision)
        assert alice.get("k")["value"] == value
    alice.undo(1)
    refusal(NotFound, alice.get, "k")
    # and forward again
    for revision, value in ((8, 1), (7, 2), (6, 3)):
        alice.undo(revision)
        assert alice.get("k")["value"] == value
    alice.undo(5)
    refusal(NotFound, alice.get, "k")
    assert [write.get("undoes") for write in alice.history(limit=8)["writes"]] == [5, 6, 7, 8, 1, 2, 3, 4]


def test_chained_undos_stop_at_an_intervening_write(alice):
    alice.set("k", 1)
    alice.set("k", 2)
    alice.set("k", "somebody else's")
    alice.delete("k")
    alice.undo(4)
    assert refusal(Conflict, alice.undo, 2).extra["entry"].revision == 5
    assert alice.get("k")["value"] == "somebody else's"


def test_undo_of_a_delete_restores_its_own_value_after_an_undone_recreation(services, alice):
    alice.set("k", "first", ttl=1000)
    alice.delete("k")
    alice.set("k", "second")
    alice.undo(3)
    services.clock.now += 2_000_000
    alice.undo(2)
    assert (alice.get("k")["value"], alice.get("k")["expires_at"]) == ("first", None)


def test_overlapping_bulk_writes_are_undone_one_by_one(alice):
    alice.batch(*[("set", f"k{n}", 1) for n in range(100)])
    alice.batch(*[("set", f"k{n}", 2) for n in range(50)])
    alice.batch(*[("delete", f"k{n}") for n in range(25, 75)])
    for revision, keys, total in ((3, 100, 150), (2, 100, 100), (1, 0, 0)):
        alice.undo(revision)
        entries = alice.list(limit=1000)["entries"]
        assert (len(entries), sum(entry["value"] for entry in entries)) == (keys, total)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 1, 2])), max_size=8), st.data())
@settings(max_examples=40)
def test_any_sequence_of_writes_can_be_undone_back_to_the_beginning(services, wishes, data):
    alice = Person(services.open(), services.add_user(f"alice{next(_numbers)}"))

    def state():
        return {entry["key"]: entry["value"] for entry in alice.list()["entries"]}

    done, states = [], [state()]
    for key, value in wishes:
        answer = alice.delete(key) if value is None else alice.set(key, value)
        if answer.get("existed", True):
            done.append(answer["revision"])
            states.append(state())
    undone = []
    for forth in data.draw(st.lists(st.booleans(), max_size=12)):
        if forth and undone:
            done.append(alice.undo(undone.pop())["revision"])
        elif done:
            undone.append(alice.undo(done.pop())["revision"])
        assert state() == states[len(done)]
    while done:
        alice.undo(done.pop())
        assert state() == states[len(done)]


def test_undo_is_refused_as_a_whole_if_any_of_its_keys_changed_since(alice):
    alice.batch(("set", "a", 1), ("set", "b", 1))
    alice.batch(("set", "a", 2), ("set", "b", 2), ("set", "c", 2))
    alice.set("b", "somebody else's")
    before = alice.list()["entries"]
    conflict = refusal(Conflict, alice.undo, 2)
    assert (conflict.extra["entry"].key, conflict.extra["entry"].revision) == ("b", 3)
    assert msgspec.json.encode(conflict.body())
    assert alice.list()["entries"] == before
    alice.delete("b")
    conflict = refusal(Conflict, alice.undo, 2)
    assert (conflict.extra["entry"], conflict.extra["key"]) == (None, "b")
    assert "'b'" in conflict.message


def test_undo_of_a_delete_is_refused_after_the_key_was_recreated(alice):
    alice.set("k", 1)
    alice.delete("k")
    alice.set("k", "new")
    assert refusal(Conflict, alice.undo, 2).extra["entry"].revision == 3
    alice.delete("k")
    refusal(Conflict, alice.undo, 2)
    assert alice.undo(4)["revision"] == 5
    assert alice.get("k")["value"] == "new"


def test_undo_of_a_restore_returns_to_the_state_before_it(alice):
    alice.set("k", 1)
    alice.delete("k")
    alice.restore("k")
    alice.undo(3)
    refusal(NotFound, alice.get, "k")
    alice.set("j", 1)
    alice.set("j", 2)
    alice.restore("j", revision=5)
    alice.undo(7)
    assert alice.get("j")["value"] == 2


def test_undo_of_a_set_conflicts_after_the_key_has_expired(services, alice):
    alice.set("k", 1, ttl=10)
    services.clock.now += 20_000
    assert refusal(Conflict, alice.undo, 1).extra["entry"] is None


def test_undo_dry_run_checks_conflicts_and_stores_no_write_or_receipt(store, alice):
    alice.set("a", 1)
    alice.set("a", 2)
    heard = Watcher(store)
    before = alice.sync()
    assert alice.undo(2, dry_run=True, op_id="x") == {"ok": True, "revision": 2, "count": 1}
    assert alice.sync() == before
    assert heard.changes == []
    assert alice.undo(2, op_id="x")["revision"] == 3
    refusal(Conflict, alice.undo, 2, dry_run=True)
    assert alice.undo(2, op_id="x") == {"ok": True, "revision": 3, "count": 1, "replayed": True}


def test_undo_of_an_unknown_revision_is_not_found(alice):
    alice.set("a", 1)
    for revision in (0, 2, 2**53 - 1):
        refusal(NotFound, alice.undo, revision)


def test_undo_keeps_to_the_quota(services):
    store = services.open(quota=Quota(keys=1))
    alice = Person(store, services.add_user("alice"))
    alice.set("a", 1)
    alice.delete("a")
    alice.set("b", 1)
    refusal(QuotaExceeded, alice.undo, 2)
    refusal(QuotaExceeded, alice.undo, 2, dry_run=True)
    refusal(NotFound, alice.get, "a")


def test_limited_token_undoes_only_writes_entirely_under_its_prefix(alice, limited):
    alice.set("a/1", 1)
    alice.batch(("set", "a/1", 2), ("set", "b", 2))
    refusal(Forbidden, limited.undo, 2)
    assert alice.get("a/1")["value"] == 2
    assert limited.undo(limited.set("a/1", 3)["revision"])["count"] == 1
    assert alice.get("a/1")["value"] == 2


def test_write_of_2000_ops_is_undone_in_one_write(store, alice, monkeypatch):
    monkeypatch.setattr("realtime_kv.core.store.BATCH_OPS", 2000)
    alice.batch(*[("set", f"k{n}", f"first {n}") for n in range(1500)])
    alice.batch(
        *[("set", f"k{n}", "x") for n in range(1000)],
        *[("delete", f"k{n}") for n in range(1000, 1500)],
        *[("set", f"new{n}", n) for n in range(500)],
    )
    assert alice.undo(2, dry_run=True)["count"] == 2000
    assert alice.undo(2)["count"] == 2000
    assert alice.sync()["keys"] == 1500
    assert alice.get("k77")["value"] == "first 77"
    assert alice.get("k1400")["value"] == "first 1400"


# after a crash between commit and flush


@pytest.mark.parametrize("last", ["restore", "undo", "restore, then more"])
def test_crash_before_the_flush_loses_no_restore_or_undo(services, alice, last):
    alice.set("k", 1, ttl=1_000_000)
    alice.set("j", 1, ttl=2_000_000)
    alice.delete("k")
    alice.batch(("set", "j", 2), ("set", "new", 1))
    if last == "undo":
        alice.undo(4)
    else:
        alice.restore("k")
    if last == "restore, then more":
        alice.set("k", 2)
        alice.delete("j")
        alice.set("k", 3)
    # as after a crash, while the store that did the writes still knows what must be there
    again = Person(services.open(), alice.caller)
    found = state(again), again.trash()["entries"], again.history()
    assert found == (state(alice), alice.trash()["entries"], alice.history())


def state(person):
    """Return everything that a client can see of it, except the trash."""
    synced = person.sync()
    return person.list()["entries"], synced["revision"], synced["keys"], synced["digest"]


# trash


def test_trash_lists_deleted_entries_with_origin_and_purge_time(services, alice, charlie):
    alice.set("b", {"x": 1})
    alice.set("a", 1)
    alice.set("live", 1)
    alice.delete("b")
    alice.delete("a")
    charlie.set("c", 1)
    charlie.delete("c")
    answer = alice.trash()
    assert [(entry["key"], entry["value"], entry["revision"], entry["version"]) for entry in answer["entries"]] == [
        ("a", 1, 5, 1),
        ("b", {"x": 1}, 4, 1),
    ]
    first = answer["entries"][0]
    assert first["origin"] == {"session": "s1", "label": "A test", "via": "socket"}
    assert first["deleted_at"] == refusal(NotFound, alice.get, "a").extra["deleted_at"]
    assert first["deleted_at"][:10] == "2027-01-15" and first["purge_at"] == first["deleted_at"].replace(
        "2027-01-15", "2027-02-14"
    )
    assert (answer["next"], answer["revision"]) == (None, 5)


def test_trash_is_paged(alice):
    for n in range(25):
        alice.set(f"k{n:02}", "x" * 50_000 if n < 12 else n)
    alice.batch(*[("delete", f"k{n:02}") for n in range(25)])
    seen, after, pages = [], None, 0
    while True:
        page = alice.trash(after=after, limit=10)
        seen += [entry["key"] for entry in page["entries"]]
        after, pages = page["next"], pages + 1
        if after is None:
            break
    assert seen == [f"k{n:02}" for n in range(25)]
    assert pages == 3
    assert [entry["key"] for entry in alice.trash(prefix="k1", after="k17")["entries"]] == ["k18", "k19"]


def test_limited_token_sees_only_the_trash_under_its_prefix(alice, limited):
    for key in ("a/1", "b/1"):
        alice.set(key, 1)
        alice.delete(key)
    assert [entry["key"] for entry in limited.trash()["entries"]] == ["a/1"]
    assert [entry["key"] for entry in limited.trash(prefix="a/1")["entries"]] == ["a/1"]
    refusal(Forbidden, limited.trash, prefix="b/")
