import itertools

import msgspec
import pytest

from realtime_kv.core.messages import PAGE_BYTES, CommitEvent, digest_of, set_op, timestamp, write_frame


@pytest.mark.parametrize(
    ("entries", "digest"),
    [([], 0), ([("a", 1)], 293912779), ([("a", 1), ("é/b", 2), ("k", 2**40 + 7)], 4037345603)],
)
def test_the_digest_matches_the_examples_of_the_protocol(entries, digest):
    assert sum(digest_of(key, revision) for key, revision in entries) % 2**32 == digest


def test_times_are_rfc_3339_with_milliseconds():
    assert timestamp(1_795_342_272_345) == "2026-11-22T10:11:12.345Z"
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"


def test_a_commit_larger_than_a_page_is_split_into_changes_between_writes():
    value = msgspec.json.encode("x" * 60_000).decode()
    writes = [(n, write_frame(n, "", "{}", [set_op("k", value, n, None)])) for n in range(11, 41)]
    news = CommitEvent(user_id=1, epoch="e", from_=10, writes=writes, keys=1, digest=0)
    changes = [msgspec.json.decode(change) for change in news.changes()]
    assert len(changes) > 1
    assert changes[0]["from"] == 10
    assert changes[-1]["revision"] == 40
    for before, after in itertools.pairwise(changes):
        assert after["from"] == before["revision"]
    assert [w["revision"] for c in changes for w in c["writes"]] == list(range(11, 41))
    assert all(len(msgspec.json.encode(change)) < PAGE_BYTES + 70_000 for change in changes)
