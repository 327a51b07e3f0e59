"""History index: the log row of each op on a key. It follows the log, in steps, when there is time.

A commit appends to the log and to nothing else (docs/decisions/0004); reads of the history first bring the index up to
date. `meta.indexed` is the last indexed row.
"""

from collections.abc import Callable
from time import perf_counter

from realtime_kv.storage.sqlite.connections import Cursor

# maximum of one step: some 20 ms during which all writes wait, 200 ms once the index is large, and more for frames that
# take long to parse
STEP_ROWS = 4096
STEP_BYTES = 4 * 1024 * 1024
# a brief step takes about this long: its size follows from the time of the one before
BRIEF_SECONDS = 0.008
MIN_PART, FIRST_PART = 1 / 256, 1 / 16

_INDEXED = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'indexed'"
_SAVE_INDEXED = "INSERT OR REPLACE INTO meta (name, value) VALUES ('indexed', CAST(? AS TEXT))"
# row by row, so that a step reads no more than it needs: a frame may be a MiB
_END = """
WITH RECURSIVE step (id, bytes) AS (
    SELECT id, length(frame) FROM log WHERE id = (SELECT min(id) FROM log WHERE id > :after)
    UNION ALL
    SELECT l.id, s.bytes + length(l.frame)
    FROM step AS s CROSS JOIN log AS l ON l.id = (SELECT min(id) FROM log WHERE id > s.id) WHERE s.bytes < :most
    LIMIT :rows
)
SELECT max(id) FROM step
"""
# in the order of the table, so that each of its pages is looked up once
_INDEX = """
INSERT OR REPLACE INTO history (user_id, key, revision, row, bytes)
SELECT l.user_id, json_extract(o.value, '$.key'), l.revision, l.id, length(o.value)
FROM log AS l CROSS JOIN json_each(l.frame, '$.ops') AS o WHERE l.id > ? AND l.id <= ? ORDER BY 1, 2, 3
"""


class HistoryIndex:
    """The core's HistoryIndex; rows that the open transaction has added count once it is accepted."""

    step_bytes = STEP_BYTES

    def __init__(self, db: Cursor, clock: Callable[[], float] = perf_counter) -> None:
        self._db = db
        self.row = 0
        self._until: int | None = None
        self._clock = clock
        # the part of a whole step that a brief one does
        self._part = FIRST_PART

    def load(self) -> None:
        """Load the progress."""
        self.row = self._db.execute(_INDEXED).fetchone()[0]
        self._until = None

    @property
    def reached(self) -> int:
        """The last indexed row, including the open transaction's."""
        return self.row if self._until is None else self._until

    def brief_step(self, last_row: int) -> int:
        """Like `step`, but so little that writes hardly have to wait."""
        began = self._clock()
        until = self._step(last_row, self._part)
        took = self._clock() - began
        if took > BRIEF_SECONDS:
            self._part = max(MIN_PART, self._part * BRIEF_SECONDS / took)
        elif took < BRIEF_SECONDS / 2:
            self._part = min(1.0, 2 * self._part)
        return until

    def step(self, last_row: int) -> int:
        """Index one step, at most up to `last_row`, the log's last; return the last indexed row."""
        return self._step(last_row, 1.0)

    def _step(self, last_row: int, part: float) -> int:
        after = self.reached
        until: int | None
        most = {"rows": max(1, int(STEP_ROWS * part)), "most": int(STEP_BYTES * part)}
        until = self._db.execute(_END, {"after": after, **most}).fetchone()[0]
        if until is None:
            until = last_row
        else:
            self._db.execute(_INDEX, (after, until))
        self._db.execute(_SAVE_INDEXED, (until,))
        self._until = until
        return until

    def accept(self) -> None:
        """Keep the progress of the transaction, which is now durable."""
        if self._until is not None:
            self.row, self._until = self._until, None

    def forget(self) -> None:
        """Discard the progress of the transaction, which was rolled back."""
        self._until = None
