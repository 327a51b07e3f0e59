"""Backups of the whole data set: copied while it is written to, and restored in its place.

A backup is SQLite's online backup in one step: one in several steps starts again with every write, and never ends. A
copy is one file, checked, and readable by its owner only; it gets its name once it is complete and on the disk.
"""

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from realtime_kv.errors import BadRequest
from realtime_kv.storage.sqlite.files.disk_reserve import is_disk_full


class InvalidBackup(BadRequest):
    """A file that cannot be restored, or written to; the message gives the reason."""


def copy_file(source: Path, target: Path) -> int:
    """Copy the data set in `source`, which may be in use, to the file `target`; return the bytes. May take long."""
    with closing(connect(source)) as db:
        return copy(db, target)


def copy(db: sqlite3.Connection, target: Path) -> int:
    """Copy the data set of this connection to the file `target`, replacing it; return the number of bytes."""
    with draft(target) as path:
        _fill(db, path)
        _sync(path)
        size = path.stat().st_size
        path.replace(target)
    _sync(target.parent)
    return size


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Create a file beside `target`, readable by its owner only, and remove it at the end."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield path
    finally:
        for leftover in (path, *(Path(f"{path}{end}") for end in ("-journal", "-wal", "-shm"))):
            leftover.unlink(missing_ok=True)


def fetch(file: Path, target: Path) -> None:
    """Copy a file that is to be restored to `target`; the file itself is not touched. Raises Unusable."""
    if not file.is_file():
        raise InvalidBackup(f"There is no file {file}; `restore` needs one that `backup` has made.")
    # a backup has no files beside it, and none may be created there
    alone = not Path(f"{file}-wal").exists()
    try:
        with closing(connect(file, "&immutable=1" if alone else "")) as db:
            _fill(db, target)
    except (sqlite3.Error, OSError) as error:
        if is_full(error):
            raise
        raise InvalidBackup(f"{file} is not a complete backup ({error}); choose another one.") from None


def is_full(error: BaseException) -> bool:
    """Return whether writing failed because the disk is full or accepts no data for another reason."""
    if is_disk_full(error):
        return True
    if isinstance(error, OSError):
        return error.errno in {errno.EDQUOT, errno.EFBIG}
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code in {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE}


def connect(file: Path, options: str = "") -> sqlite3.Connection:
    """Open a read-only connection."""
    uri = f"{file.absolute().as_uri()}?mode=ro{options}"
    db = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
    db.isolation_level = None
    return db


def replace(db: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """Replace the data set that `db` is connected to with the one in `copy`, in one transaction."""
    copy.backup(db)
    # the replaced data must not remain in the write-ahead log
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill(db: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path, check_same_thread=False)) as target:
        db.backup(target)
        target.isolation_level = None
        # one file, with nothing beside it
        target.execute("PRAGMA journal_mode=DELETE")
        found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
