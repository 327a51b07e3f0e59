"""Reads: `get`, `list` and `sync`, each from one consistent snapshot of a user's space.

SQL builds the pages as JSON, so that a long page hardly holds the interpreter lock: its bytes go to the client
unchanged. Keys are ordered by their bytes, which is SQLite's order for UTF-8 text.
"""

from typing import Any

from msgspec import Raw

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of, first_after, next_text
from realtime_kv.core.domain.record import not_found
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import PAGE_BYTES, Bookmark, GetResult, ListPage
from realtime_kv.storage.paging import MEASURE_ROWS, SLICE_ROWS, read_page
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import ENTRY, LIVE, rfc3339, size_of
from realtime_kv.storage.sync_pages import SyncPosition

# rows that one page of a sync reads; more than a write can have, so that a page holds at least one whole write
_SYNC_ROWS = 4096
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


def list_page(
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
        page = read_page(SlicedPage(db, _LIST, _MORE, wanted), cost, limit)
        revision = space_of(db, user_id)[0]
    if not page.shown and page.next is not None:
        # only deleted keys so far
        going_on = page.next
        return Unfinished(
            lambda reader, cost: list_page(
                reader.db, cost, user_id, now, prefix=prefix, after=going_on, limit=limit, values=values
            )
        )
    return ListPage(entries=Raw(page.text), next=page.next, revision=revision)


class SlicedPage:
    """The storage's PageSource over a slice's SQL and the SQL that looks behind the page."""

    def __init__(self, db: Cursor, slice_sql: str, more_sql: str, wanted: dict[str, Any]) -> None:
        self._db = db
        self._slice_sql = slice_sql
        self._more_sql = more_sql
        self._wanted = wanted

    def read_slice(
        self, after: str | None, rows: int, left: int, bytes: int
    ) -> tuple[str | None, str | None, int, int, int, int]:
        part = {"start": self._start(after), "rows": rows, "left": left, "bytes": bytes}
        found: tuple[str | None, str | None, int, int, int, int]
        found = self._db.execute(self._slice_sql, {**self._wanted, **part}).fetchone()
        return found

    def look_behind(self, after: str | None, rows: int) -> tuple[int | None, int]:
        wanted = {**self._wanted, "start": self._start(after), "rows": rows}
        found: tuple[int | None, int] = self._db.execute(self._more_sql, wanted).fetchone()
        return found

    def _start(self, after: str | None) -> Any:
        return self._wanted["start"] if after is None else next_text(after)


def writes_after(db: Cursor, cost: Cost, user_id: int, at: SyncPosition, revision: int) -> tuple[int, str]:
    """Return the end of the page of a sync that begins at `at`, and its writes as a JSON array."""
    end, page = _sync_sql(db, user_id, at)
    until = _end_of_page(db, cost, end, user_id, at, revision)
    text: str = db.execute(page, {**_range(user_id, at), "until": until}).fetchone()[0]
    return until, text


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


def _sync_sql(db: Cursor, user_id: int, at: SyncPosition) -> tuple[str, str]:
    if at.prefix is None:
        return _SYNC
    wanted = {"user": user_id, "start": at.prefix, "end": end_of(at.prefix), "rows": FEW_ROWS}
    return _SYNC_FEW if db.execute(_ARE_FEW, wanted).fetchone()[0] < FEW_ROWS else _SYNC_MANY


def _end_of_page(db: Cursor, cost: Cost, sql: str, user_id: int, at: SyncPosition, revision: int) -> int:
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


def _range(user_id: int, at: SyncPosition) -> dict[str, Any]:
    page = {"user": user_id, "since": at.since, "seen": at.seen}
    return page if at.prefix is None else {**page, "start": at.prefix, "end": end_of(at.prefix)}


def space_of(db: Cursor, user_id: int) -> tuple[int, int, int, int]:
    """Return the space's revision, floor, keys and digest."""
    row = db.execute(_SPACE, {"user": user_id}).fetchone()
    return row or (0, 0, 0, 0)


class ReadSnapshot:
    """Read-only transaction: all statements inside see the space at one revision."""

    def __init__(self, db: Cursor) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._db.execute("COMMIT")
