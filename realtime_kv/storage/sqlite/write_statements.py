"""Set-based SQL statements of a commit and a flush: one statement for each table, with all rows.

Not only for elegance: sqlite3 releases the interpreter lock at every step, and a busy event loop gives it back late.
The rows are bound parameters of one long VALUES, which takes a third of the time of one JSON parameter that SQL parses
again (docs/decisions/0003). VALUES has a few fixed lengths, padded with empty rows, so that few statements are ever
prepared.
"""

import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import astuple

from realtime_kv.caller import SYSTEM_SESSION
from realtime_kv.core.domain import charges
from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space, weight_of
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.memtable import Backlog, Memtable
from realtime_kv.core.messages import digest_of, read_frame
from realtime_kv.storage.sqlite.connection import Cursor

# lengths of a VALUES: at most a third of it is padding
_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MOST_ROWS = _LENGTHS[-1]


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@cache
def _callers(rows: int) -> str:
    # an ended session is not found, and neither is its space through it
    return f"""
WITH wanted (session_id, now) AS ({_values(2, rows)})
SELECT json_group_array(json_array(s.id, s.expires_at, p.user_id, p.revision, p.keys, p.bytes, p.digest,
    p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes, u.quota_keys, u.quota_bytes))
FROM wanted CROSS JOIN sessions AS s ON s.id = wanted.session_id
    JOIN users AS u ON u.id = s.user_id JOIN spaces AS p ON p.user_id = s.user_id
WHERE s.ended_at IS NULL AND s.expires_at > wanted.now AND u.disabled_at IS NULL AND u.deleted_at IS NULL
"""


@cache
def _spaces(rows: int) -> str:
    return f"""
WITH wanted (user_id) AS ({_values(1, rows)})
SELECT json_group_array(json_array(p.user_id, p.revision, p.keys, p.bytes, p.digest,
    p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes, u.quota_keys, u.quota_bytes))
FROM wanted CROSS JOIN spaces AS p ON p.user_id = wanted.user_id JOIN users AS u ON u.id = p.user_id
WHERE u.deleted_by IS NOT 'purge'
"""


@cache
def _entries(rows: int) -> str:
    # load the value itself only where a conflict may have to show it
    return f"""
WITH wanted (user_id, key, with_value) AS ({_values(3, rows)})
SELECT json_group_array(json_array(e.user_id, e.key, CASE WHEN with_value THEN e.value END,
    length(CAST(e.key AS BLOB)) + length(CAST(e.value AS BLOB)), e.revision, e.created_revision, e.version,
    e.created_at, e.updated_at, e.expires_at, e.deleted_at))
FROM wanted CROSS JOIN entries AS e ON e.user_id = wanted.user_id AND e.key = wanted.key
"""


@cache
def _receipts(rows: int) -> str:
    return f"""
WITH wanted (user_id, op_id) AS ({_values(2, rows)})
SELECT json_group_array(json_array(r.user_id, r.op_id, r.fingerprint, r.answer))
FROM wanted CROSS JOIN receipts AS r ON r.user_id = wanted.user_id AND r.op_id = wanted.op_id
"""


@cache
def _save_entries(rows: int) -> str:
    # the columns are the user and the fields of Record, of which `size` and `digest` can be recomputed; '' (no JSON
    # text is empty) stands for a value that was not loaded and has not changed: the trash keeps it
    return f"""
INSERT INTO entries (user_id, key, value, revision, created_revision, version, created_at, updated_at, expires_at,
    deleted_at, origin)
SELECT column1, column2, coalesce(column3, ''), column6, column7, column8, column9, column10, column11, column12,
    column13
FROM ({_values(13, rows)}) WHERE column1 IS NOT NULL
ON CONFLICT (user_id, key) DO UPDATE SET
    value = CASE excluded.value WHEN '' THEN value ELSE excluded.value END,
    revision = excluded.revision, created_revision = excluded.created_revision,
    version = excluded.version, created_at = excluded.created_at,
    updated_at = excluded.updated_at, expires_at = excluded.expires_at, deleted_at = excluded.deleted_at,
    origin = excluded.origin
"""


@cache
def _save_log(rows: int) -> str:
    return f"""
INSERT INTO log (id, user_id, revision, at, frame, op_id, fingerprint, answer, charge)
SELECT * FROM ({_values(9, rows)}) WHERE column1 IS NOT NULL
"""


@cache
def _save_receipts(rows: int) -> str:
    return f"""
INSERT INTO receipts (user_id, op_id, fingerprint, answer, at)
SELECT * FROM ({_values(5, rows)}) WHERE column1 IS NOT NULL
"""


@cache
def _save_spaces(rows: int) -> str:
    return f"""
WITH made (user_id, revision, keys, bytes, digest, trimmed, history_bytes, receipt_bytes, trash_bytes)
    AS ({_values(9, rows)})
UPDATE spaces SET revision = made.revision, keys = made.keys, bytes = made.bytes, digest = made.digest,
    trimmed = made.trimmed, history_bytes = made.history_bytes, receipt_bytes = made.receipt_bytes,
    trash_bytes = made.trash_bytes
FROM made WHERE spaces.user_id = made.user_id
"""


_NO_RECEIPT = (None, None, None)

_CallerRows = msgspec.json.Decoder(
    list[tuple[int, int, int, int, int, int, int, int, int, int, int, int | None, int | None]]
)
_SpaceRows = msgspec.json.Decoder(list[tuple[int, int, int, int, int, int, int, int, int, int | None, int | None]])
_EntryRows = msgspec.json.Decoder(
    list[tuple[int, str, str | None, int, int, int, int, int, int, int | None, int | None]]
)
_ReceiptRows = msgspec.json.Decoder(list[tuple[int, str, str, str]])


_FLUSHED = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'flushed'"
_SAVE_FLUSHED = "INSERT OR REPLACE INTO meta (name, value) VALUES ('flushed', CAST(? AS TEXT))"
_LAST_ROW = "SELECT coalesce(max(id), 0) FROM log"
_BEHIND = f"""
SELECT l.id, l.user_id, l.revision, l.at, l.frame, l.op_id, l.fingerprint, l.answer, {charges.LOG_CHARGE}
FROM log AS l CROSS JOIN spaces AS p ON p.user_id = l.user_id WHERE l.id > ? AND l.revision > p.revision ORDER BY l.id
"""
_ADD_RECEIPT_BYTES = "UPDATE spaces SET receipt_bytes = receipt_bytes + ? WHERE user_id = ?"
_SPACE = """
SELECT p.user_id, p.revision, p.keys, p.bytes, p.digest, p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes,
    u.quota_keys, u.quota_bytes
FROM spaces AS p JOIN users AS u ON u.id = p.user_id WHERE p.user_id = ?
"""


def load(cursor: Cursor, memtable: Memtable, writes: list[WriteRequest], now: int) -> None:
    """Load the state that `writes` are evaluated against and `memtable` lacks, with one statement for each table."""
    sessions = {write.caller.session_id for write in writes} - memtable.sessions.keys()
    if SYSTEM_SESSION in sessions:
        sessions.remove(SYSTEM_SESSION)
        _load_spaces(cursor, memtable, {write.user_id for write in writes if write.caller.session_id == SYSTEM_SESSION})
    if sessions:
        found = _query(cursor, _callers, [(session, now) for session in sessions], _CallerRows)
        for session_id, expires_at, user_id, *totals in found:
            memtable.sessions[session_id] = expires_at
            if user_id not in memtable.spaces:
                memtable.spaces[user_id] = Space(user_id, *totals)
        memtable.cached += 2 * len(found)
    entries: dict[tuple[int, str], bool] = {}
    receipts = set()
    for write in writes:
        user_id, op_id = write.caller.user_id, write.op_id
        space = memtable.spaces.get(user_id)
        if space is None:
            continue
        known = space.entries
        for op in write.ops:
            if op.key not in known or (op.if_revision is not None and _lacks_value(known[op.key])):
                at = (user_id, op.key)
                # load the value itself only where a conflict may have to show it
                entries[at] = op.if_revision is not None or entries.get(at, False)
        if op_id is not None and op_id not in space.receipts:
            receipts.add((user_id, op_id))
    _fetch_entries(cursor, memtable, entries)
    for user_id, op_id, fingerprint, answer in _query(cursor, _receipts, list(receipts), _ReceiptRows):
        space = memtable.spaces[user_id]
        space.receipts[op_id] = receipt = Receipt(op_id, fingerprint, answer, 0, stored=True)
        space.passing.append(receipt)


def _load_spaces(cursor: Cursor, memtable: Memtable, users: set[int]) -> None:
    """Load the spaces that the server itself will write in, except those of accounts that are being purged."""
    wanted = [(user_id,) for user_id in users - memtable.spaces.keys()]
    for user_id, *totals in _query(cursor, _spaces, wanted, _SpaceRows):
        memtable.spaces[user_id] = Space(user_id, *totals)
        memtable.cached += 1


def load_behind(cursor: Cursor, memtable: Memtable) -> Iterator[tuple[Space, list[LogRecord]]]:
    """Yield every space whose tables lag behind the log, as the tables have it, with the writes that they lack.

    Sets the backlog in `memtable`.
    """
    flushed = cursor.execute(_FLUSHED).fetchone()[0]
    memtable.last_row = max(flushed, cursor.execute(_LAST_ROW).fetchone()[0])
    lacking: dict[int, list[LogRecord]] = {}
    ahead: dict[int, Backlog] = {}
    for row, user_id, revision, at, frame, op_id, fingerprint, answer, charge in cursor.execute(_BEHIND, (flushed,)):
        receipt = None if op_id is None else Receipt(op_id, fingerprint, answer, at)
        lacking.setdefault(user_id, []).append(LogRecord(revision, at, frame, receipt, charge))
        ahead.setdefault(user_id, Backlog(row)).weight += weight_of(1, frame)
    memtable.ahead, memtable.backlog = ahead, sum(space.weight for space in ahead.values())
    for user_id, writes in lacking.items():
        space = memtable.spaces[user_id] = Space(*cursor.execute(_SPACE, (user_id,)).fetchone())
        keys = {op.key for write in writes for op in read_frame(write.frame).ops}
        _fetch_entries(cursor, memtable, {(user_id, key): False for key in keys})
        yield space, writes


def save_log(cursor: Cursor, spaces: Sequence[Space], last_row: int) -> int:
    """Append the accepted writes after the row `last_row`; return the new last row."""
    rows: list[tuple[Any, ...]] = []
    for space in spaces:
        user_id = space.user_id
        for write in space.log:
            last_row += 1
            receipt = write.receipt
            remembered = _NO_RECEIPT if receipt is None else (receipt.op_id, receipt.fingerprint, receipt.answer)
            rows.append((last_row, user_id, write.revision, write.at, write.frame, *remembered, write.charge))
    _carry_out(cursor, _save_log, rows)
    return last_row


def save_passing(cursor: Cursor, spaces: Sequence[Space]) -> None:
    """Store the receipts of writes that changed nothing: no log row has them, and no flush would count them."""
    receipts = [(space, receipt) for space in spaces for receipt in space.passing if not receipt.stored]
    if not receipts:
        return
    added: dict[int, int] = {}
    for space, receipt in receipts:
        charge = charges.of_receipt(receipt.op_id, receipt.fingerprint, receipt.answer)
        added[space.user_id] = added.get(space.user_id, 0) + charge
    for user_id, charge in added.items():
        cursor.execute(_ADD_RECEIPT_BYTES, (charge, user_id))
    save_receipts(cursor, receipts)


def save_entries(cursor: Cursor, records: Sequence[tuple[Space, EntryState]]) -> None:
    """Store the records in the entries table."""
    _carry_out(cursor, _save_entries, [(space.user_id, *astuple(record)) for space, record in records])


def save_receipts(cursor: Cursor, receipts: Sequence[tuple[Space, Receipt]]) -> None:
    """Store the receipts that the table does not have yet."""
    rows = []
    for space, receipt in receipts:
        if not receipt.stored:
            rows.append((space.user_id, receipt.op_id, receipt.fingerprint, receipt.answer, receipt.at))
            receipt.stored = True
    _carry_out(cursor, _save_receipts, rows)


def save_spaces(cursor: Cursor, spaces: Sequence[Space]) -> None:
    """Store the current totals of the spaces."""
    rows = [
        (
            space.user_id,
            space.revision,
            space.keys,
            space.bytes,
            space.digest,
            space.trimmed,
            space.history_bytes,
            space.receipt_bytes,
            space.trash_bytes,
        )
        for space in spaces
    ]
    _carry_out(cursor, _save_spaces, rows)


def save_flushed(cursor: Cursor, row: int) -> None:
    """Store the log row up to which the tables have everything."""
    cursor.execute(_SAVE_FLUSHED, (row,))


def _lacks_value(record: EntryState | None) -> bool:
    # an entry in the trash is never shown, and the tables may not have it yet
    return record is not None and record.value is None and record.deleted_at is None


def _fetch_entries(cursor: Cursor, memtable: Memtable, wanted: dict[tuple[int, str], bool]) -> None:
    spaces = memtable.spaces
    for user_id, key in wanted:
        spaces[user_id].entries[key] = None
    keys = [(user_id, key, value) for (user_id, key), value in wanted.items()]
    for user_id, *columns in _query(cursor, _entries, keys, _EntryRows):
        key, value, size, revision, *rest = columns
        spaces[user_id].entries[key] = EntryState(key, value, size, digest_of(key, revision), revision, *rest)
    memtable.cached += len(wanted)


def _query(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]], decoder: Any) -> list[Any]:
    """Run a query for `rows`; SQL gathers its result into one JSON text, so that there is one step."""
    found: list[Any] = []
    for start in range(0, len(rows), MOST_ROWS):
        found += decoder.decode(_execute(cursor, sql, rows[start : start + MOST_ROWS]).fetchone()[0])
    return found


def _carry_out(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), MOST_ROWS):
        _execute(cursor, sql, rows[start : start + MOST_ROWS])


def _execute(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> Any:
    length = _LENGTHS[bisect.bisect_left(_LENGTHS, len(rows))]
    parameters = list(itertools.chain.from_iterable(rows))
    # no key column holds NULL: an empty row finds nothing, and is not written
    parameters += [None] * ((length - len(rows)) * len(rows[0]))
    return cursor.execute(sql(length), parameters)
