"""Purge: removes keys, change log and receipts past their retention time, so that no byte of them remains.

Invariants:
1. It works in small steps, between which other writes run.
2. Floors are raised before anything is removed, and a deleted key's row, which marks the work to do, is removed last:
   an interrupted purge has done no harm, and the next one continues.
3. `vacuum` has to follow, once everything else is done.
"""

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from realtime_kv.core.domain import charges
from realtime_kv.core.domain.charges import LOG_CHARGE, RECEIPT_CHARGE, TRASH_CHARGE
from realtime_kv.core.messages import WriteFrame, read_frame
from realtime_kv.core.retention.history_trim import HistoryTrimmer
from realtime_kv.core.retention.stepwise import LOOK_ROWS, STEP_ROWS, StepwiseJob
from realtime_kv.storage.sqlite import vacuum

# deleted keys that are handled in one pass through the log
ROUND_KEYS = 50_000

# entries that one step removes: each may have a large value
STEP_ENTRIES = 64

# user → key → revision of its delete
_Trashed = dict[int, dict[str, int]]

_encode = msgspec.json.Encoder().encode

_TRASHED = """
SELECT rowid, user_id, key, revision, deleted_at IS NOT NULL AND deleted_at < :before, deleted_at IS NOT NULL
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


class Purge(StepwiseJob):
    """Purges one store; every call returns when its steps are done, so never call it on the event loop's thread."""

    def keys(self, before: int, most: int | None = None) -> tuple[int, int]:
        """Remove the keys deleted before that time, and their values from the log; return the numbers of keys and ops.

        For a user whose deleted keys take more than three quarters of `most` bytes, the oldest are removed as well,
        down to half.
        """
        self._write(_nothing)
        keys = ops = 0
        until: dict[int, int] = {}
        if most is not None:
            for (user_id,) in self._read(_MUCH_TRASH, {"most": most}):
                until[user_id] = self._read(_TRASH, {"user": user_id, "kept": most // 2})[0][0] or 0
        for trashed in self._trashed(before, until):
            self._write(_raise_floors, trashed)
            ops += self._remove_ops(trashed)
            keys += self._remove_entries(trashed)
        return keys, ops

    def history(self, before: int, most: int) -> int:
        """Remove writes from before that time, or beyond `most` bytes, from the change log; return their number."""
        return HistoryTrimmer(self._store).remove(before, most)

    def receipts(self, before: int) -> int:
        """Remove the receipts from before that time; return their number."""
        removed = 0
        for after in self._steps("SELECT 0", _LAST_RECEIPT):
            rows = self._read(_OLD_RECEIPTS, {"before": before, "after": after, "rows": LOOK_ROWS})
            for part in _parts(rows):
                removed += self._write(_delete_receipts, part)
        return removed

    def spaces(self, users: Collection[int]) -> int:
        """Remove everything in the spaces of `users`, who may no longer write; return the number of writes and keys."""
        if not users:
            return 0
        removed = 0
        for after in self._steps(_FIRST_LOG, _LAST_LOG):
            wanted = {"users": _encode(list(users)).decode(), "after": after, "rows": LOOK_ROWS}
            rows = self._read(_IDS_OF_USERS, wanted)
            for part in _parts_by_size(rows, self._step_bytes):
                ids = [row for row, _ in part]
                removed += self._write(_delete_rows, "log", ids)
        for user_id in users:
            while self._write(_delete_some_history, user_id):
                pass
            for table in ("entries", "receipts"):
                while gone := self._write(_delete_some, table, user_id, self._step_entries):
                    removed += gone
        return removed

    def vacuum(self) -> bool:
        """Rewrite the file without the removed data; return whether the write-ahead log is empty as well."""
        return self._wait(self._store.writer.maintain(vacuum.vacuum))

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file, where removed values are overwritten with zeros."""
        return self._wait(self._store.writer.maintain(vacuum.empty_log))

    def vacuum_due(self) -> str | None:
        """Return the reason for which the file has to be rewritten: `purge`, `trim` or none."""
        return self._look(vacuum.due)

    def vacuum_needs(self) -> int:
        """Return the bytes of free space that a VACUUM needs now."""
        return vacuum.needed(self._look(vacuum.file_size).live, self._store.reserve.folder)

    def _trashed(self, before: int, until: dict[int, int]) -> Iterator[_Trashed]:
        found: _Trashed = {}
        count, after = 0, -1
        while rows := self._read(_TRASHED, {"before": before, "after": after, "rows": LOOK_ROWS}):
            after = rows[-1][0]
            for _, user_id, key, revision, due, deleted in rows:
                if due or (deleted and revision <= until.get(user_id, 0)):
                    found.setdefault(user_id, {})[key] = revision
                    count += 1
            if count >= ROUND_KEYS:
                yield found
                found, count = {}, 0
        if found:
            yield found

    def _remove_ops(self, trashed: _Trashed) -> int:
        """Remove all ops on these keys, up to their delete, from the log; return their number."""
        last = self._read(_LAST_LOG)[0][0]
        after, removed = self._read(_FIRST_LOG)[0][0], 0
        while after < last:
            looked, changed, ops = self._look(_look_for_ops, trashed, after, self._step_bytes)
            for part in _parts(changed):
                self._write(_change_frames, part)
            after, removed = looked, removed + ops
        return removed

    def _remove_entries(self, trashed: _Trashed) -> int:
        rows = [(user_id, key, revision) for user_id, keys in trashed.items() for key, revision in keys.items()]
        return sum(self._write(_remove_entries, part) for part in _parts(rows, self._step_entries))

    @property
    def _step_entries(self) -> int:
        return STEP_ENTRIES // 16 if self._store.reserve.is_low else STEP_ENTRIES

    def _steps(self, first: str, last: str) -> Iterator[int]:
        self._write(_nothing)
        after, end = self._read(first)[0][0], self._read(last)[0][0]
        while after < end:
            yield after
            after += LOOK_ROWS


def has_much_trash(db: sqlite3.Connection, most: int) -> bool:
    """Return whether some user's deleted keys take so much of `most` bytes that the oldest should go early."""
    return db.execute(_MUCH_TRASH, {"most": most}).fetchone() is not None


def _nothing(_: sqlite3.Connection) -> None:
    """Do nothing; as a job of the writer, this leaves the tables up to date."""


def _raise_floors(db: sqlite3.Connection, trashed: _Trashed) -> None:
    """Raise the floors to these deletes: no client may continue from before them, since the removed data is unknown."""
    db.executemany(_RAISE_FLOORS, [(max(keys.values()), user_id) for user_id, keys in trashed.items()])


@dataclass(slots=True)
class _Change:
    """A log row, its user, the frame that is left of it (None: nothing), and its charge before and after."""

    row: int
    user_id: int
    revision: int
    left: str | None
    before: int
    after: int


def _look_for_ops(db: sqlite3.Connection, trashed: _Trashed, after: int, most: int) -> tuple[int, list[_Change], int]:
    """Return the row reached, the rows to change, and the number of ops to remove."""
    changed: list[_Change] = []
    latest = {user_id: max(keys.values()) for user_id, keys in trashed.items()}
    size = ops = 0
    wanted = {"users": _encode(list(trashed)).decode(), "after": after, "rows": LOOK_ROWS}
    for row, user_id, revision, frame, charge in db.execute(_LOG_OF_USERS, wanted):
        if revision > latest[user_id]:
            continue
        keys, write = trashed[user_id], read_frame(frame)
        # a key that was created again is another one, and stays
        kept = [op for op in write.ops if revision > keys.get(op.key, 0)]
        if len(kept) == len(write.ops):
            continue
        ops += len(write.ops) - len(kept)
        write.ops = kept
        change = _left(row, user_id, revision, write, charge)
        changed.append(change)
        # the pages of deleted rows are overwritten, which is as much to write
        size += len(change.left or frame)
        if size > most:
            return row, changed, ops
    return after + LOOK_ROWS, changed, ops


def _left(row: int, user_id: int, revision: int, write: WriteFrame, charge: int) -> _Change:
    if not write.ops:
        return _Change(row, user_id, revision, None, charge, 0)
    text = _encode(write).decode()
    after = min(charge, charges.of_write(text, sum(len(op.key) for op in write.ops), len(write.ops)))
    return _Change(row, user_id, revision, text, charge, after)


def _change_frames(db: sqlite3.Connection, changes: list[_Change]) -> None:
    _delete_rows(db, "log", [change.row for change in changes if change.left is None])
    frames = [(change.left, change.after, change.row) for change in changes if change.left is not None]
    db.executemany("UPDATE log SET frame = ?, charge = ? WHERE id = ?", frames)
    # writes up to `trimmed` have been subtracted already
    db.executemany(
        "UPDATE spaces SET history_bytes = history_bytes - ? WHERE user_id = ? AND trimmed < ?",
        [(change.before - change.after, change.user_id, change.revision) for change in changes],
    )
    vacuum.mark_due(db)


def _remove_entries(db: sqlite3.Connection, rows: list[tuple[int, str, int]]) -> int:
    db.executemany("DELETE FROM history WHERE user_id = ? AND key = ? AND revision <= ?", rows)
    removed = 0
    for user_id, key, revision in rows:
        # not a key that has been created again meanwhile
        gone = db.execute(_DELETE_ENTRY, (user_id, key, revision)).fetchall()
        for (charge,) in gone:
            db.execute("UPDATE spaces SET trash_bytes = trash_bytes - ? WHERE user_id = ?", (charge, user_id))
        removed += len(gone)
    vacuum.mark_due(db)
    return removed


def _delete_receipts(db: sqlite3.Connection, rows: list[tuple[int, int, int]]) -> int:
    charged: dict[int, int] = {}
    for _, user_id, charge in rows:
        charged[user_id] = charged.get(user_id, 0) + charge
    db.executemany(
        "UPDATE spaces SET receipt_bytes = receipt_bytes - ? WHERE user_id = ?",
        [(charge, user_id) for user_id, charge in charged.items()],
    )
    return _delete_rows(db, "receipts", [row for row, _, _ in rows])


def _delete_rows(db: sqlite3.Connection, table: str, ids: list[int]) -> int:
    sql = f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(?))"
    return db.execute(sql, (_encode(ids).decode(),)).rowcount


def _delete_some_history(db: sqlite3.Connection, user_id: int) -> int:
    some = "SELECT user_id, key, revision FROM history WHERE user_id = ? LIMIT ?"
    sql = f"DELETE FROM history WHERE (user_id, key, revision) IN ({some})"
    return db.execute(sql, (user_id, STEP_ROWS)).rowcount


def _delete_some(db: sqlite3.Connection, table: str, user_id: int, entries: int) -> int:
    sql = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE user_id = ? LIMIT ?)"
    vacuum.mark_due(db)
    return db.execute(sql, (user_id, entries if table == "entries" else STEP_ROWS)).rowcount


def _parts(rows: list[Any], most: int = STEP_ROWS) -> Iterator[list[Any]]:
    return (rows[start : start + most] for start in range(0, len(rows), most))


def _parts_by_size(rows: list[tuple[int, int]], most: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the rows, with their sizes, in parts of about `most` bytes."""
    part: list[tuple[int, int]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += row[1]
        if len(part) >= STEP_ROWS or size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part
