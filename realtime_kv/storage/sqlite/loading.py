"""Loading: the state that a group of writes is evaluated against, with one statement for each table."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import msgspec

from realtime_kv.core.statements import SpaceRow
from realtime_kv.storage.sqlite.bulk_statements import query, values
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import size_of


@cache
def _sessions(rows: int) -> str:
    # an ended session is not found, and neither is its space through it
    return f"""
WITH wanted (session_id, now) AS ({values(2, rows)})
SELECT json_group_array(json_array(s.id, s.expires_at, p.user_id, p.revision, p.keys, p.bytes, p.digest,
    p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes, u.quota_keys, u.quota_bytes))
FROM wanted CROSS JOIN sessions AS s ON s.id = wanted.session_id
    JOIN users AS u ON u.id = s.user_id JOIN spaces AS p ON p.user_id = s.user_id
WHERE s.ended_at IS NULL AND s.expires_at > wanted.now AND u.disabled_at IS NULL AND u.deleted_at IS NULL
"""


@cache
def _spaces(rows: int) -> str:
    return f"""
WITH wanted (user_id) AS ({values(1, rows)})
SELECT json_group_array(json_array(p.user_id, p.revision, p.keys, p.bytes, p.digest,
    p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes, u.quota_keys, u.quota_bytes))
FROM wanted CROSS JOIN spaces AS p ON p.user_id = wanted.user_id JOIN users AS u ON u.id = p.user_id
WHERE u.deleted_by IS NOT 'purge'
"""


@cache
def _entries(rows: int) -> str:
    # load the value itself only where a conflict may have to show it
    return f"""
WITH wanted (user_id, key, with_value) AS ({values(3, rows)})
SELECT json_group_array(json_array(e.user_id, e.key, CASE WHEN with_value THEN e.value END,
    {size_of("e.")}, e.revision, e.created_revision, e.version,
    e.created_at, e.updated_at, e.expires_at, e.deleted_at))
FROM wanted CROSS JOIN entries AS e ON e.user_id = wanted.user_id AND e.key = wanted.key
"""


@cache
def _receipts(rows: int) -> str:
    return f"""
WITH wanted (user_id, op_id) AS ({values(2, rows)})
SELECT json_group_array(json_array(r.user_id, r.op_id, r.fingerprint, r.answer))
FROM wanted CROSS JOIN receipts AS r ON r.user_id = wanted.user_id AND r.op_id = wanted.op_id
"""


_SessionRows = msgspec.json.Decoder(
    list[tuple[int, int, int, int, int, int, int, int, int, int, int, int | None, int | None]]
)
_SpaceRows = msgspec.json.Decoder(list[tuple[int, int, int, int, int, int, int, int, int, int | None, int | None]])
_EntryRows = msgspec.json.Decoder(
    list[tuple[int, str, str | None, int, int, int, int, int, int, int | None, int | None]]
)
_ReceiptRows = msgspec.json.Decoder(list[tuple[int, str, str, str]])


class Loading:
    """The core's LoadStatements, on a cursor or a connection."""

    db: Cursor

    def sessions(self, session_ids: Collection[int], now: int) -> list[tuple[Any, ...]]:
        return query(self.db, _sessions, [(session, now) for session in session_ids], _SessionRows)

    def spaces(self, user_ids: Collection[int]) -> list[SpaceRow]:
        return query(self.db, _spaces, [(user_id,) for user_id in user_ids], _SpaceRows)

    def entries(self, wanted: Sequence[tuple[int, str, bool]]) -> list[tuple[Any, ...]]:
        return query(self.db, _entries, wanted, _EntryRows)

    def receipts(self, wanted: Sequence[tuple[int, str]]) -> list[tuple[int, str, str, str]]:
        return query(self.db, _receipts, wanted, _ReceiptRows)
