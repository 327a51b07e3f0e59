"""The client's rule: a replica is complete at its revision, or knows that it has a gap."""

import pytest

from realtime_kv.core import messages
from realtime_kv_client.replica import Replica, digest_of


def change(from_, revision, **values):
    ops = [{"op": "set", "key": key, "value": value} for key, value in values.items()]
    return {"epoch": "e", "from": from_, "revision": revision, "writes": [{"revision": revision, "ops": ops}]}


def page(from_, revision, next=None, reset=True, **values):
    return {**change(from_, revision, **values), "reset": reset, "next": next}


def test_the_replica_applies_contiguous_changes_and_detects_gaps():
    replica = Replica()
    assert replica.position() == {}
    assert replica.apply(change(0, 1, a=1)) == "gap"
    assert replica.take(page(0, 3, a=1)) is None
    assert replica.apply(change(2, 3, a=9)) == "repeated"
    assert replica.apply(change(4, 5, a=9)) == "gap"
    assert replica.apply(change(3, 4, b=2)) == "applied"
    assert replica.apply({**change(4, 5), "epoch": "other"}) == "gap"
    assert replica.entries == {"a": (3, 1), "b": (4, 2)}
    digest = (digest_of("a", 3) + digest_of("b", 4)) & 0xFFFFFFFF
    assert replica.proves({"epoch": "e", "revision": 4, "keys": 2, "digest": digest})
    assert not replica.proves({"epoch": "e", "revision": 4, "keys": 2, "digest": digest ^ 1})


def test_the_replica_hides_a_partial_sync_and_discards_a_superseded_one():
    replica = Replica()
    replica.take(page(0, 1, a=1))
    assert replica.take(page(0, 5, next="x", b=2)) == {"next": "x"}
    assert replica.entries == {"a": (1, 1)}
    # a new first page replaces the second
    assert replica.take(page(0, 6, next="y", c=3)) == {"next": "y"}
    assert replica.take(page(6, 7, d=4)) is None
    assert replica.entries == {"c": (6, 3), "d": (7, 4)}


def test_changes_during_a_sync_are_applied_after_its_last_page():
    replica = Replica()
    replica.begin_sync()
    assert replica.apply(change(0, 1, early=1)) == "held"
    # the answer to a request that is sent after a change contains it
    assert replica.begin_sync() == {}
    assert replica.apply(change(3, 4, d=4)) == "held"
    assert replica.is_syncing
    assert replica.take(page(0, 3, a=1)) is None
    assert replica.entries == {"a": (3, 1)}
    held = replica.end_sync()
    assert held == [change(3, 4, d=4)]
    assert [replica.apply(each) for each in held] == ["applied"]
    assert replica.position() == {"epoch": "e", "since": 4}
    assert not replica.is_syncing


@pytest.mark.parametrize(("key", "revision"), [("a", 1), ("é/b", 2), ("k", 2**40 + 7), ("", 0), ("\U0001f600", 2**53)])
def test_client_and_server_compute_the_same_digest(key, revision):
    assert digest_of(key, revision) == messages.digest_of(key, revision)


def test_the_digest_is_the_one_of_the_protocol():
    # the table of docs/protocol.md
    replica = Replica()
    assert replica.digest == 0
    replica.entries = {"a": (1, None)}
    assert replica.digest == 293912779
    replica.entries |= {"é/b": (2, None), "k": (2**40 + 7, None)}
    assert replica.digest == 4037345603
