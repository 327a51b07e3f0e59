"""Retention: what expiry, purge and history trimming read and remove.

Scans follow the primary keys. What changes rows that a writer may have in memory raises the user's guard.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal

from psycopg import Connection

from realtime_kv.core.messages import read_frame
from realtime_kv.core.statements import Frame, FrameChange
from realtime_kv.storage.postgres import trim
from realtime_kv.storage.postgres.expressions import KEY_SEPARATOR, RECEIPT_CHARGE, trash_charge
from realtime_kv.storage.postgres.reads import first

# a row of the log: the user id and the revision
LogRef = tuple[int, int]
# a receipt: the user id and the op_id
ReceiptRef = tuple[int, str]

# rows of frames that are read at once: a frame may be a MiB
FRAME_ROWS = 64

# the keys of an account that is being purged belong to no user any more
_DUE = """
SELECT e.user_id, e.key, octet_length(e.value) FROM entries AS e JOIN users AS u ON u.id = e.user_id
WHERE e.expires_at <= %s AND e.deleted_at IS NULL AND u.deleted_by IS DISTINCT FROM 'purge'
ORDER BY e.expires_at LIMIT %s
"""
_NEXT = "SELECT min(expires_at) FROM entries WHERE expires_at > %s AND deleted_at IS NULL"
_DELETED = """
SELECT user_id, key, revision, deleted_at < %s FROM entries
WHERE deleted_at IS NOT NULL AND (user_id, key) > (%s, %s) ORDER BY user_id, key LIMIT %s
"""
_MUCH_TRASH = "SELECT user_id FROM spaces WHERE 4 * trash_bytes > 3 * %s"
# the newest first; the last revision of the rest, once this many bytes are kept
_TRASH = f"""
SELECT max(revision) FROM (
    SELECT revision, sum({trash_charge()}) OVER (ORDER BY revision DESC ROWS UNBOUNDED PRECEDING) AS bytes
    FROM entries WHERE user_id = %s AND deleted_at IS NOT NULL
) AS sized WHERE bytes > %s
"""
_RAISE_FLOOR = """
UPDATE spaces SET floor = greatest(floor, %s), history_floor = greatest(history_floor, %s) WHERE user_id = %s
"""
_FRAMES = """
SELECT revision, frame, charge FROM log WHERE user_id = %s AND revision > %s ORDER BY revision LIMIT %s
"""
_CHARGES = "SELECT revision, charge FROM log WHERE user_id = %s AND revision > %s ORDER BY revision LIMIT %s"
_RECEIPTS = f"""
SELECT user_id, op_id, {RECEIPT_CHARGE}, at < %s FROM receipts WHERE (user_id, op_id) > (%s, %s)
ORDER BY user_id, op_id LIMIT %s
"""
_DELETE_ENTRIES = f"""
DELETE FROM entries AS e USING unnest(%s::bigint[], %s::text[], %s::bigint[]) AS w (user_id, key, revision)
WHERE e.user_id = w.user_id AND e.key = w.key AND e.revision = w.revision AND e.deleted_at IS NOT NULL
RETURNING e.user_id, {trash_charge("e.")}
"""
_DELETE_HISTORY = """
DELETE FROM history AS h USING unnest(%s::bigint[], %s::text[], %s::bigint[]) AS w (user_id, key, revision)
WHERE h.user_id = w.user_id AND h.key = w.key AND h.revision <= w.revision
"""
_DELETE_RECEIPTS = """
DELETE FROM receipts AS r USING unnest(%s::bigint[], %s::text[]) AS w (user_id, op_id)
WHERE r.user_id = w.user_id AND r.op_id = w.op_id
"""
_DELETE_LOG = """
DELETE FROM log AS l USING unnest(%s::bigint[], %s::bigint[]) AS w (user_id, revision)
WHERE l.user_id = w.user_id AND l.revision = w.revision
"""
_REPLACE_FRAME = "UPDATE log SET frame = %s, keys = %s, charge = %s WHERE user_id = %s AND revision = %s"
_TIMES = """
SELECT user_id, revision, at FROM log WHERE (user_id, revision) < (%s, %s)
ORDER BY user_id DESC, revision DESC LIMIT %s
"""
_OVER_BUDGET = "SELECT user_id FROM spaces WHERE history_bytes > %s"
_SPACE = "SELECT revision, trimmed, history_bytes FROM spaces WHERE user_id = %s FOR NO KEY UPDATE"
# (summed bigints are numeric)
_HELD = """
SELECT coalesce(sum(history_bytes), 0)::bigint, coalesce(sum(receipt_bytes), 0)::bigint,
    coalesce(sum(trash_bytes), 0)::bigint FROM spaces
"""
_SUBTRACT_HISTORY = "UPDATE spaces SET history_bytes = history_bytes - %s WHERE user_id = %s AND trimmed < %s"
_SUBTRACT_TRASH = "UPDATE spaces SET trash_bytes = trash_bytes - %s, guard = guard + 1 WHERE user_id = %s"
_SUBTRACT_RECEIPTS = "UPDATE spaces SET receipt_bytes = receipt_bytes - %s, guard = guard + 1 WHERE user_id = %s"

_NO_USER = -1
_LAST = 2**63 - 1


class Retention:
    """The core's RetentionStatements, on one connection."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` returns the connection, which may be another one after an interruption."""
        self._connect = connect

    @property
    def _db(self) -> Connection:
        return self._connect()

    def expired(self, now: int, most: int) -> list[tuple[int, str, int]]:
        return self._db.execute(_DUE, (now, most)).fetchall()

    def next_expiry(self, now: int) -> int | None:
        at: int | None = first(self._db.execute(_NEXT, (now,)))[0]
        return at

    def users_with_much_trash(self, most: int) -> list[int]:
        return [user_id for (user_id,) in self._db.execute(_MUCH_TRASH, (most,)).fetchall()]

    def trash_limit(self, user_id: int, kept: int) -> int:
        return first(self._db.execute(_TRASH, (user_id, kept)))[0] or 0

    def scan_deleted(
        self, after: ReceiptRef | None, before: int, rows: int
    ) -> tuple[list[tuple[int, str, int, bool]], ReceiptRef | None]:
        found = self._db.execute(_DELETED, (before, *(after or (_NO_USER, "")), rows)).fetchall()
        return found, found[-1][:2] if len(found) == rows else None

    def raise_floors(self, floors: Sequence[tuple[int, int]]) -> None:
        for revision, user_id in sorted(floors, key=lambda floor: floor[1]):
            self._db.execute(_RAISE_FLOOR, (revision, revision, user_id))

    def log_of_users(
        self, user_ids: Collection[int], after: LogRef | None, rows: int
    ) -> tuple[Iterable[tuple[LogRef, int, int, Frame, int]], LogRef | None]:
        start = after or _first_of(user_ids)
        if start is None:
            return [], None
        found = self._db.execute(_CHARGES, (*start, rows)).fetchall()
        last = found[-1][0] if found else start[1]
        return self._frames(start, last), self._next(user_ids, start, last, full=len(found) == rows)

    def log_rows_of_users(
        self, user_ids: Collection[int], after: LogRef | None, rows: int
    ) -> tuple[list[tuple[LogRef, int]], LogRef | None]:
        start = after or _first_of(user_ids)
        if start is None:
            return [], None
        found = self._db.execute(_CHARGES, (*start, rows)).fetchall()
        last = found[-1][0] if found else start[1]
        refs = [((start[0], revision), charge) for revision, charge in found]
        return refs, self._next(user_ids, start, last, full=len(found) == rows)

    def old_receipts(
        self, before: int, after: ReceiptRef | None, rows: int
    ) -> tuple[list[tuple[ReceiptRef, int, int]], ReceiptRef | None]:
        found = self._db.execute(_RECEIPTS, (before, *(after or (_NO_USER, "")), rows)).fetchall()
        old = [((user_id, op_id), user_id, charge) for user_id, op_id, charge, is_old in found if is_old]
        return old, found[-1][:2] if len(found) == rows else None

    def replace_frames(self, changes: Sequence[FrameChange]) -> None:
        self.remove_log_rows([change.row for change in changes if change.left is None])
        for change in sorted(changes, key=lambda change: change.user_id):
            if change.left is not None:
                keys = KEY_SEPARATOR.join(op.key for op in read_frame(change.left).ops)
                self._db.execute(_REPLACE_FRAME, (change.left, keys, change.after, *change.row))
            # writes up to `trimmed` have been subtracted already
            self._db.execute(_SUBTRACT_HISTORY, (change.before - change.after, change.user_id, change.revision))

    def remove_entries(self, entries: Sequence[tuple[int, str, int]]) -> int:
        if not entries:
            return 0
        columns = [list(column) for column in zip(*entries, strict=True)]
        self._db.execute(_DELETE_HISTORY, columns)
        # not a key that has been created again meanwhile
        gone = self._db.execute(_DELETE_ENTRIES, columns).fetchall()
        self._subtract(_SUBTRACT_TRASH, gone)
        return len(gone)

    def remove_receipts(self, receipts: Sequence[tuple[ReceiptRef, int, int]]) -> int:
        self._subtract(_SUBTRACT_RECEIPTS, [(user_id, charge) for _, user_id, charge in receipts])
        users, op_ids = [ref[0] for ref, _, _ in receipts], [ref[1] for ref, _, _ in receipts]
        return self._db.execute(_DELETE_RECEIPTS, (users, op_ids)).rowcount

    def remove_log_rows(self, rows: Sequence[LogRef]) -> int:
        return self._db.execute(_DELETE_LOG, ([ref[0] for ref in rows], [ref[1] for ref in rows])).rowcount

    def remove_some(self, table: Literal["history", "entries", "receipts"], user_id: int, rows: int) -> int:
        sql = f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE user_id = %s LIMIT %s))"
        return self._db.execute(sql, (user_id, rows)).rowcount

    def log_times(self, after: LogRef | None, rows: int) -> tuple[list[tuple[int, int, int]], LogRef | None]:
        found = self._db.execute(_TIMES, (*(after or (_LAST, _LAST)), rows)).fetchall()
        return found, found[-1][:2] if len(found) == rows else None

    def users_over_history(self, most: int) -> list[int]:
        return [user_id for (user_id,) in self._db.execute(_OVER_BUDGET, (most,)).fetchall()]

    def trim_history(self, user_id: int, horizon: int, most: int, portion: int) -> set[LogRef] | None:
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
        return None if done is None else done.rows

    def compact_log(self, after: LogRef | None, portion: int) -> LogRef | None:
        return trim.compact_some(self._db, after or (_NO_USER, 0), portion)

    def rewrite_due(self) -> str | None:
        """Return None: PostgreSQL's autovacuum makes room by itself, and what is removed stays in the file a while."""
        return None

    def database_bytes(self) -> int:
        size: int = first(self._db.execute("SELECT pg_database_size(current_database())"))[0]
        return size

    def live_bytes(self) -> int:
        return 0

    def held_bytes(self) -> tuple[int, int, int]:
        held: tuple[int, int, int] = first(self._db.execute(_HELD))
        return held

    def _frames(self, start: LogRef, last: int) -> Iterator[tuple[LogRef, int, int, Frame, int]]:
        user_id, revision = start
        while revision < last:
            found = self._db.execute(_FRAMES, (user_id, revision, FRAME_ROWS)).fetchall()
            if not found:
                return
            for revision, frame, charge in found:
                if revision > last:
                    return
                yield (user_id, revision), user_id, revision, frame, charge

    def _next(self, user_ids: Collection[int], start: LogRef, last: int, *, full: bool) -> LogRef | None:
        """Return where the scan of these users' log continues: in the same user's, or at the next user's beginning."""
        if full:
            return (start[0], last)
        following = [user_id for user_id in user_ids if user_id > start[0]]
        return (min(following), 0) if following else None

    def _subtract(self, sql: str, charges: Sequence[tuple[int, int]]) -> None:
        total: dict[int, int] = {}
        for user_id, charge in charges:
            total[user_id] = total.get(user_id, 0) + charge
        for user_id in sorted(total):
            self._db.execute(sql, (total[user_id], user_id))


def _first_of(user_ids: Collection[int]) -> LogRef | None:
    return (min(user_ids), 0) if user_ids else None
