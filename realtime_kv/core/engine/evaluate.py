"""Evaluates one write against loaded state: accepted or refused. Pure: no SQL, and the time is an argument."""

from realtime_kv.caller import SYSTEM_SESSION, Caller
from realtime_kv.core.domain import charges, permissions
from realtime_kv.core.domain.disk_space import AMPLE, DiskSpace, disk_low
from realtime_kv.core.domain.operations import adds, repeat
from realtime_kv.core.domain.space import LogRecord, Outcome, PendingWrite, Quota, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.messages import read_frame
from realtime_kv.errors import Forbidden, QuotaExceeded, Refusal, Unauthenticated


def evaluate(
    write: WriteRequest,
    space: Space | None,
    session_end: int,
    quota: Quota,
    now: int,
    at: str,
    *,
    room: DiskSpace = AMPLE,
) -> Outcome:
    """Apply `write` to its user's `space` and return its answer; `at` is `now` in the protocol's format.

    `space` is None if it may not be written to; the caller's session ends at `session_end` (0: it has ended).

    Raises Unauthenticated, Forbidden, OpIdReused, Conflict, QuotaExceeded, or the refusal that planning the write
    produced, and leaves `space` unchanged. In a batch the refusal has the `index` of the op that caused it. A dry
    run is answered, and also changes nothing. A write that the disk has no `room` for is refused with Unavailable.
    """
    caller = write.caller
    if space is None or (session_end <= now and caller.session_id != SYSTEM_SESSION):
        raise Unauthenticated("Your session has ended; sign in again.")
    if write.refusal is not None and isinstance(write.refusal, Forbidden):
        # before the receipt: a replay must not show an answer that the caller may not see
        raise write.refusal
    if write.op_id is not None and (receipt := space.receipts.get(write.op_id)):
        return receipt.replay(write.verb, write.fingerprint)
    if write.refusal is not None:
        raise write.refusal
    if write.op_id is not None and space.receipt_bytes >= quota.receipt_bytes:
        raise _receipts_full(caller, space, quota.receipt_bytes)
    if room is not AMPLE and not write.dry_run and any(adds(op) for op in write.ops):
        if room.is_low:
            raise disk_low()
        if space.disk_bytes > room.share:
            raise _share_taken(caller, space, room)
    draft = PendingWrite(space, caller.origin, write.undoes)
    try:
        for op in write.ops:
            draft.results.append(op.apply(draft, now))
        draft.check_quota(quota)
        # a delete gives back more than its receipt takes, and a client that repeats it needs the receipt
        if room is not AMPLE and write.op_id is not None and not draft.shrinks:
            limit = room.receipts(quota.receipt_bytes)
            if space.receipt_bytes >= limit:
                raise _receipts_full(caller, space, limit)
    except Refusal as refusal:
        draft.undo()
        if write.verb == "batch" and len(draft.results) < len(write.ops):
            refusal.extra["index"] = len(draft.results)
        if caller.prefix is not None:
            permissions.withhold(refusal)
        raise
    if write.dry_run:
        return draft.rehearse(write.verb)
    return draft.accept(write.verb, now, at, write.op_id, write.fingerprint)


def _receipts_full(caller: Caller, space: Space, limit: int) -> QuotaExceeded:
    refusal = QuotaExceeded(
        f"Your receipts of the last days take {space.receipt_bytes} bytes, and {limit} are allowed now "
        "(RKV_RECEIPT_BYTES). Programs can write without an `op_id`. In the dashboard, which needs one, wait "
        "until the oldest receipts have expired, 7 days after their write, or ask the administrator to raise "
        "the limit.",
        resource="receipts",
        limit=limit,
        used=space.receipt_bytes,
    )
    if caller.prefix is not None:
        permissions.withhold(refusal)
    return refusal


def _share_taken(caller: Caller, space: Space, room: DiskSpace) -> QuotaExceeded:
    refusal = QuotaExceeded(
        f"The server's disk is nearly full, and you take {space.disk_bytes} bytes of it, with history, receipts and "
        f"deleted keys: above {room.share} bytes only deletes are accepted until there is more room.",
        resource="disk",
        limit=room.share,
        used=space.disk_bytes,
    )
    if caller.prefix is not None:
        permissions.withhold(refusal)
    return refusal


def replay(logged: LogRecord, space: Space) -> None:
    """Apply a logged write to `space` again: its frame alone determines the result."""
    write = read_frame(logged.frame)
    draft = PendingWrite(space, bytes(write.origin).decode())
    assert draft.revision == logged.revision, f"the log of user {space.user_id} has a gap before {logged.revision}"
    for op in write.ops:
        repeat(op, draft, logged.at)
    draft.accept("batch", logged.at, write.at, None, "")
    # restore the charge of that time, which includes everything that was in its frame, and its receipt
    space.history_bytes += logged.charge - space.log[-1].charge
    if logged.receipt is not None:
        receipt = space.receipts[logged.receipt.op_id] = logged.receipt
        space.receipt_bytes += charges.of_receipt(receipt.op_id, receipt.fingerprint, receipt.answer)
