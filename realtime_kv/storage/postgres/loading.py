"""Loading: the state that a dry run is evaluated against, on a reader."""

from collections.abc import Collection, Sequence
from typing import Any

from psycopg import Connection

from realtime_kv.core.statements import SpaceRow
from realtime_kv.storage.postgres.expressions import size_of

_TOTALS = """p.user_id, p.revision, p.keys, p.bytes, p.digest, p.trimmed, p.history_bytes, p.receipt_bytes,
    p.trash_bytes, u.quota_keys, u.quota_bytes"""
_SESSIONS = f"""
SELECT s.id, s.expires_at, {_TOTALS}
FROM sessions AS s JOIN users AS u ON u.id = s.user_id JOIN spaces AS p ON p.user_id = s.user_id
WHERE s.id = ANY(%s) AND s.ended_at IS NULL AND s.expires_at > %s AND u.disabled_at IS NULL AND u.deleted_at IS NULL
"""
_SPACES = f"""
SELECT {_TOTALS} FROM spaces AS p JOIN users AS u ON u.id = p.user_id
WHERE p.user_id = ANY(%s) AND u.deleted_by IS DISTINCT FROM 'purge'
"""
_ENTRIES = f"""
SELECT e.user_id, e.key, CASE WHEN w.with_value THEN e.value END, {size_of("e.")}, e.revision, e.created_revision,
    e.version, e.created_at, e.updated_at, e.expires_at, e.deleted_at
FROM unnest(%s::bigint[], %s::text[], %s::boolean[]) AS w (user_id, key, with_value)
    JOIN entries AS e ON e.user_id = w.user_id AND e.key = w.key
"""
_RECEIPTS = """
SELECT r.user_id, r.op_id, r.fingerprint, r.answer FROM unnest(%s::bigint[], %s::text[]) AS w (user_id, op_id)
    JOIN receipts AS r ON r.user_id = w.user_id AND r.op_id = w.op_id
"""


class Loading:
    """The core's LoadStatements."""

    @property
    def db(self) -> Connection:
        """The driver's connection."""
        raise NotImplementedError

    def sessions(self, session_ids: Collection[int], now: int) -> list[tuple[Any, ...]]:
        return self.db.execute(_SESSIONS, (list(session_ids), now)).fetchall()

    def spaces(self, user_ids: Collection[int]) -> list[SpaceRow]:
        return self.db.execute(_SPACES, (list(user_ids),)).fetchall()

    def entries(self, wanted: Sequence[tuple[int, str, bool]]) -> list[tuple[Any, ...]]:
        return self._rows(_ENTRIES, wanted)

    def receipts(self, wanted: Sequence[tuple[int, str]]) -> list[tuple[int, str, str, str]]:
        return self._rows(_RECEIPTS, wanted)

    def _rows(self, sql: str, wanted: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if not wanted:
            return []
        return self.db.execute(sql, [list(column) for column in zip(*wanted, strict=True)]).fetchall()
