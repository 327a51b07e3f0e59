"""Reads: `get`, `list` and `sync`, each from one consistent snapshot of a user's space.

SQL builds the pages as JSON, so that a long page hardly holds the interpreter lock: its bytes go to the client
unchanged. Keys are ordered by their bytes, which is SQLite's order for UTF-8 text.

Longer than 320 lines: each read stands beside its SQL.
"""

import base64
import binascii
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of, first_after, next_text
from realtime_kv.core.domain.record import not_found
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import PAGE_BYTES, Bookmark, GetResult, ListPage, SyncPage
from realtime_kv.core.validation import SAFE_INTEGER
from realtime_kv.errors import BadRequest
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import ENTRY, LIVE, rfc3339, size_of

# rows that one page of a sync reads; more than a write can have, so that a page holds at least one whole write
_SYNC_ROWS = 4096
# rows of a slice, which bounds the excess read where values are large; the first slice of a page is smaller
SLICE_ROWS = 256
FIRST_SLICE_ROWS = 64
# rows that one step of a page reads where none is wanted, and rows of one step of measuring
LOOK_ROWS = 4096
MEASURE_ROWS = 512
# under a prefix with fewer keys, the keys are sorted; otherwise the space is scanned by revision
FEW_ROWS = 256


_GET = f"SELECT {ENTRY} FROM entries WHERE user_id = :user AND key = :key AND {LIVE}"

_TRASHED = "SELECT deleted_at FROM entries WHERE user_id = :user AND key = :key AND deleted_at IS NOT NULL"


def page_sql(source: str, document: str, *, wanted: str) -> str:
    """Return SQL for a slice of a page: of `:rows` rows of `source` the `wanted` documents, to `:left` and `:bytes`."""
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
# whether another row is wanted behind the page, within one slice; and the number of rows in that slice
_MORE = f"""
SELECT max({LIVE}), count(*) FROM (
    SELECT deleted_at, expires_at FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
)
"""

# read in the same snapshot as the data: a restore changes both at once
_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
_SPACE = "SELECT revision, floor, keys, digest FROM spaces WHERE user_id = :user"


def _sync_end(index: str, keys: str, wanted: str = "TRUE") -> str:
    # the end of a page: writes are never split, so it ends after a whole revision. A row that is not wanted takes no
    # room, but counts as read
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
# for a whole space; for few keys under a prefix, and for many
_SYNC = (_sync_end(_BY_REVISION, ""), _sync_page(_BY_REVISION, ""))
_SYNC_FEW = (_sync_end(_BY_KEY, _UNDER), _sync_page(_BY_KEY, _UNDER))
_SYNC_MANY = (_sync_end(_BY_REVISION, "", "key >= :start AND key < :end"), _sync_page(_BY_REVISION, _UNDER))
_ARE_FEW = f"SELECT count(*) FROM (SELECT 1 FROM entries WHERE user_id = :user {_UNDER} LIMIT :rows)"

# a step of measuring: (rows, how many of them are wanted, their bytes, the last key)
_MEASURE = """
SELECT count(*), count(size), coalesce(sum(size), 0), max(key) FROM (
    SELECT key, CASE WHEN {wanted} THEN {size} END AS size FROM (
        SELECT key, value, deleted_at, expires_at FROM entries
        WHERE user_id = :user AND key >= :start AND key < :end ORDER BY key LIMIT :rows
    )
)
"""
_MEASURE_LIVE = _MEASURE.format(wanted=LIVE, size=size_of())
# the entries that count for the quota: expired ones too, until their delete is written
_MEASURE_KEPT = _MEASURE.format(wanted="deleted_at IS NULL", size=size_of())


def get(db: Cursor, user_id: int, key: str, now: int) -> GetResult:
    """Return the live entry under `key`. Raises NotFound, with `deleted_at` if the key is in the trash."""
    row = db.execute(_GET, {"user": user_id, "key": key, "now": now, "values": True}).fetchone()
    if row is None:
        trashed = db.execute(_TRASHED, {"user": user_id, "key": key}).fetchone()
        raise not_found(trashed[0] if trashed else None)
    return GetResult(entry=Raw(row[0].encode()))


def list_entries(
    db: Cursor,
    cost: Cost,
    user_id: int,
    now: int,
    *,
    prefix: str,
    after: str | None,
    limit: int,
    values: bool,
) -> ListPage | Unfinished:
    """Return one page of the live entries whose keys start with `prefix` and follow `after`, in byte order."""
    wanted = {"user": user_id, "now": now, "start": first_after(prefix, after), "end": end_of(prefix), "values": values}
    with ReadSnapshot(db):
        page = read_page(db, cost, _LIST, _MORE, wanted, limit)
        revision = space_of(db, user_id)[0]
    if not page.shown and page.next is not None:
        # only deleted keys so far
        going_on = page.next
        return Unfinished(
            lambda reader, cost: list_entries(
                reader.db, cost, user_id, now, prefix=prefix, after=going_on, limit=limit, values=values
            )
        )
    return ListPage(entries=Raw(page.text), next=page.next, revision=revision)


class Page(NamedTuple):
    """Documents as a JSON array, and the key after which there may be more."""

    text: bytes
    shown: int
    next: str | None


def read_page(db: Cursor, cost: Cost, slice_sql: str, more_sql: str, wanted: dict[str, Any], limit: int) -> Page:
    """Read up to `limit` documents, or a page's worth of bytes and one more, or the documents in LOOK_ROWS rows."""
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
            start = next_text(at)
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
    """Position of a long sync: `since` has been sent; deletes up to `seen` need not be sent (-1: all must be).

    It is valid only for callers with this `prefix`. Between the steps of one page, `told` is where the page begins.
    """

    epoch: str
    since: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    seen: Annotated[int, Meta(ge=-1, le=SAFE_INTEGER)]
    reset: bool
    prefix: str | None = None
    told: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)] | None = None


def sync(
    db: Cursor,
    cost: Cost,
    user_id: int,
    *,
    epoch: str | None,
    since: int | None,
    next: str | None,
    prefix: str | None = None,
) -> SyncPage | Unfinished:
    """Return one page of the writes that a client lacks, in revision order (protocol §3).

    Every touched key appears once, in the write that last touched it. Pages are read one after the other, and a key
    that is written in between moves to a later page: a client that applies all pages in order has the last page's
    state.
    """
    at = _decode_next(next) if next is not None else None
    with ReadSnapshot(db):
        our_epoch = epoch_of(db)
        revision, floor, keys, digest = space_of(db, user_id)
        if next is None and epoch == our_epoch and since is not None:
            at = _Next(our_epoch, since, -1, False, prefix)
        if at is None or (at.epoch, at.prefix) != (our_epoch, prefix) or not _reachable(at, floor, revision):
            # a client that starts from nothing never had what was deleted before now
            at = _Next(our_epoch, 0, revision, True, prefix)
        end, page = _sync_sql(db, user_id, at)
        until = _end_of_page(db, cost, end, user_id, at, revision)
        text = db.execute(page, {**_range(user_id, at), "until": until}).fetchone()[0]
    last = until == revision
    if not last and text == "[]":
        # only deletes so far, which need not be sent
        going_on = _encode_next(
            _Next(our_epoch, until, at.seen, at.reset, prefix, at.since if at.told is None else at.told)
        )
        return Unfinished(
            lambda reader, cost: sync(reader.db, cost, user_id, epoch=None, since=None, next=going_on, prefix=prefix)
        )
    # a caller with a prefix must not learn the size of the rest of the space
    proved = last and prefix is None
    return SyncPage(
        epoch=our_epoch,
        from_=at.since if at.told is None else at.told,
        revision=until,
        reset=at.reset,
        writes=Raw(text.encode()),
        next=None if last else _encode_next(_Next(our_epoch, until, at.seen, at.reset, prefix)),
        keys=keys if proved else UNSET,
        digest=digest if proved else UNSET,
    )


def epoch_of(db: Cursor) -> str:
    """Return the name of the data set."""
    name: str = db.execute(_EPOCH).fetchone()[0]
    return name


def usage(db: Cursor, user_id: int) -> Usage:
    """Return the totals of the user's space."""
    return Usage(*db.execute("SELECT keys, bytes FROM spaces WHERE user_id = ?", (user_id,)).fetchone())


def quota(db: Cursor, user_id: int) -> tuple[int | None, int | None]:
    """Return the keys and bytes that this user may keep; None for the default."""
    row: tuple[int | None, int | None]
    row = db.execute("SELECT quota_keys, quota_bytes FROM users WHERE id = ?", (user_id,)).fetchone()
    return row


def usage_under(db: Cursor, cost: Cost, user_id: int, prefix: str) -> Usage | Unfinished:
    """Return how much of the quota the keys with this prefix take."""
    return _measure(db, cost, _MEASURE_KEPT, {"user": user_id, "now": 0}, prefix, prefix, Usage(0, 0))


def measure(db: Cursor, cost: Cost, user_id: int, prefix: str, now: int) -> Usage | Unfinished:
    """Return how many live keys and bytes are under a prefix."""
    return _measure(db, cost, _MEASURE_LIVE, {"user": user_id, "now": now}, prefix, prefix, Usage(0, 0))


def _measure(
    db: Cursor, cost: Cost, sql: str, wanted: dict[str, int], prefix: str, start: str, sum: Usage
) -> Usage | Unfinished:
    parameters = {**wanted, "start": start, "end": end_of(prefix), "rows": MEASURE_ROWS}
    looked, keys, size, last = db.execute(sql, parameters).fetchone()
    cost.add(rows=looked, bytes=size)
    sum = Usage(sum.keys + keys, sum.bytes + size)
    if looked < MEASURE_ROWS:
        return sum
    return Unfinished(lambda reader, cost: _measure(reader.db, cost, sql, wanted, prefix, next_text(last), sum))


def bookmark(db: Cursor, user_id: int) -> Bookmark:
    """Return the bookmark of the space."""
    with ReadSnapshot(db):
        epoch = epoch_of(db)
        revision, _floor, keys, digest = space_of(db, user_id)
    return Bookmark(epoch=epoch, revision=revision, keys=keys, digest=digest)


def _sync_sql(db: Cursor, user_id: int, at: _Next) -> tuple[str, str]:
    if at.prefix is None:
        return _SYNC
    wanted = {"user": user_id, "start": at.prefix, "end": end_of(at.prefix), "rows": FEW_ROWS}
    return _SYNC_FEW if db.execute(_ARE_FEW, wanted).fetchone()[0] < FEW_ROWS else _SYNC_MANY


def _end_of_page(db: Cursor, cost: Cost, sql: str, user_id: int, at: _Next, revision: int) -> int:
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
            # the last row that was read is the last that fits, so the rest of its write fits too
            return revision if rows < SLICE_ROWS and fits == last else int(fits or revision)
        if looked >= _SYNC_ROWS:
            # the last revision seen may have more rows than were read
            return int(last or revision) - 1


def _range(user_id: int, at: _Next) -> dict[str, Any]:
    page = {"user": user_id, "since": at.since, "seen": at.seen}
    return page if at.prefix is None else {**page, "start": at.prefix, "end": end_of(at.prefix)}


def _reachable(at: _Next, floor: int, revision: int) -> bool:
    # deletes up to `floor` have been purged: a client that began from nothing at `seen` needs none up to there
    return floor <= (max(at.since, at.seen) if at.reset else at.since) and at.since <= revision


def space_of(db: Cursor, user_id: int) -> tuple[int, int, int, int]:
    """Return the space's revision, floor, keys and digest."""
    row = db.execute(_SPACE, {"user": user_id}).fetchone()
    return row or (0, 0, 0, 0)


def _encode_next(at: _Next) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(at)).decode()


def _decode_next(text: str) -> _Next:
    try:
        return msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=_Next)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadRequest("That `next` did not come from a sync; start again without it.", field="next") from None


class ReadSnapshot:
    """Read-only transaction: all statements inside see the space at one revision."""

    def __init__(self, db: Cursor) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._db.execute("COMMIT")
