"""Reads of plans: the keys, values and writes that `undo`, `restore`, `move`, `copy` and `delete_prefix` look up."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from realtime_kv.core.messages import GetResult, read_frame
from realtime_kv.core.statements import Frame
from realtime_kv.storage.postgres import history, reads
from realtime_kv.storage.postgres.expressions import ENTRY, LIVE, RANGE, size_of

_UNDER = f"""
SELECT key, CASE WHEN %(values)s THEN value END, expires_at, {size_of()} FROM (
    SELECT key, value, expires_at, deleted_at FROM entries WHERE {RANGE} ORDER BY key LIMIT %(rows)s
) AS part WHERE {LIVE} ORDER BY key
"""
_REACH = f"SELECT count(*), max(key) FROM (SELECT key FROM entries WHERE {RANGE} ORDER BY key LIMIT %(rows)s) AS part"
_TAKEN = f"""
SELECT key, {ENTRY} FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS w (wanted, place)
    JOIN entries ON user_id = %(user)s AND key = wanted
WHERE {LIVE} ORDER BY place LIMIT 1
"""
_ENTRY = """
SELECT value, deleted_at IS NULL AND (expires_at IS NULL OR expires_at > %s) FROM entries
WHERE user_id = %s AND key = %s
"""
_WRITE_TO_KEY = """
SELECT l.frame FROM history AS h JOIN log AS l ON l.user_id = h.user_id AND l.revision = h.revision
WHERE h.user_id = %s AND h.key = %s AND h.revision = %s
"""
_WRITE = "SELECT frame FROM log WHERE user_id = %s AND revision = %s"
# the previous write to each key
_BEFORE = """
SELECT w.key, (SELECT max(revision) FROM history AS h WHERE user_id = %s AND h.key = w.key AND revision < %s)
FROM unnest(%s::text[]) AS w (key)
"""
# the last write to each key
_LAST = """
SELECT w.key, (SELECT max(revision) FROM history AS h WHERE user_id = %s AND h.key = w.key)
FROM unnest(%s::text[]) AS w (key)
"""
_REVISION_BEFORE = "SELECT max(revision) FROM history WHERE user_id = %s AND key = %s AND revision < %s"
_TRASHED = """
SELECT key, value, expires_at FROM entries WHERE user_id = %s AND key = ANY(%s::text[]) AND deleted_at IS NOT NULL
"""


class PlanReads:
    """The core's PlanStatements; a row of the log is (user id, revision)."""

    @property
    def db(self) -> Connection:
        """The driver's connection."""
        raise NotImplementedError

    def get(self, user_id: int, key: str, now: int) -> GetResult:
        return reads.get(self.db, user_id, key, now)

    def reach(self, user_id: int, after: str | None, prefix: str, rows: int) -> tuple[int, str | None]:
        row: tuple[int, str | None]
        row = reads.first(self.db.execute(_REACH, {**reads.range_of(user_id, prefix, after), "rows": rows}))
        return row

    @contextmanager
    def live_under(
        self, user_id: int, after: str | None, prefix: str, now: int, rows: int, *, values: bool
    ) -> Generator[Iterator[tuple[str, str, int | None, int]]]:
        wanted = {**reads.range_of(user_id, prefix, after), "rows": rows, "now": now, "values": values}
        with self.db.execute(_UNDER, wanted) as cursor:
            yield iter(cursor)

    def first_live(self, user_id: int, keys: Sequence[str], now: int) -> tuple[str, str] | None:
        wanted = {"user": user_id, "now": now, "values": True, "keys": list(keys)}
        row: tuple[str, str] | None = self.db.execute(_TAKEN, wanted).fetchone()
        return row

    def last_value(self, user_id: int, key: str, now: int) -> tuple[str, bool] | None:
        row: tuple[str, bool] | None = self.db.execute(_ENTRY, (now, user_id, key)).fetchone()
        return row

    def write_to_key(self, user_id: int, key: str, revision: int) -> Frame | None:
        return self._frame(_WRITE_TO_KEY, (user_id, key, revision))

    def write_at(self, user_id: int, revision: int) -> Frame | None:
        return self._frame(_WRITE, (user_id, revision))

    def history_floor(self, user_id: int) -> int:
        return history.floor(self.db, user_id)

    def last_revisions(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, int | None]]:
        return self.db.execute(_LAST, (user_id, list(keys))).fetchall()

    def undone_by(self, user_id: int, revision: int) -> int | None:
        frame = self.write_at(user_id, revision)
        undone = None if frame is None else read_frame(frame).undoes
        return undone if isinstance(undone, int) else None

    def revision_before(self, user_id: int, key: str, revision: int) -> int | None:
        before: int | None = reads.first(self.db.execute(_REVISION_BEFORE, (user_id, key, revision)))[0]
        return before

    def trashed_values(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, str, int | None]]:
        return self.db.execute(_TRASHED, (user_id, list(keys))).fetchall()

    def rows_before(self, user_id: int, keys: Sequence[str], revision: int) -> list[tuple[str, tuple[int, int] | None]]:
        found = self.db.execute(_BEFORE, (user_id, revision, list(keys))).fetchall()
        return [(key, None if before is None else (user_id, before)) for key, before in found]

    def frame_of_row(self, row: tuple[int, int]) -> Frame | None:
        return self.write_at(*row)

    def _frame(self, sql: str, parameters: Any) -> Frame | None:
        row = self.db.execute(sql, parameters).fetchone()
        return None if row is None else row[0]
