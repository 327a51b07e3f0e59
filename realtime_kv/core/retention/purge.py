"""Purge: removes keys, change log and receipts past their retention time, so that no byte of them remains.

Invariants:
1. It works in small steps, between which other writes run.
2. Floors are raised before anything is removed, and a deleted key's row, which marks the work to do, is removed last:
   an interrupted purge has done no harm, and the next one continues.
3. `rewrite` has to follow, once everything else is done.
"""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Literal

import msgspec

from realtime_kv.core.backend import Compaction
from realtime_kv.core.domain import charges
from realtime_kv.core.messages import WriteFrame, read_frame
from realtime_kv.core.retention.history_trim import HistoryTrimmer
from realtime_kv.core.retention.stepwise import LOOK_ROWS, STEP_ROWS, StepwiseJob
from realtime_kv.core.statements import FrameChange, Position, RetentionStatements, RowRef

# deleted keys that are handled in one pass through the log
ROUND_KEYS = 50_000

# entries that one step removes: each may have a large value
STEP_ENTRIES = 64

_Table = Literal["history", "entries", "receipts"]
_TABLES: tuple[_Table, ...] = ("entries", "receipts")

# user → key → revision of its delete
_Trashed = dict[int, dict[str, int]]

_encode = msgspec.json.Encoder().encode


class Purge(StepwiseJob):
    """Purges one store; every call returns when its steps are done, so never call it on the event loop's thread."""

    def remove_trashed(self, before: int, most: int | None = None) -> tuple[int, int]:
        """Remove the keys deleted before that time, and their values from the log; return the numbers of keys and ops.

        For a user whose deleted keys take more than three quarters of `most` bytes, the oldest are removed as well,
        down to half.
        """
        self._write(_nothing)
        keys = ops = 0
        until: dict[int, int] = {}
        if most is not None:
            for user_id in self._look(lambda db: db.users_with_much_trash(most)):
                until[user_id] = self._look(lambda db: db.trash_limit(user_id, most // 2))
        for trashed in self._trashed(before, until):
            self._write(partial(_raise_floors, trashed=trashed))
            ops += self._remove_ops(trashed)
            keys += self._remove_entries(trashed)
        return keys, ops

    def remove_history(self, before: int, most: int) -> int:
        """Remove writes from before that time, or beyond `most` bytes, from the change log; return their number."""
        return HistoryTrimmer(self._store).remove(before, most)

    def remove_receipts(self, before: int) -> int:
        """Remove the receipts from before that time; return their number."""
        removed = 0
        self._write(_nothing)
        for rows in self._scan(lambda db, after: db.old_receipts(before, after, LOOK_ROWS)):
            for part in _parts(rows):
                removed += self._write(lambda db: db.remove_receipts(part))
        return removed

    def remove_spaces(self, users: Collection[int]) -> int:
        """Remove everything in the spaces of `users`, who may no longer write; return the number of writes and keys."""
        if not users:
            return 0
        removed = 0
        self._write(_nothing)
        for rows in self._scan(lambda db, after: db.log_rows_of_users(users, after, LOOK_ROWS)):
            for part in _parts_by_size(rows, self._step_bytes):
                removed += self._write(lambda db: db.remove_log_rows([row for row, _ in part]))
        for user_id in users:
            while self._remove_some("history", user_id):
                pass
            for table in _TABLES:
                while gone := self._remove_some(table, user_id):
                    removed += gone
        return removed

    def rewrite(self) -> bool:
        """Rewrite the file without the removed data; return whether the write-ahead log is empty as well."""
        return self._compaction is None or self._wait(self._store.writer.run_exclusive(self._compaction.rewrite))

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file, where removed values are overwritten with zeros."""
        return self._compaction is None or self._wait(self._store.writer.run_exclusive(self._compaction.empty_log))

    def rewrite_due(self) -> str | None:
        """Return the reason for which the file has to be rewritten: `purge`, `trim` or none."""
        return self._look(lambda db: db.rewrite_due())

    def rewrite_needs(self) -> int:
        """Return the bytes of free space that rewriting the file needs now."""
        return 0 if self._compaction is None else self._compaction.needs(self._look(lambda db: db.live_bytes()))

    @property
    def _compaction(self) -> Compaction | None:
        return self._store.backend.compaction

    def _trashed(self, before: int, until: dict[int, int]) -> Iterator[_Trashed]:
        found: _Trashed = {}
        count = 0
        for rows in self._scan(lambda db, after: db.scan_deleted(after, before, LOOK_ROWS)):
            for user_id, key, revision, due in rows:
                if due or revision <= until.get(user_id, 0):
                    found.setdefault(user_id, {})[key] = revision
                    count += 1
            if count >= ROUND_KEYS:
                yield found
                found, count = {}, 0
        if found:
            yield found

    def _remove_ops(self, trashed: _Trashed) -> int:
        """Remove all ops on these keys, up to their delete, from the log; return their number."""
        after: Position | None = None
        removed = 0
        while True:
            after, changed, ops = self._look(
                partial(_look_for_ops, trashed=trashed, after=after, most=self._step_bytes)
            )
            for part in _parts(changed):
                self._write(lambda db: db.replace_frames(part))
            removed += ops
            if after is None:
                return removed

    def _remove_entries(self, trashed: _Trashed) -> int:
        rows = [(user_id, key, revision) for user_id, keys in trashed.items() for key, revision in keys.items()]
        return sum(self._write(lambda db: db.remove_entries(part)) for part in _parts(rows, self._step_entries))

    @property
    def _step_entries(self) -> int:
        return STEP_ENTRIES // 16 if self._store.reserve.is_low else STEP_ENTRIES

    def _remove_some(self, table: _Table, user_id: int) -> int:
        rows = self._step_entries if table == "entries" else STEP_ROWS
        return self._write(lambda db: db.remove_some(table, user_id, rows))


def _nothing(_: RetentionStatements) -> None:
    """Do nothing; as a job of the writer, this leaves the tables up to date."""


def _raise_floors(db: RetentionStatements, trashed: _Trashed) -> None:
    """Raise the floors to these deletes: no client may continue from before them, since the removed data is unknown."""
    db.raise_floors([(max(keys.values()), user_id) for user_id, keys in trashed.items()])


def _look_for_ops(
    db: RetentionStatements, trashed: _Trashed, after: Position | None, most: int
) -> tuple[Position | None, list[FrameChange], int]:
    """Return the position reached (None at the end), the rows to change, and the number of ops to remove."""
    changed: list[FrameChange] = []
    latest = {user_id: max(keys.values()) for user_id, keys in trashed.items()}
    size = ops = 0
    rows, reached = db.log_of_users(trashed, after, LOOK_ROWS)
    for row, user_id, revision, frame, charge in rows:
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
    return reached, changed, ops


def _left(row: RowRef, user_id: int, revision: int, write: WriteFrame, charge: int) -> FrameChange:
    if not write.ops:
        return FrameChange(row, user_id, revision, None, charge, 0)
    text = _encode(write).decode()
    after = min(charge, charges.of_write(text, sum(len(op.key) for op in write.ops), len(write.ops)))
    return FrameChange(row, user_id, revision, text, charge, after)


def _parts(rows: list[Any], most: int = STEP_ROWS) -> Iterator[list[Any]]:
    return (rows[start : start + most] for start in range(0, len(rows), most))


def _parts_by_size(rows: list[tuple[RowRef, int]], most: int) -> Iterator[list[tuple[RowRef, int]]]:
    """Yield the rows, with their sizes, in parts of about `most` bytes."""
    part: list[tuple[RowRef, int]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += row[1]
        if len(part) >= STEP_ROWS or size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part
