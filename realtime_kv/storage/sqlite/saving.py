"""Saving: the log rows of a commit, and the tables of a flush."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec.structs import astuple

from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space
from realtime_kv.core.statements import TrimReport
from realtime_kv.core.writers import Lagging
from realtime_kv.storage.sqlite import trim
from realtime_kv.storage.sqlite.bulk_statements import execute, values
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import LOG_CHARGE
from realtime_kv.storage.sqlite.files import vacuum


@cache
def _save_entries(rows: int) -> str:
    # the columns are the user and the fields of Record, of which `size` and `digest` can be recomputed; '' (no JSON
    # text is empty) stands for a value that was not loaded and has not changed: the trash keeps it
    return f"""
INSERT INTO entries (user_id, key, value, revision, created_revision, version, created_at, updated_at, expires_at,
    deleted_at, origin)
SELECT column1, column2, coalesce(column3, ''), column6, column7, column8, column9, column10, column11, column12,
    column13
FROM ({values(13, rows)}) WHERE column1 IS NOT NULL
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
SELECT * FROM ({values(9, rows)}) WHERE column1 IS NOT NULL
"""


@cache
def _save_receipts(rows: int) -> str:
    return f"""
INSERT INTO receipts (user_id, op_id, fingerprint, answer, at)
SELECT * FROM ({values(5, rows)}) WHERE column1 IS NOT NULL
"""


@cache
def _save_spaces(rows: int) -> str:
    return f"""
WITH made (user_id, revision, keys, bytes, digest, trimmed, history_bytes, receipt_bytes, trash_bytes)
    AS ({values(9, rows)})
UPDATE spaces SET revision = made.revision, keys = made.keys, bytes = made.bytes, digest = made.digest,
    trimmed = made.trimmed, history_bytes = made.history_bytes, receipt_bytes = made.receipt_bytes,
    trash_bytes = made.trash_bytes
FROM made WHERE spaces.user_id = made.user_id
"""


_NO_RECEIPT = (None, None, None)

_FLUSHED = "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE name = 'flushed'"
_SAVE_FLUSHED = "INSERT OR REPLACE INTO meta (name, value) VALUES ('flushed', CAST(? AS TEXT))"
_LAST_ROW = "SELECT coalesce(max(id), 0) FROM log"
_BEHIND = f"""
SELECT l.id, l.user_id, l.revision, l.at, l.frame, l.op_id, l.fingerprint, l.answer, {LOG_CHARGE}
FROM log AS l CROSS JOIN spaces AS p ON p.user_id = l.user_id WHERE l.id > ? AND l.revision > p.revision ORDER BY l.id
"""
_ADD_RECEIPT_BYTES = "UPDATE spaces SET receipt_bytes = receipt_bytes + ? WHERE user_id = ?"
_SPACE = """
SELECT p.user_id, p.revision, p.keys, p.bytes, p.digest, p.trimmed, p.history_bytes, p.receipt_bytes, p.trash_bytes,
    u.quota_keys, u.quota_bytes
FROM spaces AS p JOIN users AS u ON u.id = p.user_id WHERE p.user_id = ?
"""
_FLUSHED_REVISION = "SELECT revision FROM spaces WHERE user_id = ?"


class Saving:
    """The statements of the core's BackendWriter that save."""

    db: Cursor

    def flushed_row(self) -> int:
        row: int = self.db.execute(_FLUSHED).fetchone()[0]
        return row

    def last_row(self) -> int:
        row: int = self.db.execute(_LAST_ROW).fetchone()[0]
        return row

    def lagging(self, flushed: int) -> list[Lagging]:
        found: dict[int, Lagging] = {}
        for row, user_id, revision, at, frame, op_id, fingerprint, answer, charge in self.db.execute(
            _BEHIND, (flushed,)
        ):
            receipt = None if op_id is None else Receipt(op_id, fingerprint, answer, at)
            lagging = found.get(user_id)
            if lagging is None:
                lagging = found[user_id] = Lagging((), row, [])
            lagging.writes.append(LogRecord(revision, at, frame, receipt, charge))
        for user_id, lagging in found.items():
            lagging.space = self.db.execute(_SPACE, (user_id,)).fetchone()
        return list(found.values())

    def append_log(self, spaces: Sequence[Space], last_row: int) -> int:
        rows: list[tuple[Any, ...]] = []
        for space in spaces:
            user_id = space.user_id
            for write in space.log:
                last_row += 1
                receipt = write.receipt
                remembered = _NO_RECEIPT if receipt is None else (receipt.op_id, receipt.fingerprint, receipt.answer)
                rows.append((last_row, user_id, write.revision, write.at, write.frame, *remembered, write.charge))
        execute(self.db, _save_log, rows)
        return last_row

    def save_entries(self, records: Sequence[tuple[Space, EntryState]]) -> None:
        execute(self.db, _save_entries, [(space.user_id, *astuple(record)) for space, record in records])

    def save_receipts(self, receipts: Sequence[tuple[Space, Receipt]]) -> None:
        rows = []
        for space, receipt in receipts:
            if not receipt.stored:
                rows.append((space.user_id, receipt.op_id, receipt.fingerprint, receipt.answer, receipt.at))
                receipt.stored = True
        execute(self.db, _save_receipts, rows)

    def save_spaces(self, spaces: Sequence[Space]) -> None:
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
        execute(self.db, _save_spaces, rows)

    def save_flushed_row(self, row: int) -> None:
        self.db.execute(_SAVE_FLUSHED, (row,))

    def add_receipt_bytes(self, user_id: int, size: int) -> None:
        self.db.execute(_ADD_RECEIPT_BYTES, (size, user_id))

    def flushed_revision(self, user_id: int) -> int:
        revision: int = self.db.execute(_FLUSHED_REVISION, (user_id,)).fetchone()[0]
        return revision

    def trim_history(self, user_id: int, after: int, until: int, wanted: int) -> TrimReport | None:
        done = trim.trim(self.db, user_id, after, until, wanted)
        if done is not None and done.rows:
            vacuum.mark_due(self.db, vacuum.BY_TRIM)
        return done
