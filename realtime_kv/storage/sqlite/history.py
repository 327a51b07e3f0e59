"""History and trash: the past writes that the history index (history_index.py) selects, and the deleted keys."""

from typing import Any

import msgspec
from msgspec import Raw

from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of, first_after
from realtime_kv.core.messages import TrashPage
from realtime_kv.storage.paging import read_page
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import rfc3339
from realtime_kv.storage.sqlite.reads import ReadSnapshot, SlicedPage, page_sql, space_of

# index rows that one step reads for the writes under a prefix
_STEP_ROWS = 8192
# under a prefix with fewer index rows, these are sorted; otherwise the index is scanned by revision
_FEW_ROWS = 2048
# finding one row takes as long as reading this many in order
SEEK_ROWS = 8

# first the revisions, by the index alone; then the writes one by one, until there are enough
_OF_KEY = """
SELECT revision FROM history WHERE user_id = :user AND key = :key AND revision < :before
ORDER BY revision DESC LIMIT :limit
"""
# from one revision to the next: a write may have two thousand rows
_OF_SPACE = """
WITH RECURSIVE found (revision, count) AS (
    SELECT (SELECT max(revision) FROM history INDEXED BY history_by_revision
        WHERE user_id = :user AND revision < :before), 1
    UNION ALL
    SELECT (SELECT max(revision) FROM history INDEXED BY history_by_revision
        WHERE user_id = :user AND revision < found.revision), count + 1
    FROM found WHERE revision IS NOT NULL AND count < :limit
)
SELECT revision FROM found WHERE revision IS NOT NULL
"""
_UNDER_FEW = """
SELECT DISTINCT revision FROM (
    SELECT revision FROM history WHERE user_id = :user AND key >= :start AND key < :end AND revision < :before
    LIMIT :few
) ORDER BY revision DESC LIMIT :limit
"""
_ARE_FEW = """
SELECT count(*) FROM (SELECT 1 FROM history WHERE user_id = :user AND key >= :start AND key < :end LIMIT :few)
"""
# one step by revision: the revision reached, the number of rows, and the writes found
_UNDER_MANY = """
SELECT min(revision), count(*), json_group_array(DISTINCT revision) FILTER (WHERE key >= :start AND key < :end) FROM (
    SELECT key, revision FROM history INDEXED BY history_by_revision
    WHERE user_id = :user AND revision < :before ORDER BY revision DESC LIMIT :rows
)
"""
# (by default SQLite would search everything that the user has done)
_FRAME = """
SELECT CAST(l.frame AS BLOB) FROM history AS h INDEXED BY history_by_revision JOIN log AS l ON l.id = h.row
WHERE h.user_id = ? AND h.revision = ? LIMIT 1
"""

_TRASHED = f"""'{{"key":' || json_quote(key) || ',"value":' || value || ',"revision":' || revision || ',"version":'
    || version || ',"deleted_at":"' || {rfc3339("deleted_at")} || '","purge_at":"' || {rfc3339("(deleted_at + :kept)")}
    || '","origin":' || origin || '}}'"""

_TRASH = page_sql("entries INDEXED BY entries_in_trash", _TRASHED, wanted="TRUE").replace(
    "WHERE user_id = :user", "WHERE deleted_at IS NOT NULL AND user_id = :user"
)
_MORE = """
SELECT count(*), count(*) FROM (
    SELECT 1 FROM entries INDEXED BY entries_in_trash
    WHERE deleted_at IS NOT NULL AND user_id = :user AND key >= :start AND key < :end LIMIT :rows
)
"""


def frame_bytes(db: Cursor, user_id: int, revision: int) -> bytes | None:
    """Return the frame of the write of `revision`."""
    found = db.execute(_FRAME, (user_id, revision)).fetchone()
    return found[0] if found else None


def writes_before(
    db: Cursor, cost: Cost, user_id: int, before: int, limit: int, *, key: str | None, prefix: str | None
) -> tuple[list[int], int | None]:
    """Return the newest wanted writes, and the revision down to which they were searched; None: to the first."""
    wanted = {"user": user_id, "before": before, "limit": limit, "key": key}
    if key is None and prefix is not None:
        wanted |= {"start": prefix, "end": end_of(prefix), "few": _FEW_ROWS, "rows": _STEP_ROWS}
    return _revisions(db, cost, wanted, of_key=key is not None, under=prefix is not None)


def _revisions(
    db: Cursor, cost: Cost, wanted: dict[str, Any], *, of_key: bool, under: bool
) -> tuple[list[int], int | None]:
    if not of_key and under and db.execute(_ARE_FEW, wanted).fetchone()[0] >= _FEW_ROWS:
        reached, rows, found = db.execute(_UNDER_MANY, wanted).fetchone()
        cost.add(rows=_FEW_ROWS + rows)
        revisions = sorted(msgspec.json.decode(found, type=list[int]), reverse=True)[: wanted["limit"]]
        # the last revision that was read may have more rows
        return revisions, reached + 1 if rows == _STEP_ROWS else None
    sql = _OF_KEY if of_key else _UNDER_FEW if under else _OF_SPACE
    revisions = [row[0] for row in db.execute(sql, wanted).fetchall()]
    cost.add(rows=_FEW_ROWS if sql is _UNDER_FEW else len(revisions) * (1 if of_key else SEEK_ROWS))
    return revisions, None


def trash(db: Cursor, cost: Cost, user_id: int, kept: int, *, prefix: str, after: str | None, limit: int) -> TrashPage:
    """Return one page of the deleted keys under `prefix` and after `after`, in byte order; `kept`: retention in ms."""
    wanted = {"user": user_id, "start": first_after(prefix, after), "end": end_of(prefix), "kept": kept}
    with ReadSnapshot(db):
        page = read_page(SlicedPage(db, _TRASH, _MORE, wanted), cost, limit)
        revision = space_of(db, user_id)[0]
    return TrashPage(entries=Raw(page.text), next=page.next, revision=revision)
