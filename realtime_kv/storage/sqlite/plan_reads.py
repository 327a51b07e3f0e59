"""Reads of plans: the keys, values and writes that `undo`, `restore`, `move`, `copy` and `delete_prefix` look up."""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from realtime_kv.core.domain.key_ranges import end_of, first_after
from realtime_kv.core.messages import GetResult
from realtime_kv.core.statements import Frame
from realtime_kv.storage.sqlite import reads
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import ENTRY, LIVE, size_of

_encode = msgspec.json.Encoder().encode

# the live rows of a step, most of which may be deleted; and the number of its rows, with the last key
_UNDER = f"""
SELECT key, CASE WHEN :values THEN value END, expires_at, {size_of()} FROM (
    SELECT key, value, expires_at, deleted_at FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
) WHERE {LIVE}
"""
_REACH = """
SELECT count(*), max(key) FROM (
    SELECT key FROM entries WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
)
"""
_TAKEN = f"""
WITH wanted (place, wanted) AS (SELECT key, value FROM json_each(:keys))
SELECT key, {ENTRY} FROM wanted CROSS JOIN entries ON user_id = :user AND key = wanted
WHERE {LIVE} ORDER BY place LIMIT 1
"""
_ENTRY = """
SELECT value, deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?) FROM entries WHERE user_id = ? AND key = ?
"""
_WRITE_TO_KEY = """
SELECT l.frame FROM history AS h JOIN log AS l ON l.id = h.row WHERE h.user_id = ? AND h.key = ? AND h.revision = ?
"""
# (by default SQLite would search everything that the user has done)
_WRITE = """
SELECT l.frame FROM history AS h INDEXED BY history_by_revision JOIN log AS l ON l.id = h.row
WHERE h.user_id = ? AND h.revision = ? LIMIT 1
"""
_FLOOR = "SELECT history_floor FROM spaces WHERE user_id = ?"
# the previous write to each key
_BEFORE = """
SELECT w.value, (
    SELECT row FROM history WHERE user_id = ? AND key = w.value AND revision < ? ORDER BY revision DESC LIMIT 1
) FROM json_each(?) AS w
"""
_FRAME = "SELECT frame FROM log WHERE id = ?"
# the last write to each key
_LAST = """
SELECT w.value, (SELECT max(revision) FROM history WHERE user_id = ? AND key = w.value) FROM json_each(?) AS w
"""
_UNDOES = """
SELECT json_extract(l.frame, '$.undoes')
FROM history AS h INDEXED BY history_by_revision JOIN log AS l ON l.id = h.row
WHERE h.user_id = ? AND h.revision = ? LIMIT 1
"""
_REVISION_BEFORE = "SELECT max(revision) FROM history WHERE user_id = ? AND key = ? AND revision < ?"
_TRASHED = """
SELECT key, value, expires_at FROM entries
WHERE user_id = ? AND key IN (SELECT value FROM json_each(?)) AND deleted_at IS NOT NULL
"""


class PlanReads:
    """The core's PlanStatements, on a cursor or a connection."""

    db: Cursor

    def get(self, user_id: int, key: str, now: int) -> GetResult:
        return reads.get(self.db, user_id, key, now)

    def reach(self, user_id: int, after: str | None, prefix: str, rows: int) -> tuple[int, str | None]:
        wanted = {"user": user_id, "start": first_after(prefix, after), "end": end_of(prefix), "rows": rows}
        row: tuple[int, str | None] = self.db.execute(_REACH, wanted).fetchone()
        return row

    @contextmanager
    def live_under(
        self, user_id: int, after: str | None, prefix: str, now: int, rows: int, *, values: bool
    ) -> Generator[Iterator[tuple[str, str, int | None, int]]]:
        wanted = {
            "user": user_id,
            "start": first_after(prefix, after),
            "end": end_of(prefix),
            "rows": rows,
            "now": now,
            "values": values,
        }
        # with a cursor of its own, and closed even if not all is read: an open statement would keep seeing its old
        # snapshot
        cursor = self.new_cursor()
        try:
            yield cursor.execute(_UNDER, wanted)
        finally:
            cursor.close()

    def first_live(self, user_id: int, keys: Sequence[str], now: int) -> tuple[str, str] | None:
        wanted = {"user": user_id, "now": now, "values": True, "keys": _json(keys)}
        row: tuple[str, str] | None = self.db.execute(_TAKEN, wanted).fetchone()
        return row

    def last_value(self, user_id: int, key: str, now: int) -> tuple[str, bool] | None:
        row: tuple[str, bool] | None = self.db.execute(_ENTRY, (now, user_id, key)).fetchone()
        return row

    def write_to_key(self, user_id: int, key: str, revision: int) -> Frame | None:
        return _frame(self.db.execute(_WRITE_TO_KEY, (user_id, key, revision)))

    def write_at(self, user_id: int, revision: int) -> Frame | None:
        return _frame(self.db.execute(_WRITE, (user_id, revision)))

    def history_floor(self, user_id: int) -> int:
        floor: int = self.db.execute(_FLOOR, (user_id,)).fetchone()[0]
        return floor

    def last_revisions(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, int | None]]:
        found: list[tuple[str, int | None]] = self.db.execute(_LAST, (user_id, _json(keys))).fetchall()
        return found

    def undone_by(self, user_id: int, revision: int) -> int | None:
        undone: int | None = _first(self.db.execute(_UNDOES, (user_id, revision)))
        return undone

    def revision_before(self, user_id: int, key: str, revision: int) -> int | None:
        before: int | None = _first(self.db.execute(_REVISION_BEFORE, (user_id, key, revision)))
        return before

    def trashed_values(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, str, int | None]]:
        found: list[tuple[str, str, int | None]] = self.db.execute(_TRASHED, (user_id, _json(keys))).fetchall()
        return found

    def rows_before(self, user_id: int, keys: Sequence[str], revision: int) -> list[tuple[str, int | None]]:
        found: list[tuple[str, int | None]] = self.db.execute(_BEFORE, (user_id, revision, _json(keys))).fetchall()
        return found

    def frame_of_row(self, row: int) -> Frame | None:
        return _frame(self.db.execute(_FRAME, (row,)))

    def new_cursor(self) -> sqlite3.Cursor:
        """Return another cursor on the same connection."""
        raise NotImplementedError


def _json(keys: Sequence[str]) -> str:
    return _encode(keys).decode()


def _frame(cursor: Any) -> Frame | None:
    frame: Frame | None = _first(cursor)
    return frame


def _first(cursor: Any) -> Any:
    row = cursor.fetchone()
    return None if row is None else row[0]
