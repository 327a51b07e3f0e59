"""History trimmer: removes old history from the log, by time, and by a budget of bytes for each user.

Of the history older than the horizon, the last op on each key is kept. The writer enforces the budget itself as it
commits; this module does the rest, and compacts the rows that trimming has left.
"""

from dataclasses import dataclass

from realtime_kv.core.retention.stepwise import LOOK_ROWS, StepwiseJob
from realtime_kv.core.statements import Position, RowRef


@dataclass(slots=True)
class _Held:
    """One user's writes in the log, as far as it has been read: from the newest to older ones."""

    newest: int
    # the oldest write that is young enough
    young: int | None = None

    @property
    def horizon(self) -> int:
        """The revision up to which the history may be removed."""
        # by the write after it, not by its own time: a clock that was wrong for a while makes no write old before its
        # time
        return self.newest if self.young is None else self.young - 1


class HistoryTrimmer(StepwiseJob):
    """Goes through the log of a store once, in `remove`."""

    def remove(self, before: int, most: int) -> int:
        """Remove history from before that time, and beyond `most` bytes of each user; return the number of writes."""
        self._wait(self._store.writer.flush(None, indexed=True))
        horizons = {user_id: held.horizon for user_id, held in self._look_through(before).items()}
        for user_id in self._look(lambda db: db.users_over_history(most)):
            horizons.setdefault(user_id, 0)
        rows: set[RowRef] = set()
        for user_id, horizon in horizons.items():
            while (changed := self._trim(user_id, horizon, most)) is not None:
                rows |= changed
        last: Position | None = None
        while (reached := self._compact(last)) is not None:
            last = reached
        return len(rows)

    def _look_through(self, before: int) -> dict[int, _Held]:
        found: dict[int, _Held] = {}
        for part in self._scan(lambda db, after: db.log_times(after, LOOK_ROWS)):
            for user_id, revision, at in part:
                held = found.get(user_id)
                if held is None:
                    held = found[user_id] = _Held(newest=revision)
                if at >= before:
                    held.young = revision
        return found

    def _trim(self, user_id: int, horizon: int, most: int) -> set[RowRef] | None:
        return self._write(lambda db: db.trim_history(user_id, horizon, most, self._step_bytes))

    def _compact(self, after: Position | None) -> Position | None:
        return self._write(lambda db: db.compact_log(after, self._step_bytes))
