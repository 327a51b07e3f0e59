"""Reading: `get`, `list` and `sync`, each one consistent reading of a user's space.

The pages are built by SQL as JSON, so that a long one costs the interpreter lock next to nothing: their bytes go to the
client as they come. Keys are ordered by their bytes, which is SQLite's order for UTF-8 text.
"""

import base64
import binascii
import sqlite3
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw

from realtime_kv.core.cost import Cost
from realtime_kv.core.database import Cursor
from realtime_kv.core.errors import BadRequest, NotFound
from realtime_kv.core.frames import PAGE_BYTES, Bookmark, Got, Listed, Synced, timestamp
from realtime_kv.core.readings import Unfinished
from realtime_kv.core.record import Record
from realtime_kv.core.space import Usage
from realtime_kv.core.values import SAFE_INTEGER

# in front of the last code point there is nothing greater: every key is smaller than this
_AFTER_ALL_KEYS = "\U0010ffff" * 129
# rows that one page of a sync looks at; more than a write can have, so that a page holds one whole write at least
_SYNC_ROWS = 4096
# rows of a slice: so little is read too much where values are large. The first one of a page is smaller
SLICE_ROWS = 256
FIRST_SLICE_ROWS = 64
# rows that one step of a page looks at where nothing is wanted, and one step of measuring
LOOK_ROWS = 4096
MEASURE_ROWS = 512
# under a prefix with fewer keys these are sorted; otherwise the space is gone through by revision
FEW_ROWS = 256


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


def page_sql(source: str, document: str, *, wanted: str) -> str:
    """A slice of a page: of `:rows` rows of `source` the documents of those `wanted`, up to `:left` and `:bytes`."""
    return f"""
SELECT group_concat(document, ',') FILTER (WHERE fits), max(key) FILTER (WHERE fits),
    count(document) FILTER (WHERE fits), count(*) FILTER (WHERE fits), count(*),
    coalesce(sum(length(document)) FILTER (WHERE fits), 0)
FROM (
    SELECT key, document,
        sum(coalesce(length(document), 0)) OVER (ORDER BY key) - coalesce(length(document), 0) < :bytes
        AND count(document) OVER (ORDER BY key) <= :left AS fits
    FROM (SELECT key, CASE WHEN {wanted} THEN {document} END AS document FROM (
        SELECT * FROM {source} WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
    ))
)
"""


_LIST = page_sql("entries", ENTRY, wanted=LIVE)
# whether one more is wanted behind the page, as far as a slice reaches; and how far that is
_MORE = f"""
SELECT max({LIVE}), count(*) FROM (
    SELECT deleted_at, expires_at FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
)
"""

# from the same reading as the data: a restore changes both at once
_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
_SPACE = "SELECT revision, floor, keys, digest FROM spaces WHERE user_id = :user"


def _sync_end(index: str, keys: str, wanted: str = "TRUE") -> str:
    # how far a page reaches: writes are never split, so it ends behind a whole revision. A row that is not wanted
    # takes no room, but has been looked at
    return f"""
SELECT max(revision) FILTER (WHERE before < :bytes), max(revision), count(*), coalesce(sum(size), 0) FROM (
    SELECT revision, size, sum(size) OVER (ORDER BY revision ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (SELECT revision, CASE WHEN NOT ({wanted}) OR (deleted_at IS NOT NULL AND revision <= :seen) THEN 0
            ELSE CASE WHEN deleted_at IS NULL THEN length(value) ELSE 0 END + length(key) + 120 END AS size
        FROM (SELECT key, value, revision, deleted_at FROM entries INDEXED BY {index}
            WHERE user_id = :user AND revision > :since {keys} ORDER BY revision LIMIT :rows OFFSET :skip))
)
"""


def _sync_page(index: str, keys: str) -> str:
    return f"""
SELECT '[' || coalesce(group_concat(document, ','), '') || ']' FROM (
    SELECT '{{"revision":' || revision || ',"at":"' || {rfc3339("updated_at")} || '","origin":' || origin || ',"ops":['
        || group_concat(CASE WHEN value IS NULL THEN '{{"op":"delete","key":' || json_quote(key) || '}}'
            ELSE '{{"op":"set","key":' || json_quote(key) || ',"value":' || value || ',"version":' || version
                || coalesce(',"expires_at":"' || {rfc3339("expires_at")} || '"', '') || '}}' END, ',')
        || ']}}' AS document
    FROM (SELECT key, CASE WHEN deleted_at IS NULL THEN value END AS value, version, expires_at, updated_at, revision,
            origin
        FROM entries INDEXED BY {index}
        WHERE user_id = :user AND revision > :since AND revision <= :until
            AND (deleted_at IS NULL OR revision > :seen) {keys}
        ORDER BY revision)
    GROUP BY revision ORDER BY revision
)
"""


_UNDER = "AND key >= :start AND key < :end"
_BY_REVISION, _BY_KEY = "entries_by_revision", "sqlite_autoindex_entries_1"
# of a whole space; of the few keys under a prefix, and of the many
_SYNC = (_sync_end(_BY_REVISION, ""), _sync_page(_BY_REVISION, ""))
_SYNC_FEW = (_sync_end(_BY_KEY, _UNDER), _sync_page(_BY_KEY, _UNDER))
_SYNC_MANY = (_sync_end(_BY_REVISION, "", "key >= :start AND key < :end"), _sync_page(_BY_REVISION, _UNDER))
_ARE_FEW = f"SELECT count(*) FROM (SELECT 1 FROM entries WHERE user_id = :user {_UNDER} LIMIT :rows)"

# a step of measuring: (rows, how many of them are wanted, their bytes, the last key)
_MEASURE = """
SELECT count(*), count(size), coalesce(sum(size), 0), max(key) FROM (
    SELECT key, CASE WHEN {wanted} THEN length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) END AS size FROM (
        SELECT key, value, deleted_at, expires_at FROM entries
        WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
    )
)
"""
_MEASURE_LIVE = _MEASURE.format(wanted=LIVE)
# what counts for the quota: an expired entry too, until its delete is written
_MEASURE_KEPT = _MEASURE.format(wanted="deleted_at IS NULL")


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
    db: sqlite3.Connection,
    cost: Cost,
    user_id: int,
    now: int,
    *,
    prefix: str,
    after: str | None,
    limit: int,
    values: bool,
) -> Listed | Unfinished:
    """The live entries whose keys start with `prefix` and come behind `after`, in byte order: one page of them."""
    wanted = {"user": user_id, "now": now, "start": behind_key(prefix, after), "end": behind(prefix), "values": values}
    with OneReading(db):
        page = read_page(db, cost, _LIST, _MORE, wanted, limit)
        revision = space_of(db, user_id)[0]
    if not page.shown and page.next is not None:
        # nothing but deleted keys so far
        going_on = page.next
        return Unfinished(
            lambda db, cost: list_entries(
                db, cost, user_id, now, prefix=prefix, after=going_on, limit=limit, values=values
            )
        )
    return Listed(entries=Raw(page.text), next=page.next, revision=revision)


class Page(NamedTuple):
    """Documents as a JSON array, and behind which key there may be more."""

    text: bytes
    shown: int
    next: str | None


def read_page(
    db: sqlite3.Connection, cost: Cost, slice_sql: str, more_sql: str, wanted: dict[str, Any], limit: int
) -> Page:
    """Up to `limit` documents, or a page's worth of bytes and one more, or what stands in LOOK_ROWS rows."""
    parts: list[str] = []
    shown = size = looked = 0
    start, rows, last = wanted["start"], min(limit, FIRST_SLICE_ROWS), None
    while True:
        part = {"start": start, "rows": rows, "left": limit - shown, "bytes": PAGE_BYTES - size}
        text, at, documents, taken, seen, bytes_ = db.execute(slice_sql, {**wanted, **part}).fetchone()
        cost.add(rows=seen, bytes=bytes_)
        if text:
            parts.append(text)
        shown, size, looked, last = shown + documents, size + bytes_, looked + seen, at or last
        if taken == seen < rows:
            last = None
            break
        if at is not None:
            # a key has no control characters, so this is the smallest text behind it
            start = at + "\0"
        if shown >= limit or size >= PAGE_BYTES:
            more, seen = db.execute(more_sql, {**wanted, "start": start, "rows": SLICE_ROWS}).fetchone()
            cost.add(rows=seen)
            if not more and seen < SLICE_ROWS:
                last = None
            break
        if looked >= LOOK_ROWS:
            break
        rows = SLICE_ROWS
    return Page(f"[{','.join(parts)}]".encode(), shown, last)


class _Next(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a long sync stands: `since` has been sent; deletes up to `seen` need not be (-1: all are).

    It is of use to callers with this `prefix` only. Between the steps of one page `told` is where the page begins.
    """

    epoch: str
    since: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    seen: Annotated[int, Meta(ge=-1, le=SAFE_INTEGER)]
    reset: bool
    prefix: str | None = None
    told: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None = None


def sync(
    db: sqlite3.Connection,
    cost: Cost,
    user_id: int,
    *,
    epoch: str | None,
    since: int | None,
    next: str | None,
    prefix: str | None = None,
) -> Synced | Unfinished:
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
        end, page = _sync_sql(db, user_id, at)
        until = _end_of_page(db, cost, end, user_id, at, revision)
        text = db.execute(page, {**_range(user_id, at), "until": until}).fetchone()[0]
    last = until == revision
    if not last and text == "[]":
        # nothing but deletes that need not be told so far
        going_on = _encode_next(
            _Next(our_epoch, until, at.seen, at.reset, prefix, at.since if at.told is None else at.told)
        )
        return Unfinished(
            lambda db, cost: sync(db, cost, user_id, epoch=None, since=None, next=going_on, prefix=prefix)
        )
    # a caller with a prefix is not told how much there is besides
    proved = last and prefix is None
    return Synced(
        epoch=our_epoch,
        from_=at.since if at.told is None else at.told,
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


def usage_under(db: sqlite3.Connection, cost: Cost, user_id: int, prefix: str) -> Usage | Unfinished:
    """What the keys with this prefix take of the quota."""
    return _measure(db, cost, _MEASURE_KEPT, {"user": user_id, "now": 0}, prefix, prefix, Usage(0, 0))


def measure(db: sqlite3.Connection, cost: Cost, user_id: int, prefix: str, now: int) -> Usage | Unfinished:
    """How much that is live lies under a prefix."""
    return _measure(db, cost, _MEASURE_LIVE, {"user": user_id, "now": now}, prefix, prefix, Usage(0, 0))


def _measure(
    db: sqlite3.Connection, cost: Cost, sql: str, wanted: dict[str, int], prefix: str, start: str, sum: Usage
) -> Usage | Unfinished:
    parameters = {**wanted, "start": start, "end": behind(prefix), "rows": MEASURE_ROWS}
    looked, keys, size, last = db.execute(sql, parameters).fetchone()
    cost.add(rows=looked, bytes=size)
    sum = Usage(sum.keys + keys, sum.bytes + size)
    if looked < MEASURE_ROWS:
        return sum
    return Unfinished(lambda db, cost: _measure(db, cost, sql, wanted, prefix, last + "\0", sum))


def _not_found(deleted_at: int | None) -> NotFound:
    extra = {} if deleted_at is None else {"deleted_at": timestamp(deleted_at)}
    return NotFound("There is no such key.", **extra)


def bookmark(db: sqlite3.Connection, user_id: int) -> Bookmark:
    """Where the space stands."""
    with OneReading(db):
        epoch = epoch_of(db)
        revision, _floor, keys, digest = space_of(db, user_id)
    return Bookmark(epoch=epoch, revision=revision, keys=keys, digest=digest)


def _sync_sql(db: sqlite3.Connection, user_id: int, at: _Next) -> tuple[str, str]:
    if at.prefix is None:
        return _SYNC
    wanted = {"user": user_id, "start": at.prefix, "end": behind(at.prefix), "rows": FEW_ROWS}
    return _SYNC_FEW if db.execute(_ARE_FEW, wanted).fetchone()[0] < FEW_ROWS else _SYNC_MANY


def _end_of_page(db: sqlite3.Connection, cost: Cost, sql: str, user_id: int, at: _Next, revision: int) -> int:
    wanted = _range(user_id, at)
    fits = last = None
    size = looked = 0
    while True:
        wanted |= {"bytes": PAGE_BYTES - size, "rows": SLICE_ROWS, "skip": looked}
        reaches, seen, rows, bytes_ = db.execute(sql, wanted).fetchone()
        cost.add(rows=rows, bytes=bytes_)
        fits, last = reaches or fits, seen or last
        size, looked = size + bytes_, looked + rows
        if rows < SLICE_ROWS and size < PAGE_BYTES:
            return revision
        if size >= PAGE_BYTES:
            # where the last row that was looked at is the last that fits, the rest of its write fits too
            return revision if rows < SLICE_ROWS and fits == last else int(fits or revision)
        if looked >= _SYNC_ROWS:
            # the last revision seen may have more rows than were looked at
            return int(last or revision) - 1


def _range(user_id: int, at: _Next) -> dict[str, Any]:
    page = {"user": user_id, "since": at.since, "seen": at.seen}
    return page if at.prefix is None else {**page, "start": at.prefix, "end": behind(at.prefix)}


def _reachable(since: int, floor: int, revision: int, reset: bool) -> bool:
    return (floor <= since or (reset and since == 0)) and since <= revision


def space_of(db: sqlite3.Connection, user_id: int) -> tuple[int, int, int, int]:
    """The space's revision, floor, keys and digest."""
    row = db.execute(_SPACE, {"user": user_id}).fetchone()
    return row or (0, 0, 0, 0)


def behind_key(prefix: str, after: str | None) -> str:
    """The first text under `prefix` behind `after`."""
    return prefix if after is None else max(prefix, after + "\0")


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
