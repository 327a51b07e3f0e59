"""History and trash: the past writes that the history index selects, and the deleted keys."""

from typing import Any

from psycopg import Connection

from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of
from realtime_kv.storage.postgres.expressions import RANGE, quoted, rfc3339
from realtime_kv.storage.postgres.reads import first, page_sql

# index rows that one step reads for the writes under a prefix
STEP_ROWS = 8192
# under a prefix with fewer index rows, these are sorted; otherwise the index is scanned by revision
FEW_ROWS = 2048

_OF_KEY = """
SELECT revision FROM history WHERE user_id = %(user)s AND key = %(key)s AND revision < %(before)s
ORDER BY revision DESC LIMIT %(limit)s
"""
_OF_SPACE = """
SELECT revision FROM log WHERE user_id = %(user)s AND revision < %(before)s ORDER BY revision DESC LIMIT %(limit)s
"""
_UNDER_FEW = """
SELECT DISTINCT revision FROM (
    SELECT revision FROM history
    WHERE user_id = %(user)s AND key >= %(start)s AND key < %(end)s AND revision < %(before)s LIMIT %(few)s
) AS part ORDER BY revision DESC LIMIT %(limit)s
"""
_ARE_FEW = """
SELECT count(*) FROM (
    SELECT 1 FROM history WHERE user_id = %(user)s AND key >= %(start)s AND key < %(end)s LIMIT %(few)s
) AS part
"""
# one step by revision: the revision reached, the number of rows, and the writes found
_UNDER_MANY = """
SELECT min(revision), count(*),
    array_agg(DISTINCT revision ORDER BY revision DESC) FILTER (WHERE key >= %(start)s AND key < %(end)s)
FROM (
    SELECT key, revision FROM history
    WHERE user_id = %(user)s AND revision < %(before)s ORDER BY revision DESC LIMIT %(rows)s
) AS part
"""
# as bytes: a page is large, and every copy of it holds the interpreter lock
_FRAME = "SELECT convert_to(frame, 'UTF8') FROM log WHERE user_id = %s AND revision = %s"
_FLOOR = "SELECT history_floor FROM spaces WHERE user_id = %s"

_TRASHED = f"""'{{"key":' || {quoted("key")} || ',"value":' || value || ',"revision":' || revision || ',"version":'
    || version || ',"deleted_at":"' || {rfc3339("deleted_at")} || '","purge_at":"'
    || {rfc3339("(deleted_at + %(kept)s)")} || '","origin":' || origin || '}}'"""
TRASH = page_sql(f"entries WHERE deleted_at IS NOT NULL AND {RANGE}", _TRASHED, wanted="TRUE")
TRASH_MORE = f"""
SELECT count(*), count(*) FROM (
    SELECT 1 FROM entries WHERE deleted_at IS NOT NULL AND {RANGE} LIMIT %(rows)s
) AS part
"""


def floor(db: Connection, user_id: int) -> int:
    """Return the revision up to which the history is incomplete."""
    revision: int = first(db.execute(_FLOOR, (user_id,)))[0]
    return revision


def frame_bytes(db: Connection, user_id: int, revision: int) -> bytes | None:
    """Return the frame of the write of `revision`."""
    row = db.execute(_FRAME, (user_id, revision), binary=True).fetchone()
    return row[0] if row else None


def writes_before(
    db: Connection, cost: Cost, user_id: int, before: int, limit: int, *, key: str | None, prefix: str | None
) -> tuple[list[int], int | None]:
    """Return the newest wanted writes, and the revision down to which they were searched; None: to the first."""
    wanted: dict[str, Any] = {"user": user_id, "before": before, "limit": limit, "key": key}
    sql = _OF_SPACE if key is None else _OF_KEY
    if key is None and prefix is not None:
        wanted |= {"start": prefix, "end": end_of(prefix), "few": FEW_ROWS, "rows": STEP_ROWS}
        cost.add(rows=FEW_ROWS)
        if first(db.execute(_ARE_FEW, wanted))[0] >= FEW_ROWS:
            reached, rows, found = first(db.execute(_UNDER_MANY, wanted))
            cost.add(rows=rows)
            # the last revision that was read may have more rows
            return (found or [])[:limit], reached + 1 if rows == STEP_ROWS else None
        sql = _UNDER_FEW
    revisions = [row[0] for row in db.execute(sql, wanted).fetchall()]
    cost.add(rows=len(revisions))
    return revisions, None
