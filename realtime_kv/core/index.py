"""History index: the log row of each op on a key. It follows the log, in steps, when there is time.

A commit appends to the log and to nothing else (docs/decisions/0004); reads of the history first bring the index up to
date. `meta.indexed` is the last indexed row.
"""

from realtime_kv.core.database import Cursor

# one step: some 20 ms during which all writes wait, and 200 ms once the index is large
STEP_ROWS = 4096
STEP_BYTES = 4 * 1024 * 1024

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


class Index:
    """Progress of the index; rows that the open transaction has added count once it is accepted."""

    def __init__(self) -> None:
        self.row = 0
        self._until: int | None = None

    def recall(self, cursor: Cursor) -> None:
        """Load the progress."""
        self.row = cursor.execute(_INDEXED).fetchone()[0]
        self._until = None

    @property
    def reached(self) -> int:
        """The last indexed row, including the open transaction's."""
        return self.row if self._until is None else self._until

    def step(self, cursor: Cursor, last_row: int) -> int:
        """Index one step, at most up to `last_row`, which is the log's last; return the last indexed row."""
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
        """Keep the progress of the transaction, which is now durable."""
        if self._until is not None:
            self.row, self._until = self._until, None

    def forget(self) -> None:
        """Discard the progress of the transaction, which was rolled back."""
        self._until = None
