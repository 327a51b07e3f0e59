"""Damage: detects errors of a damaged database file, and checks the file at start for a bounded time.

A file that cannot be trusted is not opened: the check raises Damaged, whose message says what to do.
"""

import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from realtime_kv.storage.sqlite import connections

log = logging.getLogger(__name__)

# maximum duration of the check at start; a large file is checked in part
CHECK_SECONDS = 2.0
_HEADER = b"SQLite format 3\x00"
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CANNOT_READ = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOMEM,
}
# instructions of SQLite's virtual machine between two questions whether to continue
_INSTRUCTIONS = 10_000


class Damaged(Exception):
    """The database is not used; the message gives the reason and says what to do."""


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite has found the file to be damaged, or to be no database."""
    return connections.error_code(error) in _DAMAGE


def may_pass(error: BaseException) -> bool:
    """Return whether an error says nothing about the file: it is in use, the disk is full, or it may not be opened."""
    if connections.error_code(error) == sqlite3.SQLITE_IOERR:
        code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
        return code not in _CANNOT_READ
    return connections.error_code(error) in _PASSING


def advice(folder: Path) -> str:
    """Return the advice for the data folder of a damaged database."""
    backups = sorted((folder / "backups").glob("backup-*.db"))
    if not backups:
        return (
            f"There is no scheduled backup in {folder / 'backups'}. Restore one of yours with: "
            f"python3 run.py restore FILE --data-dir {folder}"
        )
    return (
        "Restore the newest backup with the server stopped: "
        f"python3 run.py restore {backups[-1]} --data-dir {folder} (the damaged file is kept)."
    )


def check(file: Path, folder: Path, seconds: float = CHECK_SECONDS) -> None:
    """Check the database `file` of this data folder, for `seconds` at most. Raises Damaged.

    The check covers the header, and as much of `PRAGMA quick_check` as there is time for: it takes one table after the
    other.
    """
    if not file.exists() or not file.stat().st_size:
        return
    with file.open("rb") as opened:
        header = opened.read(100)
    if len(header) < 100 or not header.startswith(_HEADER):
        raise Damaged(f"{file} is not a SQLite database, or its beginning is damaged. {advice(folder)}")
    try:
        found = _quick_check(file, seconds)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        found = str(error)
    if found is not None:
        raise Damaged(f"The database {file} is damaged ({found}). {advice(folder)}")


def _quick_check(file: Path, seconds: float) -> str | None:
    end = time.monotonic() + seconds
    # not read-only: the write-ahead log that a crash has left is a part of the database
    with closing(sqlite3.connect(file)) as db:
        db.set_progress_handler(lambda: time.monotonic() > end, _INSTRUCTIONS)
        try:
            found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if connections.error_code(error) != sqlite3.SQLITE_INTERRUPT:
                raise
            log.info("only a part of the database was checked, because it is large")
            return None
    return None if found == "ok" else found.splitlines()[-1]
