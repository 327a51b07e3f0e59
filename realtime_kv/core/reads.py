"""Reading: `get`, `list` and `sync`, each one consistent reading of a user's space.

The pages are built by SQL as JSON, so that a long one costs the interpreter lock next to nothing: their bytes go to the
client as they come. Keys are ordered by their bytes, which is SQLite's order for UTF-8 text.
"""

import base64
import binascii
import sqlite3
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw

from realtime_kv.core.database import Cursor
from realtime_kv.core.errors import BadRequest, NotFound
from realtime_kv.core.frames import PAGE_BYTES, Bookmark, Got, Listed, Synced, timestamp
from realtime_kv.core.record import Record
from realtime_kv.core.space import Usage
from realtime_kv.core.values import SAFE_INTEGER

# in front of the last code point there is nothing greater: every key is smaller than this
_AFTER_ALL_KEYS = "\U0010ffff" * 129
# rows that one page of a sync looks at; more than a write can have, so that a page holds one whole write at least
_SYNC_ROWS = 4096


def rfc3339(column: str) -> str:
    """SQL for a time of that column as the protocol shows it."""
    return f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', {column} % 1000)"


LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"

ENTRY = f"""'{{"key":' || json_quote(key) || CASE WHEN :values THEN ',"value":' || value ELSE '' END
    || ',"revision":' || revision || ',"created_revision":' || created_revision || ',"version":' || version
    || ',"created_at":"' || {rfc3339("created_at")} || '","updated_at":"' || {rfc3339("updated_at")}
    || '","expires_at":' || coalesce('"' || {rfc3339("expires_at")} || '"', 'null') || '}}'"""

_GET = f"SELECT {ENTRY} FROM entries WHERE user_id = :user AND key = :key AND {LIVE}"

_TRASHED = "SELECT deleted_at FROM entries WHERE user_id = :user AND key = :key AND deleted_at IS NOT NULL"

# a page: the entries in front of which less than a page's worth of bytes stand, `limit` at most
_LIST = f"""
WITH candidates AS (
    SELECT * FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end AND {LIVE} ORDER BY key LIMIT :limit + 1
), documents AS (
    SELECT key, {ENTRY} AS document FROM candidates
), page AS (
    SELECT key, document, row_number() OVER (ORDER BY key) AS n,
        sum(length(document)) OVER (ORDER BY key) - length(document) AS before
    FROM documents
)
SELECT '[' || coalesce(group_concat(document, ','), '') || ']', max(key), count(*), (SELECT count(*) FROM candidates)
FROM (SELECT * FROM page WHERE before < :bytes AND n <= :limit ORDER BY key)
"""

# from the same reading as the data: a restore changes both at once
_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
_SPACE = "SELECT revision, floor, keys, digest FROM spaces WHERE user_id = :user"


def _candidates(keys: str) -> str:
    return f"""
    SELECT key, CASE WHEN deleted_at IS NULL THEN value END AS value, version, expires_at, updated_at, revision, origin
    FROM entries
    WHERE user_id = :user AND revision > :since AND (deleted_at IS NULL OR revision > :seen) {keys}
    ORDER BY revision LIMIT :rows
"""


def _sync_end(keys: str) -> str:
    # the last revision of the page: writes are never split, so rows of one revision share their total
    return f"""
SELECT max(revision) FILTER (WHERE before < :bytes), max(revision), count(*) FROM (
    SELECT revision, sum(size) OVER (ORDER BY revision ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (SELECT revision, coalesce(length(value), 0) + length(key) + 120 AS size FROM ({_candidates(keys)}))
)
"""


def _sync_page(keys: str) -> str:
    return f"""
SELECT '[' || coalesce(group_concat(document, ','), '') || ']' FROM (
    SELECT '{{"revision":' || revision || ',"at":"' || {rfc3339("updated_at")} || '","origin":' || origin || ',"ops":['
        || group_concat(CASE WHEN value IS NULL THEN '{{"op":"delete","key":' || json_quote(key) || '}}'
            ELSE '{{"op":"set","key":' || json_quote(key) || ',"value":' || value || ',"version":' || version
                || coalesce(',"expires_at":"' || {rfc3339("expires_at")} || '"', '') || '}}' END, ',')
        || ']}}' AS document
    FROM ({_candidates(keys)}) WHERE revision <= :until GROUP BY revision ORDER BY revision
)
"""


_UNDER = "AND key >= :start AND key < :end"
# of a whole space, and of the keys under a prefix
_SYNC_END, _SYNC_END_UNDER = _sync_end(""), _sync_end(_UNDER)
_SYNC_PAGE, _SYNC_PAGE_UNDER = _sync_page(""), _sync_page(_UNDER)

_USAGE_UNDER = f"""
SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + length(CAST(value AS BLOB))), 0) FROM entries
WHERE user_id = :user AND deleted_at IS NULL {_UNDER}
"""


def get(db: Cursor, user_id: int, key: str, now: int) -> Got:
    """The live entry under `key`. Raises NotFound, with `deleted_at` where the key is in the trash."""
    row = db.execute(_GET, {"user": user_id, "key": key, "now": now, "values": True}).fetchone()
    if row is None:
        trashed = db.execute(_TRASHED, {"user": user_id, "key": key}).fetchone()
        raise _not_found(trashed[0] if trashed else None)
    return Got(entry=Raw(row[0].encode()))


def shown(record: Record, value: str | None, now: int) -> Got:
    """What `get` answers where the record, with this value, is newer than the tables. Raises NotFound."""
    if value is None or not record.is_live(now):
        raise _not_found(record.deleted_at)
    return Got(entry=Raw(msgspec.json.encode(record.shown(value))))


def list_entries(
    db: sqlite3.Connection, user_id: int, now: int, *, prefix: str, after: str | None, limit: int, values: bool
) -> Listed:
    """The live entries whose keys start with `prefix` and come behind `after`, in byte order: one page of them."""
    # a key has no control characters, so this is the smallest text behind `after`
    start = prefix if after is None else max(prefix, after + "\0")
    with OneReading(db):
        text, last, shown, found = db.execute(
            _LIST,
            {
                "user": user_id,
                "now": now,
                "start": start,
                "end": behind(prefix),
                "limit": limit,
                "values": values,
                "bytes": PAGE_BYTES,
            },
        ).fetchone()
        revision = space_of(db, user_id)[0]
    return Listed(entries=Raw(text.encode()), next=last if found > shown else None, revision=revision)


class _Next(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a long sync stands: `since` has been sent; deletes up to `seen` need not be (-1: all are).

    It is of use to callers with this `prefix` only.
    """

    epoch: str
    since: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    seen: Annotated[int, Meta(ge=-1, le=SAFE_INTEGER)]
    reset: bool
    prefix: str | None = None


def sync(
    db: sqlite3.Connection,
    user_id: int,
    *,
    epoch: str | None,
    since: int | None,
    next: str | None,
    prefix: str | None = None,
) -> Synced:
    """One page of what a client lacks, in revision order (protocol §3).

    Every touched key stands once, in the write that last touched it. Pages are read one after the other, and a key
    that is written in between moves to a later page: whoever applies all pages in order has the last page's state.
    """
    at = _decode_next(next) if next is not None else None
    with OneReading(db):
        our_epoch = epoch_of(db)
        revision, floor, keys, digest = space_of(db, user_id)
        if at is not None and (
            (at.epoch, at.prefix) != (our_epoch, prefix) or not _reachable(at.since, floor, revision, at.reset)
        ):
            at = None
        elif next is None and epoch == our_epoch and since is not None and _reachable(since, floor, revision, False):
            at = _Next(our_epoch, since, -1, False, prefix)
        if at is None:
            # from nothing: what was deleted before now was never there
            at = _Next(our_epoch, 0, revision, True, prefix)
        until = _end_of_page(db, user_id, at, revision)
        page = _SYNC_PAGE if prefix is None else _SYNC_PAGE_UNDER
        text = db.execute(page, {**_range(user_id, at), "until": until}).fetchone()[0]
    last = until == revision
    # a caller with a prefix is not told how much there is besides
    proved = last and prefix is None
    return Synced(
        epoch=our_epoch,
        from_=at.since,
        revision=until,
        reset=at.reset,
        writes=Raw(text.encode()),
        next=None if last else _encode_next(_Next(our_epoch, until, at.seen, at.reset, prefix)),
        keys=keys if proved else UNSET,
        digest=digest if proved else UNSET,
    )


def epoch_of(db: sqlite3.Connection) -> str:
    """The name of the data set."""
    name: str = db.execute(_EPOCH).fetchone()[0]
    return name


def usage(db: sqlite3.Connection, user_id: int) -> Usage:
    """What the user's space holds."""
    return Usage(*db.execute("SELECT keys, bytes FROM spaces WHERE user_id = ?", (user_id,)).fetchone())


def quota(db: sqlite3.Connection, user_id: int) -> tuple[int | None, int | None]:
    """The keys and bytes that this user may keep; None for what everybody may."""
    row: tuple[int | None, int | None]
    row = db.execute("SELECT quota_keys, quota_bytes FROM users WHERE id = ?", (user_id,)).fetchone()
    return row


def usage_under(db: sqlite3.Connection, user_id: int, prefix: str) -> Usage:
    """What the keys with this prefix take of the quota."""
    return Usage(*db.execute(_USAGE_UNDER, {"user": user_id, "start": prefix, "end": behind(prefix)}).fetchone())


def _not_found(deleted_at: int | None) -> NotFound:
    extra = {} if deleted_at is None else {"deleted_at": timestamp(deleted_at)}
    return NotFound("There is no such key.", **extra)


def bookmark(db: sqlite3.Connection, user_id: int) -> Bookmark:
    """Where the space stands."""
    with OneReading(db):
        epoch = epoch_of(db)
        revision, _floor, keys, digest = space_of(db, user_id)
    return Bookmark(epoch=epoch, revision=revision, keys=keys, digest=digest)


def _end_of_page(db: sqlite3.Connection, user_id: int, at: _Next, revision: int) -> int:
    end = _SYNC_END if at.prefix is None else _SYNC_END_UNDER
    fits, last, rows = db.execute(end, {**_range(user_id, at), "bytes": PAGE_BYTES}).fetchone()
    if rows < _SYNC_ROWS and fits == last:
        return revision
    # the last revision seen may have more rows than were looked at
    return int(fits if fits < last or rows < _SYNC_ROWS else last - 1)


def _range(user_id: int, at: _Next) -> dict[str, Any]:
    page = {"user": user_id, "since": at.since, "seen": at.seen, "rows": _SYNC_ROWS}
    return page if at.prefix is None else {**page, "start": at.prefix, "end": behind(at.prefix)}


def _reachable(since: int, floor: int, revision: int, reset: bool) -> bool:
    return (floor <= since or (reset and since == 0)) and since <= revision


def space_of(db: sqlite3.Connection, user_id: int) -> tuple[int, int, int, int]:
    """The space's revision, floor, keys and digest."""
    row = db.execute(_SPACE, {"user": user_id}).fetchone()
    return row or (0, 0, 0, 0)


def behind(prefix: str) -> str:
    """The smallest text behind every key with this prefix; UTF-8 keeps the order of code points."""
    # nothing follows the last code point
    prefix = prefix.rstrip("\U0010ffff")
    if not prefix:
        return _AFTER_ALL_KEYS
    following = ord(prefix[-1]) + 1
    # surrogates are no characters: the next one stands behind them
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)


def _encode_next(at: _Next) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(at)).decode()


def _decode_next(text: str) -> _Next:
    try:
        return msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=_Next)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadRequest("That `next` did not come from a sync; start again without it.", field="next") from None


class OneReading:
    """A transaction that only reads: everything inside sees the space at one revision."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._db.execute("COMMIT")
