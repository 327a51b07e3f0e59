"""Reading the past: `history`, what was written, and `trash`, what can be had back.

The frames of the log are the answer as they stand; its index (index.py) says which of them.
"""

import sqlite3
from collections.abc import Callable

import msgspec
from msgspec import Raw

from realtime_kv.core.frames import PAGE_BYTES, Histories, Op, Trashed, read_frame
from realtime_kv.core.reads import OneReading, behind, rfc3339, space_of

# a page may be made of a few words from each of many long writes: so much is looked through for it
_LOOK_BYTES = 16 * 1024 * 1024

_encode = msgspec.json.Encoder().encode

# first which writes, by the index alone; then one after the other, until there are enough
_WRITES = """
SELECT DISTINCT revision FROM history WHERE user_id = :user AND revision < :before {keys}
ORDER BY revision DESC LIMIT :limit
"""
_OF_SPACE = _WRITES.format(keys="")
_UNDER = _WRITES.format(keys="AND key >= :start AND key < :end")
_OF_KEY = _WRITES.format(keys="AND key = :key")
# (left to itself SQLite would look through all that the user has done)
_FRAME = """
SELECT l.frame FROM history AS h INDEXED BY history_by_revision JOIN log AS l ON l.id = h.row
WHERE h.user_id = ? AND h.revision = ? LIMIT 1
"""

_FLOOR = "SELECT history_floor FROM spaces WHERE user_id = ?"

_TRASHED = f"""'{{"key":' || json_quote(key) || ',"value":' || value || ',"revision":' || revision || ',"version":'
    || version || ',"deleted_at":"' || {rfc3339("deleted_at")} || '","purge_at":"' || {rfc3339("(deleted_at + :kept)")}
    || '","origin":' || origin || '}}'"""

# a page: the keys in front of which less than a page's worth of bytes stand, `limit` at most
_TRASH = f"""
WITH candidates AS (
    SELECT * FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end AND deleted_at IS NOT NULL ORDER BY key LIMIT :limit + 1
), documents AS (
    SELECT key, {_TRASHED} AS document FROM candidates
), page AS (
    SELECT key, document, row_number() OVER (ORDER BY key) AS n,
        sum(length(document)) OVER (ORDER BY key) - length(document) AS before
    FROM documents
)
SELECT '[' || coalesce(group_concat(document, ','), '') || ']', max(key), count(*), (SELECT count(*) FROM candidates)
FROM (SELECT * FROM page WHERE before < :bytes AND n <= :limit ORDER BY key)
"""


def history(
    db: sqlite3.Connection, user_id: int, *, key: str | None, before: int | None, limit: int, prefix: str | None
) -> Histories:
    """The writes before the revision `before`, the newest first: one page, and empty only when there are no more.

    With a `key`, or for a caller with a `prefix`, of each write only what it did to that key, or those keys.
    """
    wanted = {"user": user_id, "before": 2**63 - 1 if before is None else before, "limit": limit, "key": key}
    narrow: Callable[[Op], bool] | None
    if key is not None:
        rows, narrow = _OF_KEY, lambda op: op.key == key
    elif prefix is not None:
        rows, narrow = _UNDER, lambda op: op.key.startswith(prefix)
        wanted |= {"start": prefix, "end": behind(prefix)}
    else:
        rows, narrow = _OF_SPACE, None
    writes: list[str] = []
    size = looked = 0
    with OneReading(db):
        (floor,) = db.execute(_FLOOR, (user_id,)).fetchone()
        # again only where a purge has taken away all of that, and not yet its place in the index
        while not writes and (revisions := db.execute(rows, wanted).fetchall()):
            for (revision,) in revisions:
                found = db.execute(_FRAME, (user_id, revision)).fetchone()
                frame = found[0] if found else ""
                write = frame if narrow is None or not found else _narrowed(frame, narrow)
                if write:
                    writes.append(write)
                size, looked = size + len(write), looked + len(frame)
                if size >= PAGE_BYTES or looked >= _LOOK_BYTES:
                    break
            wanted["before"] = revision
    return Histories(writes=Raw(f"[{','.join(writes)}]".encode()), floor=floor + 1)


def trash(db: sqlite3.Connection, user_id: int, kept: int, *, prefix: str, after: str | None, limit: int) -> Trashed:
    """The deleted keys under `prefix` and behind `after`, in byte order: one page. They are `kept` so long (ms)."""
    start = prefix if after is None else max(prefix, after + "\0")
    with OneReading(db):
        text, last, shown, found = db.execute(
            _TRASH,
            {
                "user": user_id,
                "start": start,
                "end": behind(prefix),
                "limit": limit,
                "kept": kept,
                "bytes": PAGE_BYTES,
            },
        ).fetchone()
        revision = space_of(db, user_id)[0]
    return Trashed(entries=Raw(text.encode()), next=last if found > shown else None, revision=revision)


def _narrowed(frame: str, wanted: Callable[[Op], bool]) -> str:
    """Nothing of a write without any such op."""
    write = read_frame(frame)
    ops = [op for op in write.ops if wanted(op)]
    if len(ops) == len(write.ops):
        return frame
    write.ops = ops
    return _encode(write).decode() if ops else ""
