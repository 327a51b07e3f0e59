"""One write against the loaded state: accepted or refused. Pure: no SQL, and the time comes in as an argument."""

from realtime_kv.core.errors import Refusal, Unauthenticated
from realtime_kv.core.space import Draft, Outcome
from realtime_kv.core.write import State, Write


def decide(write: Write, state: State, now: int, at: str) -> Outcome:
    """The answer to `write`, which `state` then holds; `now` in milliseconds, `at` the same as the protocol shows it.

    Raises Unauthenticated, OpIdReused, Conflict, QuotaExceeded: then `state` is as it was before. In a batch the
    refusal carries the `index` of the op that caused it.
    """
    if write.caller.session_id not in state.valid_sessions:
        raise Unauthenticated("Your session has ended; sign in again.")
    space = state.spaces[write.user_id]
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
    draft.check_quota(state.quota)
    answer = draft.accept(write.verb, write.caller.origin, at)
    if write.op_id is not None:
        space.remember(write.op_id, write.fingerprint, answer)
    return answer
