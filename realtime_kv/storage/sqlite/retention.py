"""Retention: what expiry, purge and history trimming read and remove."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from realtime_kv.core.statements import Frame, FrameChange
from realtime_kv.storage.sqlite import trim
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import LOG_CHARGE, RECEIPT_CHARGE, TRASH_CHARGE
from realtime_kv.storage.sqlite.files import vacuum

_encode = msgspec.json.Encoder().encode

# the keys of an account that is being purged belong to no user any more
_DUE = """
SELECT json_group_array(json_array(user_id, key, size)) FROM (
    SELECT e.user_id, e.key, length(CAST(e.value AS BLOB)) AS size
    FROM entries AS e CROSS JOIN users AS u ON u.id = e.user_id
    WHERE e.expires_at <= :now AND e.deleted_at IS NULL AND u.deleted_by IS NOT 'purge'
    ORDER BY e.expires_at LIMIT :most
)
"""
_NEXT = "SELECT min(expires_at) FROM entries WHERE expires_at > :now AND deleted_at IS NULL"
_TRASHED = """
SELECT rowid, user_id, key, revision, deleted_at < :before, deleted_at IS NOT NULL
FROM entries WHERE rowid > :after ORDER BY rowid LIMIT :rows
"""
_MUCH_TRASH = "SELECT user_id FROM spaces WHERE 4 * trash_bytes > 3 * :most"
# the newest first; the last revision of the rest, once this many bytes are kept
_TRASH = f"""
SELECT max(revision) FROM (
    SELECT revision, sum({TRASH_CHARGE}) OVER (ORDER BY revision DESC ROWS UNBOUNDED PRECEDING) AS bytes
    FROM entries WHERE user_id = :user AND deleted_at IS NOT NULL
) WHERE bytes > :kept
"""
_RAISE_FLOORS = """
UPDATE spaces SET floor = max(floor, ?1), history_floor = max(history_floor, ?1) WHERE user_id = ?2
"""
_LOG_OF_USERS = f"""
SELECT id, user_id, revision, frame, {LOG_CHARGE} FROM log
WHERE id > :after AND id <= :after + :rows AND user_id IN (SELECT value FROM json_each(:users)) ORDER BY id
"""
_IDS_OF_USERS = f"""
SELECT id, {LOG_CHARGE} FROM log WHERE id > :after AND id <= :after + :rows
    AND user_id IN (SELECT value FROM json_each(:users))
"""
_OLD_RECEIPTS = f"""
SELECT rowid, user_id, {RECEIPT_CHARGE} FROM receipts
WHERE at < :before AND rowid > :after AND rowid <= :after + :rows
"""
_DELETE_ENTRY = f"""
DELETE FROM entries WHERE user_id = ? AND key = ? AND revision = ? AND deleted_at IS NOT NULL RETURNING {TRASH_CHARGE}
"""
_LAST_LOG = "SELECT coalesce(max(id), 0) FROM log"
_FIRST_LOG = "SELECT coalesce(min(id), 1) - 1 FROM log"
_LAST_RECEIPT = "SELECT coalesce(max(rowid), 0) FROM receipts"
_TIMES = "SELECT user_id, revision, at FROM log WHERE id <= :last AND id > :last - :rows ORDER BY id DESC"
_OVER_BUDGET = "SELECT user_id FROM spaces WHERE history_bytes > :most"
_SPACE = "SELECT revision, trimmed, history_bytes FROM spaces WHERE user_id = ?"
_HELD = """
SELECT coalesce(sum(history_bytes), 0), coalesce(sum(receipt_bytes), 0), coalesce(sum(trash_bytes), 0) FROM spaces
"""
_HISTORY_OF = "DELETE FROM history WHERE user_id = ? AND key = ? AND revision <= ?"
_SUBTRACT_HISTORY = "UPDATE spaces SET history_bytes = history_bytes - ? WHERE user_id = ? AND trimmed < ?"
_SUBTRACT_TRASH = "UPDATE spaces SET trash_bytes = trash_bytes - ? WHERE user_id = ?"
_SUBTRACT_RECEIPTS = "UPDATE spaces SET receipt_bytes = receipt_bytes - ? WHERE user_id = ?"
_DELETE_HISTORY = """
DELETE FROM history WHERE (user_id, key, revision) IN (
    SELECT user_id, key, revision FROM history WHERE user_id = ? LIMIT ?
)
"""

_decode_due = msgspec.json.Decoder(list[tuple[int, str, int]]).decode


class Retention:
    """The core's RetentionStatements, on one connection."""

    def __init__(self, db: Cursor) -> None:
        self._db = db

    def expired(self, now: int, most: int) -> list[tuple[int, str, int]]:
        return _decode_due(self._db.execute(_DUE, {"now": now, "most": most}).fetchone()[0])

    def next_expiry(self, now: int) -> int | None:
        at: int | None = self._db.execute(_NEXT, {"now": now}).fetchone()[0]
        return at

    def users_with_much_trash(self, most: int) -> list[int]:
        return [user_id for (user_id,) in self._db.execute(_MUCH_TRASH, {"most": most}).fetchall()]

    def trash_limit(self, user_id: int, kept: int) -> int:
        return self._db.execute(_TRASH, {"user": user_id, "kept": kept}).fetchone()[0] or 0

    def scan_deleted(
        self, after: int | None, before: int, rows: int
    ) -> tuple[list[tuple[int, str, int, bool]], int | None]:
        wanted = {"before": before, "after": -1 if after is None else after, "rows": rows}
        found = self._db.execute(_TRASHED, wanted).fetchall()
        deleted = [(user_id, key, revision, bool(due)) for _, user_id, key, revision, due, deleted in found if deleted]
        return deleted, found[-1][0] if found else None

    def raise_floors(self, floors: Sequence[tuple[int, int]]) -> None:
        self._db.executemany(_RAISE_FLOORS, floors)

    def log_of_users(
        self, user_ids: Collection[int], after: int | None, rows: int
    ) -> tuple[Iterable[tuple[int, int, int, Frame, int]], int | None]:
        start, next_start = self._log_part(after, rows)
        found: Iterable[tuple[int, int, int, Frame, int]]
        found = self._db.execute(_LOG_OF_USERS, {"users": _json(user_ids), "after": start, "rows": rows})
        return found, next_start

    def log_rows_of_users(
        self, user_ids: Collection[int], after: int | None, rows: int
    ) -> tuple[list[tuple[int, int]], int | None]:
        start, next_start = self._log_part(after, rows)
        found: list[tuple[int, int]]
        found = self._db.execute(_IDS_OF_USERS, {"users": _json(user_ids), "after": start, "rows": rows}).fetchall()
        return found, next_start

    def old_receipts(self, before: int, after: int | None, rows: int) -> tuple[list[tuple[int, int, int]], int | None]:
        start = after or 0
        last: int = self._db.execute(_LAST_RECEIPT).fetchone()[0]
        found: list[tuple[int, int, int]]
        found = self._db.execute(_OLD_RECEIPTS, {"before": before, "after": start, "rows": rows}).fetchall()
        return found, start + rows if start + rows < last else None

    def replace_frames(self, changes: Sequence[FrameChange]) -> None:
        self._delete("log", [change.row for change in changes if change.left is None])
        frames = [(change.left, change.after, change.row) for change in changes if change.left is not None]
        self._db.executemany("UPDATE log SET frame = ?, charge = ? WHERE id = ?", frames)
        # writes up to `trimmed` have been subtracted already
        self._db.executemany(
            _SUBTRACT_HISTORY, [(change.before - change.after, change.user_id, change.revision) for change in changes]
        )
        vacuum.mark_due(self._db)

    def remove_entries(self, entries: Sequence[tuple[int, str, int]]) -> int:
        self._db.executemany(_HISTORY_OF, entries)
        removed = 0
        for user_id, key, revision in entries:
            # not a key that has been created again meanwhile
            gone = self._db.execute(_DELETE_ENTRY, (user_id, key, revision)).fetchall()
            for (charge,) in gone:
                self._db.execute(_SUBTRACT_TRASH, (charge, user_id))
            removed += len(gone)
        vacuum.mark_due(self._db)
        return removed

    def remove_receipts(self, receipts: Sequence[tuple[int, int, int]]) -> int:
        charged: dict[int, int] = {}
        for _, user_id, charge in receipts:
            charged[user_id] = charged.get(user_id, 0) + charge
        self._db.executemany(_SUBTRACT_RECEIPTS, [(charge, user_id) for user_id, charge in charged.items()])
        return self._delete("receipts", [row for row, _, _ in receipts])

    def remove_log_rows(self, rows: Sequence[int]) -> int:
        return self._delete("log", rows)

    def remove_some(self, table: Literal["history", "entries", "receipts"], user_id: int, rows: int) -> int:
        removed: int
        if table == "history":
            removed = self._db.execute(_DELETE_HISTORY, (user_id, rows)).rowcount
            return removed
        vacuum.mark_due(self._db)
        sql = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE user_id = ? LIMIT ?)"
        removed = self._db.execute(sql, (user_id, rows)).rowcount
        return removed

    def log_times(self, after: int | None, rows: int) -> tuple[list[tuple[int, int, int]], int | None]:
        # from the last row backwards
        last: int = self._db.execute(_LAST_LOG).fetchone()[0] if after is None else after
        before_first: int = self._db.execute(_FIRST_LOG).fetchone()[0]
        found: list[tuple[int, int, int]] = self._db.execute(_TIMES, {"last": last, "rows": rows}).fetchall()
        return found, last - rows if last - rows > before_first else None

    def users_over_history(self, most: int) -> list[int]:
        return [user_id for (user_id,) in self._db.execute(_OVER_BUDGET, {"most": most}).fetchall()]

    def trim_history(self, user_id: int, horizon: int, most: int, portion: int) -> set[int] | None:
        space = self._db.execute(_SPACE, (user_id,)).fetchone()
        if space is None:
            return None
        revision, trimmed, history_bytes = space
        if trimmed < horizon:
            done = trim.trim(self._db, user_id, trimmed, horizon, portion)
        elif history_bytes > most:
            done = trim.trim(self._db, user_id, trimmed, revision, min(portion, history_bytes - most))
        else:
            return None
        if done is None:
            return None
        if done.rows:
            vacuum.mark_due(self._db)
        return done.rows

    def compact_log(self, after: int | None, portion: int) -> int | None:
        last = trim.compact_some(self._db, after or 0, portion)
        if last is not None:
            vacuum.mark_due(self._db)
        return last

    def rewrite_due(self) -> str | None:
        return vacuum.due(self._db)

    def database_bytes(self) -> int:
        return vacuum.file_size(self._db).total

    def live_bytes(self) -> int:
        return vacuum.file_size(self._db).live

    def held_bytes(self) -> tuple[int, int, int]:
        held: tuple[int, int, int] = self._db.execute(_HELD).fetchone()
        return held

    def _log_part(self, after: int | None, rows: int) -> tuple[int, int | None]:
        """Return the row after which the next part of the log begins, and the same for the part after it."""
        start: int = self._db.execute(_FIRST_LOG).fetchone()[0] if after is None else after
        last: int = self._db.execute(_LAST_LOG).fetchone()[0]
        return start, start + rows if start + rows < last else None

    def _delete(self, table: str, ids: Sequence[int]) -> int:
        sql = f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(?))"
        removed: int = self._db.execute(sql, (_json(ids),)).rowcount
        return removed


def _json(ids: Collection[int]) -> str:
    return _encode(list(ids)).decode()
