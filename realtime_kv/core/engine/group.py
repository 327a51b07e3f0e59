"""Groups of writes: what every committer does with them, whatever the database makes of the result."""

from collections.abc import Callable

from realtime_kv.core.backend import DiskReserve
from realtime_kv.core.domain.disk_space import DiskSpace
from realtime_kv.core.domain.space import Outcome, Quota, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.evaluate import evaluate
from realtime_kv.core.engine.memtable import Memtable
from realtime_kv.core.engine.planner import Plan, Planning
from realtime_kv.core.messages import timestamp
from realtime_kv.core.statements import PlanStatements
from realtime_kv.errors import QuotaExceeded, Refusal, Unauthenticated, Unavailable

# the limit's short name, the user's id, and the public id of the session or token
OnLimit = Callable[[str, int, str | None], None]


class GroupCommitter:
    """Base of the committers: the writer's state, the limits, and the evaluation of a group against the state."""

    def __init__(self, epoch: str, quota: Quota, reserve: DiskReserve, on_limit: OnLimit = lambda *_: None) -> None:
        self.epoch = epoch
        self.quota = quota
        self.memtable = Memtable()
        self._reserve = reserve
        self._on_limit = on_limit
        # spaces with results of the open transaction
        self._open: list[Space] = []

    def forget_session(self, session_id: int) -> None:
        """Forget a session whose end is durable: none of its writes is accepted any more."""
        self.memtable.sessions.pop(session_id, None)

    def _evaluate(self, writes: list[WriteRequest], now: int, room: DiskSpace) -> list[Outcome | Refusal]:
        """Evaluate a group whose state is loaded; return the outcomes in its order. A refused write fails alone."""
        memtable, at = self.memtable, timestamp(now)
        outcomes: list[Outcome | Refusal] = []
        for write in writes:
            try:
                caller = write.caller
                space, session_end = memtable.spaces.get(caller.user_id), memtable.sessions.get(caller.session_id, 0)
                outcomes.append(evaluate(write, space, session_end, self.quota, now, at, room=room))
            except Refusal as refusal:
                outcomes.append(refusal)
                self._note_limit(write, refusal)
        spaces = memtable.spaces
        self._open = [spaces[user_id] for user_id in {write.caller.user_id for write in writes} if user_id in spaces]
        return outcomes

    def _make_plan(self, db: PlanStatements, write: WriteRequest, plan: Plan, now: int) -> bool:
        """Do one step of the plan, unless the write is a repetition, which `evaluate` answers from its receipt.

        The plan of a limited token is always made, because only its ops show whether the token may see the answer.
        """
        if write.planning is None or write.planning.epoch != self.epoch:
            self._load(write, now)
            space = self.memtable.spaces.get(write.user_id)
            if space is None:
                write.refusal = Unauthenticated("Your session has ended; sign in again.")
                return True
            if write.op_id in space.receipts and not write.caller.is_limited:
                return True
            write.planning = Planning(plan, write.user_id, now, self.epoch)
        return write.make_plan(db)

    def _load(self, write: WriteRequest, now: int) -> None:
        """Load the state that decides whether a plan has to be made."""
        raise NotImplementedError

    def _note_limit(self, write: WriteRequest, refusal: Refusal) -> None:
        if isinstance(refusal, QuotaExceeded):
            self._on_limit(
                f"quota_{refusal.extra.get('resource', 'bytes')}", write.user_id, write.caller.session or None
            )
        elif isinstance(refusal, Unavailable):
            self._on_limit("disk_reserve", write.user_id, None)
