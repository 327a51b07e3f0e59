"""The few set-based statements of a commit: for each table one statement that carries all rows of the group.

Not for elegance only: sqlite3 lets go of the interpreter lock at every step, and a busy hub gives it back late. The
rows travel as bound parameters of one long VALUES: a third of the time of one JSON parameter that SQL takes apart again
(docs/decisions/0003). There are few lengths, filled up with empty rows, so that few statements are ever prepared.
"""

import bisect
import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec

from realtime_kv.core.database import Cursor
from realtime_kv.core.record import Record
from realtime_kv.core.space import Quota, Receipt, Space
from realtime_kv.core.write import State, Write

# the lengths of a VALUES: at most a third of it is filling
_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MOST_ROWS = _LENGTHS[-1]


def _values(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * rows)}"


@cache
def _callers(rows: int) -> str:
    # a session that has ended is not found, and neither is its space through it
    return f"""
WITH wanted (session_id, now) AS ({_values(2, rows)})
SELECT json_group_array(json_array(s.id, p.user_id, p.revision, p.keys, p.bytes, p.digest))
FROM wanted CROSS JOIN sessions AS s ON s.id = wanted.session_id
    JOIN users AS u ON u.id = s.user_id JOIN spaces AS p ON p.user_id = s.user_id
WHERE s.ended_at IS NULL AND s.expires_at > wanted.now AND u.disabled_at IS NULL
"""


@cache
def _entries(rows: int) -> str:
    # the value itself only where a conflict may have to show it
    return f"""
WITH wanted (user_id, key, with_value) AS ({_values(3, rows)})
SELECT json_group_array(json_array(e.user_id, e.key, CASE WHEN with_value THEN e.value END,
    length(CAST(e.value AS BLOB)), e.revision, e.created_revision, e.version, e.created_at, e.updated_at,
    e.expires_at, e.deleted_at))
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
    # '' (no JSON text is empty) stands for a value that was not loaded and has not changed: the trash keeps it
    return f"""
INSERT INTO entries (user_id, key, value, revision, created_revision, version, created_at, updated_at, expires_at,
    deleted_at, origin)
SELECT * FROM ({_values(11, rows)}) WHERE column1 IS NOT NULL
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
INSERT INTO log (user_id, revision, position, key, value, version, expires_at, origin, at)
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
WITH made (user_id, revision, keys, bytes, digest) AS ({_values(5, rows)})
UPDATE spaces SET revision = made.revision, keys = made.keys, bytes = made.bytes, digest = made.digest
FROM made WHERE spaces.user_id = made.user_id
"""


_CallerRows = msgspec.json.Decoder(list[tuple[int, int, int, int, int, int]])
_EntryRows = msgspec.json.Decoder(
    list[tuple[int, str, str | None, int, int, int, int, int, int, int | None, int | None]]
)
_ReceiptRows = msgspec.json.Decoder(list[tuple[int, str, str, str]])


def load(cursor: Cursor, writes: list[Write], now: int, epoch: str, quota: Quota) -> State:
    """All that `writes` have to be decided against, in one statement for each table."""
    sessions = {write.caller.session_id for write in writes}
    callers = _query(cursor, _callers, [(session, now) for session in sessions], _CallerRows)
    spaces = {user_id: Space(user_id, *totals) for _, user_id, *totals in callers}
    _load_entries(cursor, writes, spaces)
    _load_receipts(cursor, writes, spaces)
    return State(epoch, quota, spaces, {session_id for session_id, *_ in callers})


def save(cursor: Cursor, state: State, now: int) -> None:
    """All that `state` has made, in one statement for each table."""
    written = [space for space in state.spaces.values() if space.writes]
    _carry_out(cursor, _save_entries, [row for space in written for row in _entry_rows(space)])
    _carry_out(cursor, _save_log, [(space.user_id, *logged, now) for space in written for logged in space.log])
    _carry_out(cursor, _save_receipts, [row for space in state.spaces.values() for row in _receipt_rows(space, now)])
    totals = [(space.user_id, space.revision, space.keys, space.bytes, space.digest) for space in written]
    _carry_out(cursor, _save_spaces, totals)


def _load_entries(cursor: Cursor, writes: list[Write], spaces: dict[int, Space]) -> None:
    wanted: dict[tuple[int, str], bool] = {}
    for write in writes:
        user_id = write.caller.user_id
        if user_id in spaces:
            for op in write.ops:
                at = (user_id, op.key)
                wanted[at] = op.if_revision is not None or wanted.get(at, False)
    for user_id, key in wanted:
        spaces[user_id].entries[key] = None
    keys = [(user_id, key, value) for (user_id, key), value in wanted.items()]
    for user_id, *columns in _query(cursor, _entries, keys, _EntryRows):
        spaces[user_id].entries[columns[0]] = Record(*columns)


def _load_receipts(cursor: Cursor, writes: list[Write], spaces: dict[int, Space]) -> None:
    ids = {(write.user_id, write.op_id) for write in writes if write.op_id is not None and write.user_id in spaces}
    for user_id, op_id, fingerprint, answer in _query(cursor, _receipts, list(ids), _ReceiptRows):
        spaces[user_id].receipts[op_id] = Receipt(fingerprint, answer)


def _entry_rows(space: Space) -> list[tuple[Any, ...]]:
    rows = []
    for key, origin in space.touched.items():
        record = space.entries[key]
        assert record is not None
        rows.append(
            (
                space.user_id,
                key,
                record.value or "",
                record.revision,
                record.created_revision,
                record.version,
                record.created_at,
                record.updated_at,
                record.expires_at,
                record.deleted_at,
                origin,
            )
        )
    return rows


def _receipt_rows(space: Space, now: int) -> list[tuple[Any, ...]]:
    new = [(op_id, space.receipts[op_id]) for op_id in space.new_receipts]
    return [(space.user_id, op_id, receipt.fingerprint, receipt.answer, now) for op_id, receipt in new]


def _query(cursor: Cursor, sql: Callable[[int], str], rows: Sequence[tuple[Any, ...]], decoder: Any) -> list[Any]:
    """What a reading statement finds for `rows`; SQL gathers it into one JSON text, so that there is one step."""
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
    # NULL is in no table's key: an empty row finds nothing, and is not written
    parameters += [None] * ((length - len(rows)) * len(rows[0]))
    return cursor.execute(sql(length), parameters)
