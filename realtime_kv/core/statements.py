"""The few set-based statements of a commit: one statement, one JSON parameter and one row for each table.

Not for elegance only: sqlite3 lets go of the interpreter lock at every step, and a busy hub gives it back late.
"""

from typing import Any

import msgspec

from realtime_kv.core.database import Cursor
from realtime_kv.core.record import Record
from realtime_kv.core.space import Quota, Receipt, Space
from realtime_kv.core.write import State, Write

_SESSIONS = """
SELECT json_group_array(s.id)
FROM json_each(:sessions) AS j CROSS JOIN sessions AS s ON s.id = j.value JOIN users AS u ON u.id = s.user_id
WHERE s.ended_at IS NULL AND s.expires_at > :now AND u.disabled_at IS NULL
"""

_SPACES = """
SELECT json_group_array(json_array(s.user_id, s.revision, s.keys, s.bytes, s.digest))
FROM json_each(:users) AS j CROSS JOIN spaces AS s ON s.user_id = j.value
"""

# the value itself only where a conflict may have to show it
_ENTRIES = """
SELECT json_group_array(json_array(e.user_id, e.key, CASE WHEN json_extract(j.value, '$[2]') THEN e.value END,
    length(CAST(e.value AS BLOB)), e.revision, e.created_revision, e.version, e.created_at, e.updated_at,
    e.expires_at, e.deleted_at))
FROM json_each(:keys) AS j CROSS JOIN entries AS e
    ON e.user_id = json_extract(j.value, '$[0]') AND e.key = json_extract(j.value, '$[1]')
"""

_RECEIPTS = """
SELECT json_group_array(json_array(r.user_id, r.op_id, r.fingerprint, r.answer))
FROM json_each(:ids) AS j CROSS JOIN receipts AS r
    ON r.user_id = json_extract(j.value, '$[0]') AND r.op_id = json_extract(j.value, '$[1]')
"""


def _columns(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{n}]')" for n in range(count))


# '' (no JSON text is empty) stands for a value that was not loaded and has not changed: the trash keeps it
_SAVE_ENTRIES = f"""
INSERT INTO entries (user_id, key, value, revision, created_revision, version, created_at, updated_at, expires_at,
    deleted_at, origin)
SELECT {_columns(11)} FROM json_each(:rows) WHERE true
ON CONFLICT (user_id, key) DO UPDATE SET
    value = CASE excluded.value WHEN '' THEN value ELSE excluded.value END,
    revision = excluded.revision, created_revision = excluded.created_revision,
    version = excluded.version, created_at = excluded.created_at,
    updated_at = excluded.updated_at, expires_at = excluded.expires_at, deleted_at = excluded.deleted_at,
    origin = excluded.origin
"""

_SAVE_LOG = f"""
INSERT INTO log (user_id, revision, position, key, value, version, expires_at, origin, at)
SELECT {_columns(9)} FROM json_each(:rows)
"""

_SAVE_RECEIPTS = f"""
INSERT INTO receipts (user_id, op_id, fingerprint, answer, at) SELECT {_columns(5)} FROM json_each(:rows)
"""

_SAVE_SPACES = """
UPDATE spaces SET revision = json_extract(j.value, '$[1]'), keys = json_extract(j.value, '$[2]'),
    bytes = json_extract(j.value, '$[3]'), digest = json_extract(j.value, '$[4]')
FROM json_each(:rows) AS j WHERE spaces.user_id = json_extract(j.value, '$[0]')
"""

_SessionIds = msgspec.json.Decoder(list[int])
_SpaceRows = msgspec.json.Decoder(list[tuple[int, int, int, int, int]])
_EntryRows = msgspec.json.Decoder(
    list[tuple[int, str, str | None, int, int, int, int, int, int, int | None, int | None]]
)
_ReceiptRows = msgspec.json.Decoder(list[tuple[int, str, str, str]])


def load(cursor: Cursor, writes: list[Write], now: int, epoch: str, quota: Quota) -> State:
    """All that `writes` have to be decided against, in one statement for each table."""
    sessions = {write.caller.session_id for write in writes}
    valid = _one(cursor, _SESSIONS, {"sessions": _json(list(sessions)), "now": now}, _SessionIds)
    users = {write.caller.user_id for write in writes}
    spaces = {row[0]: Space(*row) for row in _one(cursor, _SPACES, {"users": _json(list(users))}, _SpaceRows)}
    _load_entries(cursor, writes, spaces)
    _load_receipts(cursor, writes, spaces)
    return State(epoch, quota, spaces, set(valid))


def save(cursor: Cursor, state: State, now: int) -> None:
    """All that `state` has made, in one statement for each table."""
    written = [space for space in state.spaces.values() if space.writes]
    if written:
        cursor.execute(_SAVE_ENTRIES, {"rows": _json([row for space in written for row in _entry_rows(space)])})
        cursor.execute(_SAVE_LOG, {"rows": _json([row for space in written for row in _log_rows(space, now)])})
        totals = [(space.user_id, space.revision, space.keys, space.bytes, space.digest) for space in written]
        cursor.execute(_SAVE_SPACES, {"rows": _json(totals)})
    receipts = [
        (space.user_id, op_id, space.receipts[op_id].fingerprint, space.receipts[op_id].answer, now)
        for space in state.spaces.values()
        for op_id in space.new_receipts
    ]
    if receipts:
        cursor.execute(_SAVE_RECEIPTS, {"rows": _json(receipts)})


def _load_entries(cursor: Cursor, writes: list[Write], spaces: dict[int, Space]) -> None:
    wanted: dict[tuple[int, str], bool] = {}
    for write in writes:
        user_id = write.caller.user_id
        for op in write.ops:
            at = (user_id, op.key)
            wanted[at] = wanted.get(at, False) or op.if_revision is not None
    for user_id, key in wanted:
        if user_id in spaces:
            spaces[user_id].entries[key] = None
    keys = _json([(user_id, key, value) for (user_id, key), value in wanted.items()])
    for user_id, *columns in _one(cursor, _ENTRIES, {"keys": keys}, _EntryRows):
        spaces[user_id].entries[columns[0]] = Record(*columns)


def _load_receipts(cursor: Cursor, writes: list[Write], spaces: dict[int, Space]) -> None:
    ids = {(write.caller.user_id, write.op_id) for write in writes if write.op_id is not None}
    if ids:
        for user_id, op_id, fingerprint, answer in _one(cursor, _RECEIPTS, {"ids": _json(list(ids))}, _ReceiptRows):
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


def _log_rows(space: Space, now: int) -> list[tuple[Any, ...]]:
    return [(space.user_id, *logged, now) for logged in space.log]


def _one(cursor: Cursor, sql: str, parameters: dict[str, Any], decoder: Any) -> Any:
    return decoder.decode(cursor.execute(sql, parameters).fetchone()[0])


def _json(rows: list[Any]) -> str:
    return msgspec.json.encode(rows).decode()
