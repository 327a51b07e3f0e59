"""History trimmer: removes old history from the log, by time, and by a budget of bytes for each user.

Of the history older than the horizon, the last op on each key is kept (trim.py). The writer enforces the budget itself
as it commits; this module does the rest, and compacts the rows that trimming has left.
"""

import sqlite3
from dataclasses import dataclass

from realtime_kv.core.engine import trim
from realtime_kv.core.retention.stepwise import LOOK_ROWS, StepwiseJob
from realtime_kv.storage.sqlite import vacuum

_LAST = "SELECT coalesce(max(id), 0) FROM log"
_FIRST = "SELECT coalesce(min(id), 1) FROM log"
_TIMES = "SELECT user_id, revision, at FROM log WHERE id <= :last AND id > :last - :rows ORDER BY id DESC"
_OVER_BUDGET = "SELECT user_id FROM spaces WHERE history_bytes > :most"
_SPACE = "SELECT revision, trimmed, history_bytes FROM spaces WHERE user_id = ?"


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
        for (user_id,) in self._read(_OVER_BUDGET, {"most": most}):
            horizons.setdefault(user_id, 0)
        rows: set[int] = set()
        for user_id, horizon in horizons.items():
            while (changed := self._write(_trim, user_id, horizon, most, self._step_bytes)) is not None:
                rows |= changed
        last: int | None = 0
        while last is not None:
            last = self._write(_compact, last, self._step_bytes)
        return len(rows)

    def _look_through(self, before: int) -> dict[int, _Held]:
        found: dict[int, _Held] = {}
        first, last = self._read(_FIRST)[0][0], self._read(_LAST)[0][0]
        while last >= first:
            for user_id, revision, at in self._read(_TIMES, {"last": last, "rows": LOOK_ROWS}):
                held = found.get(user_id)
                if held is None:
                    held = found[user_id] = _Held(newest=revision)
                if at >= before:
                    held.young = revision
            last -= LOOK_ROWS
        return found


def _trim(db: sqlite3.Connection, user_id: int, horizon: int, most: int, portion: int) -> set[int] | None:
    """Trim one portion; return the log rows that were changed, None if the history is within its limits."""
    space = db.execute(_SPACE, (user_id,)).fetchone()
    if space is None:
        return None
    revision, trimmed, history_bytes = space
    if trimmed < horizon:
        done = trim.trim(db, user_id, trimmed, horizon, portion)
    elif history_bytes > most:
        done = trim.trim(db, user_id, trimmed, revision, min(portion, history_bytes - most))
    else:
        return None
    if done is None:
        return None
    if done.rows:
        vacuum.mark_due(db)
    return done.rows


def _compact(db: sqlite3.Connection, after: int, portion: int) -> int | None:
    last = trim.compact_some(db, after, portion)
    if last is not None:
        vacuum.mark_due(db)
    return last
