"""What is too old for the history goes out of the log: by time, and by a budget of bytes for each user.

Of what is older than the horizon that stays which stood there: the last that was done to each key by then. So whatever
was written since can be undone, however long its keys had been left alone before.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from realtime_kv.core.frames import read_frame
from realtime_kv.core.upkeep import LOOK_ROWS, STEP_BYTES, STEP_ROWS, Upkeep

_encode = msgspec.json.Encoder().encode

_LAST = "SELECT coalesce(max(id), 0) FROM log"
_FIRST = "SELECT coalesce(min(id), 1) FROM log"
_SIZES = """
SELECT user_id, revision, at, length(CAST(frame AS BLOB)) FROM log
WHERE id <= :last AND id > :last - :rows ORDER BY id DESC
"""
# what was done to a key before it was done something else to, and that before the horizon, too
_SUPERSEDED = """
SELECT h.row, h.revision, h.key FROM history AS h
WHERE h.user_id = :user AND h.revision > :after AND h.revision <= :until AND EXISTS (
    SELECT 1 FROM history AS n
    WHERE n.user_id = h.user_id AND n.key = h.key AND n.revision > h.revision AND n.revision <= :horizon
) ORDER BY h.revision
"""
_FRAME = "SELECT frame FROM log WHERE id = ?"
_RAISE_FLOOR = "UPDATE spaces SET history_floor = max(history_floor, ?1) WHERE user_id = ?2"


@dataclass(slots=True)
class _Held:
    """What the log holds of one user, as far as it has been looked through: from the newest write to older ones."""

    newest: int
    oldest: int = 0
    # the oldest of those that are young enough
    young: int | None = None
    bytes: int = 0
    over_budget: int = 0

    @property
    def horizon(self) -> int:
        """Up to which revision the history may go."""
        # by what follows it, not by its own time: a clock that was wrong for a while makes no write old before its time
        by_time = self.newest if self.young is None else self.young - 1
        return max(by_time, self.over_budget)


@dataclass(slots=True)
class _Cut:
    """A row of the log, the keys that go out of it, and the frame that is left (None: nothing)."""

    row: int
    revision: int
    keys: list[str] = field(default_factory=list)
    left: str | None = None


class OldHistory(Upkeep):
    """`remove` is one way through the log of a store."""

    def remove(self, before: int, most: int) -> int:
        """Remove what is from before that time, and of each user what is beyond `most` bytes; of how many writes."""
        self._wait(self._store.writer.flush(None, indexed=True))
        removed = 0
        for user_id, held in self._look_through(before, most).items():
            for start in range(held.oldest - 1, held.horizon, LOOK_ROWS):
                for part in self._superseded(user_id, start, held.horizon):
                    removed += self._write(_cut, user_id, held.horizon, part)
        return removed

    def _look_through(self, before: int, most: int) -> dict[int, _Held]:
        found: dict[int, _Held] = {}
        first, last = self._read(_FIRST)[0][0], self._read(_LAST)[0][0]
        while last >= first:
            for user_id, revision, at, size in self._read(_SIZES, {"last": last, "rows": LOOK_ROWS}):
                held = found.get(user_id)
                if held is None:
                    held = found[user_id] = _Held(newest=revision)
                held.oldest = revision
                held.bytes += size
                if at >= before:
                    held.young = revision
                if held.bytes > most and not held.over_budget:
                    held.over_budget = revision
            last -= LOOK_ROWS
        return found

    def _superseded(self, user_id: int, after: int, horizon: int) -> Iterator[list[_Cut]]:
        """What goes out of a stretch of the log, in parts that are not too much for one step."""
        until = min(after + LOOK_ROWS, horizon)
        rows = self._read(_SUPERSEDED, {"user": user_id, "after": after, "until": until, "horizon": horizon})
        cuts = [
            _Cut(row, revision, [key for _, _, key in ops])
            for (row, revision), ops in groupby(rows, key=lambda op: (op[0], op[1]))
        ]
        while cuts:
            done = self._look(_prepare, cuts)
            yield cuts[:done]
            del cuts[:done]


def _prepare(db: sqlite3.Connection, cuts: list[_Cut]) -> int:
    """Find out what will be left of the first of these frames; of how many."""
    size = 0
    for number, cut in enumerate(cuts[:STEP_ROWS], 1):
        found = db.execute(_FRAME, (cut.row,)).fetchone()
        if found is not None:
            write, gone = read_frame(found[0]), set(cut.keys)
            write.ops = [op for op in write.ops if op.key not in gone]
            if write.ops:
                cut.left = _encode(write).decode()
        size += len(cut.left or "") + 256 * len(cut.keys)
        if size > STEP_BYTES:
            return number
    return min(len(cuts), STEP_ROWS)


def _cut(db: sqlite3.Connection, user_id: int, horizon: int, cuts: list[_Cut]) -> int:
    # what the last writes before the horizon replaced is gone as well
    db.execute(_RAISE_FLOOR, (horizon, user_id))
    db.executemany("DELETE FROM log WHERE id = ?", [(cut.row,) for cut in cuts if cut.left is None])
    db.executemany("UPDATE log SET frame = ? WHERE id = ?", [(cut.left, cut.row) for cut in cuts if cut.left])
    db.executemany(
        "DELETE FROM history WHERE user_id = ? AND key = ? AND revision = ?",
        [(user_id, key, cut.revision) for cut in cuts for key in cut.keys],
    )
    return len(cuts)
