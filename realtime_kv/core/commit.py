"""Load, decide, save: the only place that changes a space. Runs inside the writer's transaction."""

from realtime_kv.core import statements
from realtime_kv.core.database import Cursor
from realtime_kv.core.decide import decide
from realtime_kv.core.errors import Refusal
from realtime_kv.core.frames import Committed, timestamp
from realtime_kv.core.space import Outcome, Quota
from realtime_kv.core.write import Write


class Committer:
    """Turns a group of writes into one transaction's worth of statements, one for each table."""

    def __init__(self, epoch: str, quota: Quota) -> None:
        self.epoch = epoch
        self.quota = quota

    def __call__(
        self, cursor: Cursor, writes: list[Write], now: int
    ) -> tuple[list[Outcome | Refusal], list[Committed]]:
        """The outcomes in the order of the writes, and what to tell the watchers; a refused write fails alone."""
        state = statements.load(cursor, writes, now, self.epoch, self.quota)
        at = timestamp(now)
        outcomes: list[Outcome | Refusal] = []
        for write in writes:
            try:
                outcomes.append(decide(write, state, now, at))
            except Refusal as refusal:
                outcomes.append(refusal)
        statements.save(cursor, state, now)
        return outcomes, state.commits()
