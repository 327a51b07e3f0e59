import base64

import pytest
from sqlalchemy import update

from realtime_kv.core.messages import digest_of
from realtime_kv.errors import BadRequest, Conflict, NotFound, OpIdReused, TooLarge, Unauthenticated
from realtime_kv.storage.models import UserSession
from tests.core.services import Person, Watcher


def test_get_returns_the_value_that_was_set(alice):
    assert alice.set("colour", {"r": 1.5, "g": None}) == {"ok": True, "revision": 1, "version": 1}
    entry = alice.get("colour")
    assert entry["value"] == {"r": 1.5, "g": None}
    assert (entry["revision"], entry["created_revision"], entry["version"], entry["expires_at"]) == (1, 1, 1, None)
    assert entry["created_at"] == entry["updated_at"]


def test_a_missing_key_is_not_found_and_one_in_the_trash_has_a_deletion_time(alice):
    with pytest.raises(NotFound) as never:
        alice.get("colour")
    assert never.value.extra == {}
    alice.set("colour", "red")
    alice.delete("colour")
    with pytest.raises(NotFound) as trashed:
        alice.get("colour")
    assert trashed.value.extra["deleted_at"].endswith("Z")


def test_versions_count_up_and_restart_after_a_delete(alice):
    alice.set("k", 1)
    assert alice.set("k", 1) == {"ok": True, "revision": 2, "version": 2}
    assert alice.delete("k") == {"ok": True, "revision": 3, "existed": True}
    assert alice.set("k", 1) == {"ok": True, "revision": 4, "version": 1}
    assert alice.get("k")["created_revision"] == 4


def test_deleting_a_missing_key_takes_no_revision(alice):
    alice.set("k", 1)
    assert alice.delete("nothing") == {"ok": True, "revision": 1, "existed": False}


def test_a_conditional_write_succeeds_only_at_the_expected_revision(alice):
    alice.set("k", 1, if_revision=0)
    with pytest.raises(Conflict) as conflict:
        alice.set("k", 2, if_revision=0)
    assert conflict.value.extra["entry"].revision == 1
    alice.set("k", 2, if_revision=1)
    with pytest.raises(Conflict):
        alice.delete("k", if_revision=1)
    with pytest.raises(Conflict) as gone:
        alice.set("other", 1, if_revision=5)
    assert gone.value.extra["entry"] is None


def test_a_retry_with_the_same_op_id_writes_nothing(alice):
    first = alice.set("k", {"a": 1, "b": 2.0}, op_id="x")
    assert alice.set("k", {"b": 2, "a": 1}, op_id="x") == {**first, "replayed": True}
    with pytest.raises(OpIdReused):
        alice.set("k", 3, op_id="x")
    with pytest.raises(OpIdReused):
        alice.delete("k", op_id="x")
    nothing = alice.delete("absent", op_id="y")
    alice.set("absent", 1)
    assert alice.delete("absent", op_id="y") == {**nothing, "replayed": True}


def test_a_refused_write_leaves_no_receipt(alice):
    with pytest.raises(Conflict):
        alice.set("k", 1, if_revision=3, op_id="x")
    alice.set("a", 1)
    alice.set("b", 1)
    alice.set("k", 0)
    assert alice.set("k", 1, if_revision=3, op_id="x")["revision"] == 4


def test_op_ids_and_keys_are_separate_for_each_user(alice, charlie):
    alice.set("k", "hers", op_id="x")
    assert charlie.set("k", "his", op_id="x") == {"ok": True, "revision": 1, "version": 1}
    assert alice.get("k")["value"] == "hers"
    charlie.delete("k")
    assert [entry["key"] for entry in alice.list()["entries"]] == ["k"]


def test_a_batch_is_one_write(alice):
    heard = Watcher(alice.store)
    alice.set("old", 1)
    answer = alice.batch(("set", "a", 1), ("delete", "old"), ("delete", "absent"), op_id="b")
    assert answer["results"] == [{"version": 1}, {"existed": True}, {"existed": False}]
    assert answer["revision"] == 2
    assert heard.changes[-1]["writes"][0]["ops"] == [
        {"op": "set", "key": "a", "value": 1, "version": 1},
        {"op": "delete", "key": "old"},
    ]
    assert alice.batch(("delete", "absent"), ("delete", "old"))["revision"] == 2
    again = alice.batch(("set", "a", 1), ("delete", "old"), ("delete", "absent"), op_id="b")
    assert again == {**answer, "replayed": True}


def test_a_batch_has_1_to_128_ops_on_different_keys(alice):
    with pytest.raises(BadRequest):
        alice.batch()
    with pytest.raises(BadRequest):
        alice.batch(("set", "a", 1), ("delete", "a"))
    with pytest.raises(TooLarge):
        alice.batch(*(("set", str(n), n) for n in range(129)))
    assert len(alice.batch(*(("set", str(n), n) for n in range(128)))["results"]) == 128


def test_a_change_reaches_watchers_before_the_writer_is_answered(alice):
    order = []
    alice.store.watch(lambda _: order.append("change"))
    alice.store.set(alice.caller, "k", b"1").then(lambda _: order.append("answer"))
    assert order == ["change", "answer"]


def test_a_watcher_that_fails_cannot_undo_a_write(alice):
    def fail(_):
        raise RuntimeError("this watcher is broken")

    alice.store.watch(fail)
    heard = Watcher(alice.store)
    assert alice.set("k", 1)["revision"] == 1
    assert heard.changes[0]["revision"] == 1


def test_a_session_that_has_ended_may_not_write(services, alice):
    alice.set("k", 1)
    alice.store.writer.run_in_transaction(lambda db: db.execute(update(UserSession).values(ended_at=services.clock())))
    with pytest.raises(Unauthenticated):
        alice.set("k", 2)
    assert alice.get("k")["value"] == 1


def test_lists_come_in_byte_order_page_by_page(alice):
    keys = ["a", "a//b", "a/b", "b", "é", "\ue000", "😀", "__proto__", "."]
    for key in keys:
        alice.set(key, key)
    in_order = sorted(keys, key=str.encode)
    assert [entry["key"] for entry in alice.list()["entries"]] == in_order
    seen, after = [], {}
    while True:
        page = alice.list(limit=2, **after)
        seen += [entry["key"] for entry in page["entries"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == in_order
    assert [entry["key"] for entry in alice.list(prefix="a/")["entries"]] == ["a//b", "a/b"]
    assert [entry["key"] for entry in alice.list(prefix="a", after="a//zzz")["entries"]] == ["a/b"]
    assert [entry["key"] for entry in alice.list(prefix="😀")["entries"]] == ["😀"]
    assert "value" not in alice.list(values=False)["entries"][0]
    assert alice.list(prefix="nothing") == {"ok": True, "entries": [], "next": None, "revision": len(keys)}


def test_prefixes_match_literally_without_wildcards(alice):
    for key in ["a%b", "axb", "a_b", "\U0010ffff\U0010ffff", "\ud7ff", "\ue000"]:
        alice.set(key, 1)
    assert [e["key"] for e in alice.list(prefix="a%")["entries"]] == ["a%b"]
    assert [e["key"] for e in alice.list(prefix="a_")["entries"]] == ["a_b"]
    assert [e["key"] for e in alice.list(prefix="\ud7ff")["entries"]] == ["\ud7ff"]
    assert [e["key"] for e in alice.list(prefix="\U0010ffff")["entries"]] == ["\U0010ffff\U0010ffff"]


def test_a_page_of_a_list_ends_at_about_512_kib(alice):
    for n in range(20):
        alice.set(f"{n:02}", "x" * 60_000)
    page = alice.list(limit=1000)
    assert 8 <= len(page["entries"]) <= 10
    assert page["next"] == page["entries"][-1]["key"]


def apply(copy, page):
    """Apply a page of a sync as a client does."""
    for write in page["writes"]:
        for op in write["ops"]:
            if op["op"] == "set":
                copy[op["key"]] = (op["value"], write["revision"], op["version"])
            else:
                copy.pop(op["key"], None)


def digest(copy):
    return sum(digest_of(key, revision) for key, (_, revision, _) in copy.items()) % 2**32


def the_space(alice):
    page = alice.list(limit=1000)
    entries = page["entries"]
    while page["next"]:
        page = alice.list(limit=1000, after=page["next"])
        entries += page["entries"]
    return {entry["key"]: (entry["value"], entry["revision"], entry["version"]) for entry in entries}


def test_a_sync_without_a_position_returns_the_whole_space(alice):
    alice.set("a", 1)
    alice.batch(("set", "b", "é"), ("set", "a", 2))
    alice.delete("b")
    answer = alice.sync()
    assert (answer["reset"], answer["from"], answer["revision"], answer["next"]) == (True, 0, 3, None)
    copy = {}
    apply(copy, answer)
    assert copy == the_space(alice)
    assert (answer["keys"], answer["digest"]) == (1, digest(copy))
    assert all(op["op"] == "set" for write in answer["writes"] for op in write["ops"])


def test_a_sync_from_a_position_returns_the_net_effect_of_later_writes(alice):
    alice.set("a", 1)
    alice.set("b", 1)
    epoch = alice.sync()["epoch"]
    alice.set("a", 2)
    alice.set("a", 3)
    alice.delete("b")
    answer = alice.sync(epoch=epoch, since=2)
    assert (answer["reset"], answer["from"], answer["revision"]) == (False, 2, 5)
    assert [(w["revision"], [op["key"] for op in w["ops"]]) for w in answer["writes"]] == [(4, ["a"]), (5, ["b"])]
    assert answer["writes"][0]["origin"] == {"session": "s1", "label": "A test", "via": "socket"}
    assert alice.sync(epoch=epoch, since=5)["writes"] == []


@pytest.mark.parametrize("options", [{}, {"since": 1}, {"epoch": "another", "since": 1}, {"since": 99}])
def test_a_sync_from_an_unknown_or_unreachable_position_is_a_reset(alice, options):
    alice.set("a", 1)
    if options == {"since": 99}:
        options = {"epoch": alice.sync()["epoch"], "since": 99}
    assert alice.sync(**options)["reset"] is True


def test_a_paged_sync_ends_at_the_latest_state_despite_concurrent_writes(alice):
    for n in range(60):
        alice.set(f"{n:02}", "x" * 30_000)
    alice.delete("59")
    pages = [alice.sync()]
    for step in range(100):
        if pages[-1]["next"] is None:
            break
        assert "digest" not in pages[-1]
        # a key of an earlier page, one of a later page, a new one and a deleted one
        if step < 3:
            alice.set("00", step)
            alice.delete(f"{10 + step}")
            alice.set(f"new {step}", step)
            alice.delete(f"{40 + step}")
        pages.append(alice.sync(next=pages[-1]["next"]))
        assert pages[-1]["from"] == pages[-2]["revision"]
        assert pages[-1]["reset"] is True
    assert len(pages) > 3
    copy = {}
    for page in pages:
        apply(copy, page)
    assert copy == the_space(alice)
    assert pages[-1]["revision"] == alice.list()["revision"]
    assert (pages[-1]["keys"], pages[-1]["digest"]) == (len(copy), digest(copy))


def test_writes_are_never_split_between_pages(alice):
    for n in range(20):
        alice.batch(*(("set", f"{n:02}/{m:03}", "x" * 400) for m in range(128)))
    revisions, next_page = [], None
    while True:
        page = alice.sync(**({"next": next_page} if next_page else {}))
        for write in page["writes"]:
            assert len(write["ops"]) == 128
            revisions.append(write["revision"])
        if (next_page := page["next"]) is None:
            break
    assert revisions == list(range(1, 21))


def test_a_sync_of_many_small_writes_is_paged(alice):
    for n in range(70):
        alice.batch(*(("set", f"{n}/{m}", 1) for m in range(128)))
    copy, page = {}, alice.sync()
    apply(copy, page)
    assert page["next"] is not None
    while page["next"]:
        page = alice.sync(next=page["next"])
        apply(copy, page)
    assert len(copy) == page["keys"] == 70 * 128
    assert page["digest"] == digest(copy)


@pytest.mark.parametrize("garbage", ["", "zz", "AAAA", "W10=", "é", "WyJhIiwxLDIsMyw0XQ=="])
def test_a_malformed_next_is_a_bad_request(alice, garbage):
    with pytest.raises(BadRequest):
        alice.sync(next=garbage)


@pytest.mark.parametrize("positions", ["0,9223372036854775808", "9223372036854775808,0", "0,-2", "-1,0"])
def test_a_forged_next_is_a_bad_request(alice, positions):
    alice.set("k", 1)
    made_up = f'["{alice.store.epoch}",{positions},true]'
    with pytest.raises(BadRequest):
        alice.sync(next=base64.urlsafe_b64encode(made_up.encode()).decode())


def test_entries_and_receipts_survive_a_restart(services, alice):
    for n in range(10):
        alice.set(f"{n}", n, op_id=str(n))
    before = alice.sync()
    alice.store.stop()
    again = Person(services.open(), alice.caller)
    assert again.sync() == before
    assert again.set("3", 3, op_id="3")["replayed"] is True
    assert again.set("k", 1)["revision"] == 11
