"""`decide` against a model: after any sequence of writes, the space equals a dict and a counter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.caller import Caller
from realtime_kv.core.domain.operations import Delete, Restore, Set
from realtime_kv.core.domain.space import Quota, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.evaluate import evaluate, replay
from realtime_kv.core.messages import digest_of, read_frame, timestamp
from realtime_kv.errors import Conflict, NotFound, OpIdReused, QuotaExceeded, Refusal, Unauthenticated

KEYS = ["a", "b", "é/c", "__proto__"]
CALLER = Caller(1, "alice", False, 1, 7, "s7", "A test", "socket")

ops = st.one_of(
    st.builds(Set, st.sampled_from(KEYS), st.sampled_from(["1", '"x"', '"é"', "null"]), st.none() | st.integers(0, 6)),
    st.builds(Delete, st.sampled_from(KEYS), st.none() | st.integers(0, 6)),
    st.builds(
        Restore,
        st.sampled_from(KEYS),
        st.sampled_from(["7", '"earlier"']),
        st.none() | st.integers(0, 6),
        st.none() | st.integers(3, 40),
    ),
)
VERBS = {Set: "set", Delete: "delete", Restore: "restore"}
writes = st.lists(
    st.one_of(
        ops.map(lambda op: (VERBS[type(op)], [op])),
        st.lists(ops, min_size=1, max_size=4, unique_by=lambda op: op.key).map(lambda batch: ("batch", batch)),
    ),
    max_size=30,
)


# end of the caller's session
END = 1000


def a_space() -> Space:
    return Space(1, 0, 0, 0, 0, entries=dict.fromkeys(KEYS))


class Model:
    """A space as a dict: key → (value, revision, version, created_revision, expires_at, deleted)."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, int, int, int, int | None, bool]] = {}
        self.revision = 0

    def entries(self, now: int) -> dict[str, tuple[str, int, int, int]]:
        return {key: row[:4] for key, row in self.rows.items() if not row[5] and (row[4] is None or row[4] > now)}

    def apply(self, batch: list[Set | Delete | Restore], now: int) -> bool:
        """Apply the write completely or not at all, and return whether it is accepted."""
        after, live, touched, revision = dict(self.rows), self.entries(now), False, self.revision + 1
        for op in batch:
            row, before = after.get(op.key), live.get(op.key)
            if op.if_revision is not None and op.if_revision != (before[1] if before else 0):
                return False
            if isinstance(op, Set):
                version, created, expires = (before[2] + 1, before[3], row[4]) if before else (1, revision, None)
                after[op.key] = (op.value, revision, version, created, expires, False)
                touched = True
            elif isinstance(op, Restore):
                if row is None:
                    return False
                after[op.key] = (op.value, revision, row[2] + 1, row[3], op.expires_at, False)
                touched = True
            elif before:
                after[op.key] = (row[0], revision, *row[2:5], True)
                touched = True
        if touched:
            self.rows, self.revision = after, revision
        return True


@settings(max_examples=150)
@given(writes)
def test_space_equals_a_model_of_a_dict_and_a_counter(history):
    space, model = a_space(), Model()
    for now, (verb, batch) in enumerate(history, 1):
        try:
            evaluate(WriteRequest(CALLER, verb, batch), space, END, Quota(), now, "at")
            accepted = True
        except (Conflict, NotFound):
            accepted = False
        assert accepted == model.apply(batch, now)
        live = {key: record for key, record in space.entries.items() if record and record.is_live(now)}
        assert {key: (r.value, r.revision, r.version, r.created_revision) for key, r in live.items()} == model.entries(
            now
        )
        assert space.revision == model.revision
        # an expired entry counts until its delete is written
        there = {key: record for key, record in space.entries.items() if record and record.deleted_at is None}
        assert space.keys == len(there)
        assert space.bytes == sum(len(key.encode()) + len(r.value.encode()) for key, r in there.items())
        assert space.digest == sum(digest_of(key, r.revision) for key, r in there.items()) % 2**32
    assert [write.revision for write in space.log] == list(range(1, space.revision + 1))


@settings(max_examples=150)
@given(writes)
def test_replaying_the_log_alone_rebuilds_the_same_space(history):
    space = a_space()
    for now, (verb, batch) in enumerate(history, 1):
        try:
            evaluate(WriteRequest(CALLER, verb, batch), space, END, Quota(), now, timestamp(now))
        except Refusal:
            continue
    again = a_space()
    for logged in space.log:
        replay(logged, again)
    assert again == space


@given(writes)
def test_replaying_the_published_frames_rebuilds_the_live_entries(history):
    space = a_space()
    for now, (verb, batch) in enumerate(history, 1):
        try:
            evaluate(WriteRequest(CALLER, verb, batch), space, END, Quota(), now, "at")
        except Refusal:
            continue
    copy: dict[str, bytes] = {}
    for logged in space.log:
        write = read_frame(logged.frame)
        assert len({op.key for op in write.ops}) == len(write.ops)
        for op in write.ops:
            if hasattr(op, "value"):
                copy[op.key] = bytes(op.value)
            else:
                del copy[op.key]
    live = {key: r.value.encode() for key, r in space.entries.items() if r and r.deleted_at is None}
    assert copy == live


def test_ended_session_cannot_write():
    space = a_space()
    for end, now in ((1, 1), (0, 1)):
        with pytest.raises(Unauthenticated):
            evaluate(WriteRequest(CALLER, "set", [Set("a", "1")]), space, end, Quota(), now, "at")
    with pytest.raises(Unauthenticated):
        evaluate(WriteRequest(CALLER, "set", [Set("a", "1")]), None, END, Quota(), 1, "at")
    assert space.revision == 0


def test_repeated_op_id_is_replayed_and_refused_for_a_different_request():
    space = a_space()
    first = evaluate(WriteRequest(CALLER, "set", [Set("a", "1")], "id", "one"), space, END, Quota(), 1, "at")
    again = evaluate(WriteRequest(CALLER, "set", [Set("a", "1")], "id", "one"), space, END, Quota(), 2, "at")
    assert (again.revision, again.version, again.replayed) == (first.revision, first.version, True)
    assert space.revision == 1
    with pytest.raises(OpIdReused):
        evaluate(WriteRequest(CALLER, "set", [Set("a", "2")], "id", "two"), space, END, Quota(), 3, "at")
    assert space.revision == 1


def test_refused_batch_changes_nothing_and_names_the_failed_op():
    space = a_space()
    evaluate(WriteRequest(CALLER, "set", [Set("a", "1")]), space, END, Quota(), 1, "at")
    with pytest.raises(Conflict) as refused:
        evaluate(
            WriteRequest(CALLER, "batch", [Set("b", "1"), Set("a", "2", if_revision=9)]), space, END, Quota(), 2, "at"
        )
    assert refused.value.extra["index"] == 1
    assert refused.value.extra["entry"].revision == 1
    assert space.entries["b"] is None
    assert space.revision == 1


def test_quota_limits_growth_only():
    space = a_space()
    quota = Quota(keys=1, bytes=10)
    evaluate(WriteRequest(CALLER, "set", [Set("a", "1")]), space, END, quota, 1, "at")
    for grows in (Set("b", "1"), Set("a", '"0123456789"')):
        with pytest.raises(QuotaExceeded) as refused:
            evaluate(WriteRequest(CALLER, "set", [grows]), space, END, quota, 2, "at")
        assert {"limit", "used"} <= refused.value.extra.keys()
    quota = Quota(keys=0, bytes=0)
    evaluate(WriteRequest(CALLER, "delete", [Delete("a")]), space, END, quota, 3, "at")
    assert space.keys == 0


def test_expired_entry_counts_as_missing_and_is_created_anew():
    space = a_space()
    evaluate(WriteRequest(CALLER, "set", [Set("a", "1")]), space, END, Quota(), 1, "at")
    space.entries["a"].expires_at = 10
    answer = evaluate(WriteRequest(CALLER, "set", [Set("a", "2", if_revision=0)]), space, END, Quota(), 20, "at")
    assert answer.version == 1
    assert (space.keys, space.digest, space.entries["a"].expires_at) == (1, digest_of("a", 2), None)
