"""The purge of keys, of the change log and of receipts: what is past its time goes, and no byte of it stays.

Small steps, between which other writes go on. Floors are raised before anything is removed, and a deleted key's row,
which tells that there is something to do, goes last: a purge that was cut short has done no harm, and the next one goes
on. `vacuum` has to follow, once everything else is done.
"""

import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from realtime_kv.core.frames import read_frame
from realtime_kv.core.old_history import OldHistory
from realtime_kv.core.upkeep import LOOK_ROWS, STEP_BYTES, STEP_ROWS, Upkeep

# deleted keys that one reading of the whole log is for
ROUND_KEYS = 50_000

# user → key → revision of its delete
_Trashed = dict[int, dict[str, int]]

_encode = msgspec.json.Encoder().encode

_TRASHED = """
SELECT rowid, user_id, key, revision, deleted_at IS NOT NULL AND deleted_at < :before
FROM entries WHERE rowid > :after ORDER BY rowid LIMIT :rows
"""
_RAISE_FLOORS = """
UPDATE spaces SET floor = max(floor, ?1), history_floor = max(history_floor, ?1) WHERE user_id = ?2
"""
_LOG_OF_USERS = """
SELECT id, user_id, revision, frame FROM log
WHERE id > :after AND id <= :after + :rows AND user_id IN (SELECT value FROM json_each(:users)) ORDER BY id
"""
_IDS_OF_USERS = """
SELECT id FROM log WHERE id > :after AND id <= :after + :rows AND user_id IN (SELECT value FROM json_each(:users))
"""
_OLD_RECEIPTS = "SELECT rowid FROM receipts WHERE at < :before AND rowid > :after AND rowid <= :after + :rows"
_LAST_LOG = "SELECT coalesce(max(id), 0) FROM log"
_FIRST_LOG = "SELECT coalesce(min(id), 1) - 1 FROM log"
_LAST_RECEIPT = "SELECT coalesce(max(rowid), 0) FROM receipts"


class Purge(Upkeep):
    """Goes through one store; every call comes back when its steps are done, so never call it on the edge's thread."""

    def keys(self, before: int) -> tuple[int, int]:
        """Remove the keys deleted before that time, and their values from the log: how many keys, how many ops."""
        self._write(_nothing)
        keys = ops = 0
        for trashed in self._trashed(before):
            self._write(_raise_floors, trashed)
            ops += self._remove_ops(trashed)
            keys += self._remove_entries(trashed, before)
        return keys, ops

    def history(self, before: int, most: int) -> int:
        """Remove from the change log what is from before that time, or beyond `most` bytes; of how many writes."""
        return OldHistory(self._store).remove(before, most)

    def receipts(self, before: int) -> int:
        """Forget what writes were answered before that time; how many."""
        removed = 0
        for after in self._steps("SELECT 0", _LAST_RECEIPT):
            rows = self._read(_OLD_RECEIPTS, {"before": before, "after": after, "rows": LOOK_ROWS})
            for part in _parts(rows):
                ids = [row for (row,) in part]
                removed += self._write(_delete_rows, "receipts", ids)
        return removed

    def spaces(self, users: Collection[int]) -> int:
        """Remove everything in the spaces of these users, who may not write any more; how many writes and keys."""
        if not users:
            return 0
        removed = 0
        for after in self._steps(_FIRST_LOG, _LAST_LOG):
            wanted = {"users": _encode(list(users)).decode(), "after": after, "rows": LOOK_ROWS}
            rows = self._read(_IDS_OF_USERS, wanted)
            for part in _parts(rows):
                ids = [row for (row,) in part]
                removed += self._write(_delete_rows, "log", ids)
        for user_id in users:
            while self._write(_delete_some_history, user_id):
                pass
            for table in ("entries", "receipts"):
                while gone := self._write(_delete_some, table, user_id):
                    removed += gone
        return removed

    def vacuum(self) -> bool:
        """Rewrite the file, so that nothing of what is gone is left in it; whether the write-ahead log is empty too."""
        return self._wait(self._store.writer.maintain(_vacuum))

    def _trashed(self, before: int) -> Iterator[_Trashed]:
        found: _Trashed = {}
        count, after = 0, -1
        while rows := self._read(_TRASHED, {"before": before, "after": after, "rows": LOOK_ROWS}):
            after = rows[-1][0]
            for _, user_id, key, revision, due in rows:
                if due:
                    found.setdefault(user_id, {})[key] = revision
                    count += 1
            if count >= ROUND_KEYS:
                yield found
                found, count = {}, 0
        if found:
            yield found

    def _remove_ops(self, trashed: _Trashed) -> int:
        """Take what was ever written under these keys, up to their delete, out of the log."""
        last = self._read(_LAST_LOG)[0][0]
        after, removed = self._read(_FIRST_LOG)[0][0], 0
        while after < last:
            looked, changed, ops = self._look(_look_for_ops, trashed, after)
            for part in _parts(changed):
                self._write(_change_frames, part)
            after, removed = looked, removed + ops
        return removed

    def _remove_entries(self, trashed: _Trashed, before: int) -> int:
        rows = [(user_id, key, revision, before) for user_id, keys in trashed.items() for key, revision in keys.items()]
        return sum(self._write(_remove_entries, part) for part in _parts(rows))

    def _steps(self, first: str, last: str) -> Iterator[int]:
        self._write(_nothing)
        after, end = self._read(first)[0][0], self._read(last)[0][0]
        while after < end:
            yield after
            after += LOOK_ROWS


def _nothing(_: sqlite3.Connection) -> None:
    """Done by the writer, it leaves the tables up to date."""


def _raise_floors(db: sqlite3.Connection, trashed: _Trashed) -> None:
    """Nobody may go on from before these deletes any more: of what they removed, nothing will be known."""
    db.executemany(_RAISE_FLOORS, [(max(keys.values()), user_id) for user_id, keys in trashed.items()])


def _look_for_ops(
    db: sqlite3.Connection, trashed: _Trashed, after: int
) -> tuple[int, list[tuple[int, str | None]], int]:
    """How far we have looked; the rows to change, with the frame that is left of each (None: nothing); how many ops."""
    changed: list[tuple[int, str | None]] = []
    latest = {user_id: max(keys.values()) for user_id, keys in trashed.items()}
    size = ops = 0
    users = _encode(list(trashed)).decode()
    for row, user_id, revision, frame in db.execute(_LOG_OF_USERS, {"users": users, "after": after, "rows": LOOK_ROWS}):
        if revision > latest[user_id]:
            continue
        keys, write = trashed[user_id], read_frame(frame)
        # a key that was created again is another one, and stays
        kept = [op for op in write.ops if revision > keys.get(op.key, 0)]
        if len(kept) == len(write.ops):
            continue
        ops += len(write.ops) - len(kept)
        left = None
        if kept:
            write.ops = kept
            left = _encode(write).decode()
        changed.append((row, left))
        size += len(left or "")
        if size > STEP_BYTES:
            return row, changed, ops
    return after + LOOK_ROWS, changed, ops


def _change_frames(db: sqlite3.Connection, rows: list[tuple[int, str | None]]) -> None:
    _delete_rows(db, "log", [row for row, left in rows if left is None])
    db.executemany("UPDATE log SET frame = ? WHERE id = ?", [(left, row) for row, left in rows if left is not None])


def _remove_entries(db: sqlite3.Connection, rows: list[tuple[int, str, int, int]]) -> int:
    gone = [(user_id, key, revision) for user_id, key, revision, _ in rows]
    db.executemany("DELETE FROM history WHERE user_id = ? AND key = ? AND revision <= ?", gone)
    # not one that has been created again meanwhile
    sql = "DELETE FROM entries WHERE user_id = ? AND key = ? AND revision = ? AND deleted_at < ?"
    return db.executemany(sql, rows).rowcount


def _delete_rows(db: sqlite3.Connection, table: str, ids: list[int]) -> int:
    sql = f"DELETE FROM {table} WHERE rowid IN (SELECT value FROM json_each(?))"
    return db.execute(sql, (_encode(ids).decode(),)).rowcount


def _delete_some_history(db: sqlite3.Connection, user_id: int) -> int:
    some = "SELECT user_id, key, revision FROM history WHERE user_id = ? LIMIT ?"
    sql = f"DELETE FROM history WHERE (user_id, key, revision) IN ({some})"
    return db.execute(sql, (user_id, STEP_ROWS)).rowcount


def _delete_some(db: sqlite3.Connection, table: str, user_id: int) -> int:
    sql = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE user_id = ? LIMIT ?)"
    return db.execute(sql, (user_id, STEP_ROWS)).rowcount


def _vacuum(db: sqlite3.Connection) -> bool:
    db.execute("VACUUM")
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _parts(rows: list[Any]) -> Iterator[list[Any]]:
    return (rows[start : start + STEP_ROWS] for start in range(0, len(rows), STEP_ROWS))
