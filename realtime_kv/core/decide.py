"""One write against what is loaded: accepted or refused. Pure: no SQL, and the time comes in as an argument."""

from msgspec import UNSET

from realtime_kv.core import permissions
from realtime_kv.core.errors import Refusal, Unauthenticated
from realtime_kv.core.frames import SetOp, milliseconds, read_frame
from realtime_kv.core.memtable import Memtable
from realtime_kv.core.ops import Delete, Expire, Op, Set
from realtime_kv.core.space import Draft, Logged, Outcome, Quota, Space
from realtime_kv.core.write import Write


def decide(write: Write, memtable: Memtable, quota: Quota, now: int, at: str) -> Outcome:
    """The answer to `write`, which `memtable` then holds; `now` in milliseconds, `at` is how the protocol shows it.

    Raises Unauthenticated, OpIdReused, Conflict, QuotaExceeded: then `memtable` is as it was before. In a batch the
    refusal carries the `index` of the op that caused it.
    """
    caller = write.caller
    if memtable.sessions.get(caller.session_id, 0) <= now:
        raise Unauthenticated("Your session has ended; sign in again.")
    space = memtable.spaces[caller.user_id]
    if write.op_id is not None and (receipt := space.receipts.get(write.op_id)):
        return receipt.replay(write.verb, write.fingerprint)
    draft = Draft(space, caller.origin)
    try:
        for op in write.ops:
            draft.results.append(op.apply(draft, now))
        draft.check_quota(quota)
    except Refusal as refusal:
        draft.undo()
        if write.verb == "batch" and len(draft.results) < len(write.ops):
            refusal.extra["index"] = len(draft.results)
        if caller.prefix is not None:
            permissions.withhold(refusal)
        raise
    return draft.accept(write.verb, now, at, write.op_id, write.fingerprint)


def replay(logged: Logged, space: Space) -> None:
    """Let `space` become what it became when this write was first accepted."""
    write = read_frame(logged.frame)
    draft = Draft(space, bytes(write.origin).decode())
    assert draft.revision == logged.revision, f"the log of user {space.user_id} has a gap before {logged.revision}"
    for op in write.ops:
        made: Op
        if isinstance(op, SetOp):
            expires_at = None if op.expires_at is UNSET else milliseconds(op.expires_at)
            made = Set(op.key, bytes(op.value).decode(), expires_at=expires_at)
        else:
            made = Delete(op.key) if draft.entry(op.key, logged.at) else Expire(op.key)
        draft.results.append(made.apply(draft, logged.at))
    draft.accept("batch", logged.at, write.at, None, "")
    if logged.receipt is not None:
        space.receipts[logged.receipt.op_id] = logged.receipt
