"""A token's scope and prefix, on every verb: a forbidden key is indistinguishable from a missing one."""

import dataclasses
import time

import msgspec
import pytest

from realtime_kv.core.domain.space import Quota
from realtime_kv.errors import Conflict, Forbidden, InvalidKey, NotFound, QuotaExceeded
from tests.core.services import Person


@pytest.fixture
def program(alice):
    """Return a function that makes Alice's program, with a token of a given kind."""

    def program(prefix=None, scope="write", store=None):
        caller = dataclasses.replace(alice.caller, kind="token", label="program", scope=scope, prefix=prefix)
        return Person(store or alice.store, caller)

    return program


def refused(ask):
    with pytest.raises(Forbidden) as refusal:
        ask()
    return refusal.value


def test_read_scope_token_can_read_and_cannot_write(alice, program):
    alice.set("k", 1)
    reader = program(scope="read")
    assert reader.get("k")["value"] == 1
    assert len(reader.list()["entries"]) == len(reader.sync()["writes"]) == 1
    for ask in (
        lambda: reader.set("k", 2),
        lambda: reader.set("k", 2, op_id="x"),
        lambda: reader.delete("k"),
        lambda: reader.delete("never there"),
        lambda: reader.batch(("set", "k", 2), ("delete", "other")),
    ):
        assert refused(ask).extra == {"needs": "write"}
    assert alice.get("k")["value"] == 1
    assert alice.sync()["revision"] == 1


def test_key_outside_the_prefix_is_forbidden_whether_or_not_it_exists(alice, program):
    alice.set("b/there", 1)
    alice.set("b/trash", 1)
    alice.delete("b/trash")
    limited = program("a/")
    answers = set()
    for key in ("b/there", "b/trash", "b/never", "a", "A/x", "x/a/", "á/"):
        for ask in (
            lambda key=key: limited.get(key),
            lambda key=key: limited.set(key, 1),
            lambda key=key: limited.set(key, 1, if_revision=0),
            lambda key=key: limited.set(key, 1, op_id="x"),
            lambda key=key: limited.delete(key),
            lambda key=key: limited.delete(key, if_revision=7),
        ):
            answers.add(msgspec.json.encode(refused(ask).body()))
    # the same answer, byte for byte
    assert len(answers) == 1
    assert alice.sync()["revision"] == 3


def test_limited_token_has_full_access_to_its_own_keys(alice, program):
    limited = program("a/")
    alice.set("b", 1)
    assert limited.set("a/x", 1) == {"ok": True, "revision": 2, "version": 1}
    assert limited.set("a/", 1)["version"] == 1
    assert limited.get("a/x")["value"] == 1
    assert limited.batch(("set", "a/y", 1), ("delete", "a/x"))["results"] == [{"version": 1}, {"existed": True}]
    with pytest.raises(Conflict) as conflict:
        limited.set("a/y", 2, if_revision=0)
    assert conflict.value.extra["entry"].key == "a/y"
    with pytest.raises(NotFound):
        limited.get("a/never")


def test_batch_with_a_key_outside_the_prefix_writes_nothing_and_names_the_op(alice, program):
    limited = program("a/")
    assert refused(lambda: limited.batch(("set", "a/x", 1), ("set", "b", 1), ("set", "c", 1))).extra == {"index": 1}
    assert refused(
        lambda: limited.batch(
            ("delete", "b"),
        )
    ).extra == {"index": 0}
    assert alice.list()["entries"] == []


def test_malformed_key_is_invalid_inside_and_outside_the_prefix(program):
    for key in ("", "a/\n", "b\n"):
        with pytest.raises(InvalidKey):
            program("a/").get(key)


def test_list_shows_only_keys_under_the_token_prefix(alice, program):
    for key in ("a", "a/x/1", "a/x/2", "a/y", "a0", "b"):
        alice.set(key, 1)
    limited = program("a/")

    def keys(**options):
        return [entry["key"] for entry in limited.list(**options)["entries"]]

    assert keys(prefix="a/x/") == ["a/x/1", "a/x/2"]
    for broader in ("", "a", "a/"):
        assert keys(prefix=broader) == ["a/x/1", "a/x/2", "a/y"]
    assert keys(after="a/x/1") == ["a/x/2", "a/y"]
    assert keys(after="") == keys()
    assert keys(after="zzz") == []
    for disjoint in ("b", "a0", "A/"):
        assert refused(lambda prefix=disjoint: limited.list(prefix=prefix)).extra == {}
    page = limited.list(limit=2)
    assert page["next"] == "a/x/2"
    assert keys(after=page["next"], limit=2) == ["a/y"]
    # the answer does not reveal keys behind the last of its own
    assert limited.list(limit=3)["next"] is None


def test_limited_sync_returns_only_ops_on_own_keys_and_no_digest(alice, program):
    alice.set("b", 1)
    alice.batch(("set", "a/x", 1), ("set", "b", 2), ("set", "a/y", 1))
    alice.set("c", 1)
    synced = program("a/").sync()
    assert [(write["revision"], [op["key"] for op in write["ops"]]) for write in synced["writes"]] == [
        (2, ["a/x", "a/y"])
    ]
    assert (synced["reset"], synced["from"], synced["revision"], synced["next"]) == (True, 0, 3, None)
    assert "keys" not in synced and "digest" not in synced
    assert "keys" in alice.sync()


def test_limited_sync_since_a_revision_returns_later_ops_on_own_keys(alice, program):
    limited = program("a/")
    alice.set("a/x", 1)
    alice.set("a/y", 1)
    at = limited.sync()
    alice.delete("a/x")
    alice.delete("b")
    alice.set("b", 1)
    alice.delete("b")
    after = limited.sync(epoch=at["epoch"], since=at["revision"])
    assert (after["reset"], after["from"], after["revision"]) == (False, 2, 5)
    assert [write["ops"] for write in after["writes"]] == [[{"op": "delete", "key": "a/x"}]]
    assert limited.sync(epoch=at["epoch"], since=5)["writes"] == []


def pages(person, between=lambda: None):
    page = person.sync()
    collected = [page]
    while page["next"] is not None:
        between()
        page = person.sync(next=page["next"])
        collected.append(page)
    return collected


def test_long_limited_sync_is_split_into_consecutive_pages(alice, program):
    for n in range(24):
        alice.set(f"a/{n}", "x" * 60_000)
        alice.set(f"b/{n}", "y" * 60_000)
    seen = pages(program("a/"), between=lambda: alice.set("b/more", 1))
    assert len(seen) > 1
    assert [page["from"] for page in seen] == [0, *(page["revision"] for page in seen[:-1])]
    assert [op["key"] for page in seen for write in page["writes"] for op in write["ops"]] == [
        f"a/{n}" for n in range(24)
    ]
    assert all(page["reset"] and "digest" not in page for page in seen)
    assert seen[-1]["revision"] == alice.list()["revision"]


def test_limited_sync_pages_do_not_reveal_the_amount_of_other_data(alice, program):
    for n in range(24):
        alice.set(f"b/{n}", "y" * 60_000)
    alice.set("a/x", 1)
    assert len(pages(program("a/"))) == 1
    assert len(pages(alice)) > 1


def test_sync_cursor_of_another_prefix_causes_a_reset(alice, program):
    for n in range(24):
        alice.set(f"a/{n}", "x" * 60_000)
        alice.set(f"b/{n}", "y" * 60_000)
    limited, other = program("a/"), program("b/")
    for whose in (alice, other, program("a/1")):
        theirs = whose.sync()["next"] or pages(alice)[0]["next"]
        fresh = limited.sync(next=theirs)
        assert (fresh["reset"], fresh["from"]) == (True, 0)
        assert {op["key"][:2] for write in fresh["writes"] for op in write["ops"]} == {"a/"}
    # nor does their cursor work without a prefix
    fresh = alice.sync(next=limited.sync()["next"])
    assert (fresh["reset"], fresh["from"]) == (True, 0)


def test_usage_counts_only_keys_under_the_token_prefix(alice, program):
    alice.set("a/é", "ü")
    alice.set("a/gone", 1)
    alice.delete("a/gone")
    alice.set("b", "x" * 1000)
    usage = alice.store.runtime.wait(alice.store.usage(program("a/").caller), 10)
    assert (usage.keys, usage.bytes) == (1, len("a/é".encode()) + len('"ü"'.encode()))


def test_quota_error_of_a_limited_token_does_not_reveal_the_usage(services):
    store = services.open(quota=Quota(keys=3))
    alice = Person(store, services.add_user("alice"))
    for n in range(3):
        alice.set(f"b/{n}", 1)
    limited = Person(store, dataclasses.replace(alice.caller, kind="token", prefix="a/"))
    with pytest.raises(QuotaExceeded) as told:
        limited.set("a/x", 1)
    assert told.value.extra == {"resource": "keys", "limit": 3}
    assert "3" not in told.value.message
    with pytest.raises(QuotaExceeded) as told:
        alice.set("c", 1)
    assert told.value.extra == {"resource": "keys", "limit": 3, "used": 3}


def test_prefix_range_is_correct_for_any_last_character(alice, program):
    """The range behind a prefix is in byte order for any last character."""
    for prefix in ("\ud7ff", "\uffff", "\U0010ffff", "a\U0010ffff", "é", "😀", "100%_"):
        for key in (prefix, prefix + "x", prefix + "\U0010ffff"):
            alice.set(key, 1)
    for prefix in ("\ud7ff", "\uffff", "a\U0010ffff", "é", "😀", "100%_"):
        limited = program(prefix)
        expected = sorted([prefix, prefix + "x", prefix + "\U0010ffff"], key=str.encode)
        assert [entry["key"] for entry in limited.list()["entries"]] == expected
        assert sorted((op["key"] for w in limited.sync()["writes"] for op in w["ops"]), key=str.encode) == expected


def test_very_long_prefix_is_not_slow_to_process(alice):
    began = time.process_time()
    for last in ("", "a"):
        assert alice.list(prefix=last + "\U0010ffff" * 250_000)["entries"] == []
    # (removing the characters one by one took seconds)
    assert time.process_time() - began < 1
