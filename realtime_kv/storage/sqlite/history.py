"""History and trash: `history` returns past writes, `trash` the deleted keys that can be restored.

The log's frames are the answer unchanged; the history index (history_index.py) selects them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Raw

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of, first_after
from realtime_kv.core.messages import PAGE_BYTES, HistoryPage, Op, TrashPage, read_frame
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import rfc3339
from realtime_kv.storage.sqlite.reads import ReadSnapshot, page_sql, read_page, space_of

# a page may consist of small parts of many long writes: this many bytes are read for it, and one write more
_LOOK_BYTES = 1024 * 1024
# index rows that one step reads for the writes under a prefix
_STEP_ROWS = 8192
# under a prefix with fewer index rows, these are sorted; otherwise the index is scanned by revision
_FEW_ROWS = 2048
# finding one row takes as long as reading this many in order
SEEK_ROWS = 8

_encode = msgspec.json.Encoder().encode

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

_FLOOR = "SELECT history_floor FROM spaces WHERE user_id = ?"

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


def history(
    db: Cursor,
    cost: Cost,
    user_id: int,
    *,
    key: str | None,
    before: int | None,
    limit: int,
    prefix: str | None,
) -> HistoryPage | Unfinished:
    """Return one page of the writes before the revision `before`, newest first; empty only if there are no more.

    With a `key`, or for a caller with a `prefix`, each write has only its ops on that key or those keys.
    """
    wanted = {"user": user_id, "before": 2**63 - 1 if before is None else before, "limit": limit, "key": key}
    narrow: Callable[[Op], bool] | None = None
    if key is not None:
        narrow = _of_key(key)
    elif prefix is not None:
        narrow = _under(prefix)
        wanted |= {"start": prefix, "end": end_of(prefix), "few": _FEW_ROWS, "rows": _STEP_ROWS}
    # as bytes: a page is large, and every copy of it holds the interpreter lock
    writes: list[bytes] = []
    size = looked = 0
    with ReadSnapshot(db):
        (floor,) = db.execute(_FLOOR, (user_id,)).fetchone()
        revisions, reached = _revisions(db, cost, wanted, of_key=key is not None, under=prefix is not None)
        for revision in revisions:
            found = db.execute(_FRAME, (user_id, revision)).fetchone()
            frame = found[0] if found else b""
            write = frame if narrow is None or not found else _narrowed(frame, narrow)
            if write:
                writes.append(write)
            cost.add(bytes=len(frame))
            size, looked, reached = size + len(write), looked + len(frame), revision
            if size >= PAGE_BYTES or looked >= _LOOK_BYTES:
                break
    if not writes and reached is not None:
        # nothing under the prefix so far; or a purge has removed the write, and not yet its index rows
        going_on = reached
        return Unfinished(
            lambda reader, cost: history(reader.db, cost, user_id, key=key, before=going_on, limit=limit, prefix=prefix)
        )
    return HistoryPage(writes=Raw(b"".join((b"[", *_joined(writes), b"]"))), floor=floor + 1)


def _revisions(
    db: Cursor, cost: Cost, wanted: dict[str, Any], *, of_key: bool, under: bool
) -> tuple[list[int], int | None]:
    """Return the newest wanted writes, and the revision down to which they were searched; None: to the first."""
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
        page = read_page(db, cost, _TRASH, _MORE, wanted, limit)
        revision = space_of(db, user_id)[0]
    return TrashPage(entries=Raw(page.text), next=page.next, revision=revision)


def _of_key(key: str) -> Callable[[Op], bool]:
    return lambda op: op.key == key


def _under(prefix: str) -> Callable[[Op], bool]:
    return lambda op: op.key.startswith(prefix)


def _joined(writes: list[bytes]) -> Iterator[bytes]:
    for number, write in enumerate(writes):
        if number:
            yield b","
        yield write


def _narrowed(frame: bytes, wanted: Callable[[Op], bool]) -> bytes:
    """Return the write with its wanted ops only; empty without such ops."""
    write = read_frame(frame)
    ops = [op for op in write.ops if wanted(op)]
    if len(ops) == len(write.ops):
        return frame
    write.ops = ops
    return _encode(write) if ops else b""
