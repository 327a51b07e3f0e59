"""One write against what is loaded: accepted or refused. Pure: no SQL, and the time comes in as an argument."""

from realtime_kv.core.errors import Refusal, Unauthenticated
from realtime_kv.core.frames import timestamp
from realtime_kv.core.memtable import Memtable
from realtime_kv.core.ops import Delete, Set
from realtime_kv.core.space import Accepted, Draft, Outcome, Quota, Space
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
    draft = Draft(space)
    for index, op in enumerate(write.ops):
        try:
            draft.results.append(op.apply(draft, now))
        except Refusal as refusal:
            if write.verb == "batch":
                refusal.extra["index"] = index
            raise
    draft.check_quota(quota)
    return draft.accept(write.verb, caller.origin, at, now, write.op_id, write.fingerprint)


def replay(write: Accepted, space: Space) -> None:
    """Let `space` become what it became when `write` was first accepted."""
    draft = Draft(space)
    for key, value, _version, _expires_at in write.ops:
        op = Delete(key) if value is None else Set(key, value)
        draft.results.append(op.apply(draft, write.at))
    draft.accept("batch", write.origin, timestamp(write.at), write.at, None, "")
    if write.receipt is not None:
        space.receipts[write.receipt.op_id] = write.receipt
