"""VACUUM: rewrites the file, so that no byte of removed data is left in it, and records that this is due.

`meta.vacuum_due` is written in the transaction that removes data and deleted once the file has been rewritten, so a
VACUUM that failed or was interrupted is repeated.
"""

import os
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from realtime_kv.storage.sqlite.connections import WAL_LIMIT_BYTES, Cursor

# the cause of a removal: a purge, or the writer that trims a history
BY_PURGE = "purge"
BY_TRIM = "trim"

_MARK = """
INSERT INTO meta (name, value) VALUES ('vacuum_due', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value = 'purge' AND value <> 'purge'
"""
_DUE = "SELECT value FROM meta WHERE name = 'vacuum_due'"
_DONE = "DELETE FROM meta WHERE name = 'vacuum_due'"


@dataclass(frozen=True)
class FileSize:
    """The pages of the database file in bytes: all of them, and those that are free for reuse."""

    total: int
    free: int

    @property
    def live(self) -> int:
        """The bytes that VACUUM writes: to a temporary file, and to the write-ahead log."""
        return self.total - self.free


def needed(live: int, folder: Path) -> int:
    """Return the bytes that must be free in `folder`, the database's, for a VACUUM of this much live data.

    VACUUM writes to a temporary file first, which may be on the same disk; then to the write-ahead log.
    """
    return live * (2 if _holds_temporary_files(folder) else 1) + WAL_LIMIT_BYTES


@cache
def _holds_temporary_files(folder: Path) -> bool:
    # the places where SQLite looks (sqlite.org/tempfiles.html), in its order
    for name in (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp"):  # noqa: S108
        if name and Path(name).is_dir() and os.access(name, os.W_OK | os.X_OK):
            return Path(name).stat().st_dev == folder.stat().st_dev
    return True


def mark_due(db: Cursor, by: str = BY_PURGE) -> None:
    """Note, in the transaction that removes data, that the file has to be rewritten."""
    db.execute(_MARK, (by,))


def due(db: Cursor) -> str | None:
    """Return the reason for which the file has to be rewritten: `purge`, `trim`, or none (None)."""
    row = db.execute(_DUE).fetchone()
    return None if row is None else str(row[0])


def file_size(db: Cursor) -> FileSize:
    """Return the size of the file."""
    page_count, free_pages, page_size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return FileSize(page_count * page_size, free_pages * page_size)


def vacuum(db: sqlite3.Connection) -> bool:
    """Rewrite the file; return whether the write-ahead log is empty as well, and so no VACUUM is due any more."""
    db.execute("VACUUM")
    if not empty_log(db):
        return False
    db.execute(_DONE)
    return True


def empty_log(db: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file and truncate it; return False while a reader uses it."""
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
