"""Reads: `get`, `list`, `sync` and measuring. SQL builds the pages as JSON, as on SQLite.

A sync has no index by revision: the log leads it to the entries, or all entries are sorted where that is cheaper.
"""

from typing import Any

from msgspec import Raw
from psycopg import Connection

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.charges import ROW_BYTES
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.key_ranges import end_of
from realtime_kv.core.domain.record import not_found
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import PAGE_BYTES, GetResult
from realtime_kv.storage.paging import MEASURE_ROWS
from realtime_kv.storage.postgres.expressions import ENTRY, KEY_SEPARATOR, LIVE, RANGE, quoted, rfc3339, size_of
from realtime_kv.storage.sync_pages import SyncPosition

# rows that one page of a sync reads; more than a write can have, so that a page holds at least one whole write
SYNC_ROWS = 4096
# writes of the log that one step of a sync looks through
LOG_STEP = 4096
# below this many entries under a prefix, or in a space, they are sorted by revision
FEW_ROWS = 256
FEW_ENTRIES = 2048
# looking one write of the log up takes as long as sorting this many entries
LOOKUP_ENTRIES = 4

_GET = f"SELECT {ENTRY} FROM entries WHERE user_id = %(user)s AND key = %(key)s AND {LIVE}"
_TRASHED = "SELECT deleted_at FROM entries WHERE user_id = %(user)s AND key = %(key)s AND deleted_at IS NOT NULL"


def page_sql(source: str, document: str, *, wanted: str) -> str:
    """Return SQL for a slice of a page: of `rows` rows of `source` the `wanted` documents, to `left` and `bytes`."""
    # OFFSET 0 keeps PostgreSQL from building each document once for every expression that uses it
    return f"""
SELECT string_agg(document, ',' ORDER BY key) FILTER (WHERE fits), max(key) FILTER (WHERE fits),
    count(document) FILTER (WHERE fits), count(*) FILTER (WHERE fits), count(*),
    coalesce(sum(octet_length(document)) FILTER (WHERE fits), 0)
FROM (
    SELECT key, document,
        sum(coalesce(octet_length(document), 0)) OVER up_to - coalesce(octet_length(document), 0) < %(bytes)s
        AND count(document) OVER up_to <= %(left)s AS fits
    FROM (SELECT key, CASE WHEN {wanted} THEN {document} END AS document FROM (
        SELECT * FROM {source} ORDER BY key LIMIT %(rows)s
    ) AS part OFFSET 0) AS documents
    WINDOW up_to AS (ORDER BY key ROWS UNBOUNDED PRECEDING)
) AS measured
"""


LIST = page_sql(f"entries WHERE {RANGE}", ENTRY, wanted=LIVE)
# whether another row is wanted behind the page, within one slice; and the number of rows in that slice
LIST_MORE = f"""
SELECT count(*) FILTER (WHERE {LIVE}), count(*) FROM (
    SELECT deleted_at, expires_at FROM entries WHERE {RANGE} ORDER BY key LIMIT %(rows)s
) AS part
"""

_EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
_SPACE = "SELECT revision, floor, keys, digest FROM spaces WHERE user_id = %s"

# the entries after a revision that one page may be made of, from three sources: the writes of the log up to `ceiling`,
# all entries, or those under a prefix
_UNDER = "AND e.key >= %(start)s AND e.key < %(end)s"
_BY_LOG = f"""
log AS l CROSS JOIN LATERAL unnest(string_to_array(l.keys, '{KEY_SEPARATOR}')) AS k (key)
    JOIN entries AS e ON e.user_id = l.user_id AND e.key = k.key AND e.revision = l.revision
WHERE l.user_id = %(user)s AND l.revision > %(since)s AND l.revision <= %(ceiling)s
"""
_BY_KEY = """
entries AS e WHERE e.user_id = %(user)s AND e.revision > %(since)s AND e.revision <= %(ceiling)s
"""
_SOURCES = {
    ("log", False): _BY_LOG,
    ("log", True): f"{_BY_LOG} {_UNDER}",
    ("entries", False): _BY_KEY,
    ("entries", True): f"{_BY_KEY} {_UNDER}",
}


def _sync_end(source: str) -> str:
    # the end of a page: writes are never split, so it ends after a whole revision. A delete that is not wanted takes no
    # room, but counts as read
    return f"""
SELECT max(revision) FILTER (WHERE before < %(bytes)s), max(revision), count(*), coalesce(sum(size), 0)::bigint
FROM (
    SELECT revision, size, sum(size) OVER (ORDER BY revision ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (SELECT e.revision, CASE WHEN e.deleted_at IS NULL THEN octet_length(e.value) + octet_length(e.key) + 120
            WHEN e.revision <= %(seen)s THEN 0 ELSE octet_length(e.key) + 120 END AS size
        FROM {source} ORDER BY e.revision LIMIT %(rows)s) AS part
) AS sized
"""


def _sync_page(source: str) -> str:
    return f"""
SELECT '[' || coalesce(string_agg(document, ',' ORDER BY revision), '') || ']' FROM (
    SELECT revision, '{{"revision":' || revision || ',"at":"' || {rfc3339("min(updated_at)")}
        || '","origin":' || min(origin) || ',"ops":['
        || string_agg(CASE WHEN value IS NULL THEN '{{"op":"delete","key":' || {quoted("key")} || '}}'
            ELSE '{{"op":"set","key":' || {quoted("key")} || ',"value":' || value || ',"version":' || version
                || coalesce(',"expires_at":"' || {rfc3339("expires_at")} || '"', '') || '}}' END, ',' ORDER BY key)
        || ']}}' AS document
    FROM (SELECT e.key, CASE WHEN e.deleted_at IS NULL THEN e.value END AS value, e.version, e.expires_at, e.updated_at,
            e.revision, e.origin
        FROM {source} AND e.revision <= %(until)s AND (e.deleted_at IS NULL OR e.revision > %(seen)s)) AS part
    GROUP BY revision
) AS documents
"""


_SYNC = {name: (_sync_end(source), _sync_page(source)) for name, source in _SOURCES.items()}
_ARE_FEW = f"SELECT count(*) FROM (SELECT 1 FROM entries AS e WHERE user_id = %(user)s {_UNDER} LIMIT %(rows)s) AS part"
_ENTRIES = f"SELECT keys + trash_bytes / {ROW_BYTES} FROM spaces WHERE user_id = %(user)s"

# a step of measuring: (rows, how many of them are wanted, their bytes, the last key)
_MEASURE = f"""
SELECT count(*), count(size), coalesce(sum(size), 0), max(key) FROM (
    SELECT key, CASE WHEN {{wanted}} THEN {size_of()} END AS size FROM (
        SELECT key, value, deleted_at, expires_at FROM entries WHERE {RANGE} ORDER BY key LIMIT %(rows)s
    ) AS part
) AS sizes
"""
_MEASURE_LIVE = _MEASURE.format(wanted=LIVE)
# the entries that count for the quota: expired ones too, until their delete is written
_MEASURE_KEPT = _MEASURE.format(wanted="deleted_at IS NULL")


def get(db: Connection, user_id: int, key: str, now: int) -> GetResult:
    """Return the live entry under `key`. Raises NotFound, with `deleted_at` if the key is in the trash."""
    row = db.execute(_GET, {"user": user_id, "key": key, "now": now, "values": True}).fetchone()
    if row is None:
        trashed = db.execute(_TRASHED, {"user": user_id, "key": key}).fetchone()
        raise not_found(trashed[0] if trashed else None)
    return GetResult(entry=Raw(row[0].encode()))


class SlicedPage:
    """The storage's PageSource over a slice's SQL and the SQL that looks behind the page."""

    def __init__(self, db: Connection, slice_sql: str, more_sql: str, wanted: dict[str, Any]) -> None:
        self._db = db
        self._slice_sql = slice_sql
        self._more_sql = more_sql
        self._wanted = wanted

    def read_slice(
        self, after: str | None, rows: int, left: int, bytes: int
    ) -> tuple[str | None, str | None, int, int, int, int]:
        part = {"rows": rows, "left": left, "bytes": bytes}
        found: tuple[str | None, str | None, int, int, int, int]
        found = first(self._db.execute(self._slice_sql, {**self._wanted, **_after(after), **part}))
        return found

    def look_behind(self, after: str | None, rows: int) -> tuple[int | None, int]:
        found: tuple[int | None, int]
        found = first(self._db.execute(self._more_sql, {**self._wanted, **_after(after), "rows": rows}))
        return found


def range_of(user_id: int, prefix: str, after: str | None) -> dict[str, Any]:
    """Return the parameters of RANGE."""
    start, nul, _ = prefix.partition("\0")
    # PostgreSQL's text has no NUL, and neither has a key: none has such a prefix, and such a key stands where its
    # beginning does
    end = start if nul else end_of(prefix)
    return {"user": user_id, "prefix": start, "after": (after or "").partition("\0")[0], "end": end}


def writes_after(db: Connection, cost: Cost, user_id: int, at: SyncPosition, revision: int) -> tuple[int, str]:
    """Return the end of the page of a sync that begins at `at`, and its writes as a JSON array."""
    wanted: dict[str, Any] = {"user": user_id, "since": at.since, "seen": at.seen, "ceiling": revision}
    if at.prefix is not None:
        wanted |= {"start": at.prefix, "end": end_of(at.prefix)}
    source = _source(db, at, revision, wanted)
    if source == "log":
        wanted["ceiling"] = min(revision, at.since + LOG_STEP)
        cost.add(rows=wanted["ceiling"] - at.since)
    end, page = _SYNC[source, at.prefix is not None]
    fits, last, rows, size = first(db.execute(end, {**wanted, "bytes": PAGE_BYTES, "rows": SYNC_ROWS}))
    cost.add(rows=rows, bytes=size)
    until = wanted["ceiling"]
    if size >= PAGE_BYTES:
        # of the rows that were read; if the last of them fits, then so does the rest of its write
        until = until if rows < SYNC_ROWS and fits == last else fits
    elif rows >= SYNC_ROWS:
        # the last revision seen may have more rows than were read
        until = last - 1
    text: str = first(db.execute(page, {**wanted, "until": until}))[0]
    return until, text


def _source(db: Connection, at: SyncPosition, revision: int, wanted: dict[str, Any]) -> str:
    """Return which way to the entries is shorter."""
    writes = revision - at.since
    if at.prefix is not None and first(db.execute(_ARE_FEW, {**wanted, "rows": FEW_ROWS}))[0] < FEW_ROWS:
        return "entries"
    if writes <= FEW_ROWS:
        return "log"
    entries = first(db.execute(_ENTRIES, wanted))[0]
    return "entries" if entries <= min(FEW_ENTRIES, LOOKUP_ENTRIES * writes) or 16 * entries < writes else "log"


def epoch(db: Connection) -> str:
    """Return the name of the data set."""
    name: str = first(db.execute(_EPOCH))[0]
    return name


def space_of(db: Connection, user_id: int) -> tuple[int, int, int, int]:
    """Return the space's revision, floor, keys and digest."""
    row: tuple[int, int, int, int] | None = db.execute(_SPACE, (user_id,)).fetchone()
    return row or (0, 0, 0, 0)


def usage(db: Connection, user_id: int) -> Usage:
    """Return the totals of the user's space."""
    return Usage(*first(db.execute("SELECT keys, bytes FROM spaces WHERE user_id = %s", (user_id,))))


def quota(db: Connection, user_id: int) -> tuple[int | None, int | None]:
    """Return the keys and bytes that this user may keep; None for the default."""
    row: tuple[int | None, int | None]
    row = first(db.execute("SELECT quota_keys, quota_bytes FROM users WHERE id = %s", (user_id,)))
    return row


def usage_under(db: Connection, cost: Cost, user_id: int, prefix: str) -> Usage | Unfinished:
    """Return how much of the quota the keys with this prefix take."""
    return _measure(db, cost, _MEASURE_KEPT, {**range_of(user_id, prefix, None), "now": 0}, Usage(0, 0))


def measure(db: Connection, cost: Cost, user_id: int, prefix: str, now: int) -> Usage | Unfinished:
    """Return how many live keys and bytes are under a prefix."""
    return _measure(db, cost, _MEASURE_LIVE, {**range_of(user_id, prefix, None), "now": now}, Usage(0, 0))


def _measure(db: Connection, cost: Cost, sql: str, wanted: dict[str, Any], sum: Usage) -> Usage | Unfinished:
    looked, keys, size, last = first(db.execute(sql, {**wanted, "rows": MEASURE_ROWS}))
    cost.add(rows=looked, bytes=size)
    sum = Usage(sum.keys + keys, sum.bytes + size)
    if looked < MEASURE_ROWS:
        return sum
    return Unfinished(lambda reader, cost: _measure(reader.db, cost, sql, {**wanted, "after": last}, sum))


def first(cursor: Any) -> Any:
    """Return the first row of a statement that always has one."""
    return cursor.fetchone()


def _after(after: str | None) -> dict[str, Any]:
    return {} if after is None else {"after": after}
