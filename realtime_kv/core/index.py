"""The index of the log: which row of it holds what was done to a key. It follows the log, in steps, when there is time.

A commit appends to the log and to nothing else (docs/decisions/0004); whoever looks into the past has the index brought
up to date first. `meta.indexed` says how far it has come.
"""

from realtime_kv.core.database import Cursor

# a step: some 20 ms of everybody's time, and 200 once the index is large
STEP_ROWS = 4096
STEP_BYTES = 4 * 1024 * 1024

_INDEXED = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'indexed'"
_SAVE_INDEXED = "INSERT OR REPLACE INTO meta (name, value) VALUES ('indexed', CAST(? AS TEXT))"
# row by row, so that no more is read than the step is for: a frame may be a MiB
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
# in the order of the table: then each of its pages is looked for once
_INDEX = """
INSERT OR REPLACE INTO history (user_id, key, revision, row, bytes)
SELECT l.user_id, json_extract(o.value, '$.key'), l.revision, l.id, length(o.value)
FROM log AS l CROSS JOIN json_each(l.frame, '$.ops') AS o WHERE l.id > ? AND l.id <= ? ORDER BY 1, 2, 3
"""


class Index:
    """How far the index has come; what the open transaction has added counts once it is accepted."""

    def __init__(self) -> None:
        self.row = 0
        self._until: int | None = None

    def recall(self, cursor: Cursor) -> None:
        """Read where it stands."""
        self.row = cursor.execute(_INDEXED).fetchone()[0]
        self._until = None

    @property
    def reached(self) -> int:
        """As `row`, with what the open transaction has added."""
        return self.row if self._until is None else self._until

    def step(self, cursor: Cursor, last_row: int) -> int:
        """Go on by one step, at most up to `last_row`, which is the log's last; up to where."""
        after = self.reached
        until: int | None
        until = cursor.execute(_END, {"after": after, "rows": STEP_ROWS, "most": STEP_BYTES}).fetchone()[0]
        if until is None:
            until = last_row
        else:
            cursor.execute(_INDEX, (after, until))
        cursor.execute(_SAVE_INDEXED, (until,))
        self._until = until
        return until

    def accept(self) -> None:
        """The transaction is durable."""
        if self._until is not None:
            self.row, self._until = self._until, None

    def forget(self) -> None:
        """It has come to nothing."""
        self._until = None
