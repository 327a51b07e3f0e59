"""Data lock: one process at a time for a data folder, and for the database file, wherever that is.

The database file's lock is a file beside it, under its real name, because two data folders may use one file. The
database itself is never opened here, because closing it would drop the locks that SQLite holds on it in this process.
"""

import fcntl
import io
import os
from contextlib import ExitStack
from pathlib import Path

from realtime_kv.config import Config

# written at the first start; names the database file that must exist from then on
MARKER = "initialized"


class StartupError(Exception):
    """The server cannot start; the message says what to do."""


def lock_data(config: Config) -> ExitStack:
    """Lock the data folder and the database file until the returned stack is closed. Raises CannotServe."""
    with ExitStack() as held:
        folder = config.data_dir
        held.enter_context(
            _lock(
                "data folder",
                folder,
                "lock",
                f"already uses the data folder {folder}. "
                "Stop it first, or choose another folder with --data-dir (RKV_DATA_DIR).",
            )
        )
        if config.postgres_url is not None:
            # the writer's connection locks the database (storage/postgres/writer.py)
            return held.pop_all()
        file = config.database_path.resolve()
        if file.exists() and file.stat().st_nlink > 1:
            raise StartupError(
                f"The database {file} has more than one name (a hard link), and could be opened under both at once, "
                "which damages it. Make the other one a copy instead."
            )
        held.enter_context(
            _lock(
                "folder of the database",
                file.parent,
                f"{file.name}.lock",
                f"already uses the database {file}, with another data folder. "
                "Stop it first, or choose another file (RKV_DATABASE_URL).",
            )
        )
        return held.pop_all()


def require_database(config: Config) -> None:
    """Raise CannotServe if the database is missing or empty in a data folder that held data."""
    file, marker = config.database_path, config.data_dir / MARKER
    if config.postgres_url is not None:
        # nothing here says whether a database server has lost its data
        return
    if not marker.exists() or (file.exists() and file.stat().st_size):
        return
    state = "is empty" if file.exists() else "is missing"
    raise StartupError(
        f"The database {file} {state}, although this data folder held data. "
        f"Restore a backup: python3 run.py restore FILE --data-dir {config.data_dir}. "
        f"To start with an empty database, remove {marker} first."
    )


def mark(config: Config) -> None:
    """Write the marker that the data folder holds data from now on."""
    marker = config.data_dir / MARKER
    if marker.exists() or config.postgres_url is not None:
        return
    with marker.open("w") as file:
        file.write(f"The data of this folder is in {config.database_path}.\n")
        file.write("Without this file, a missing database is created again.\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(config.data_dir)


def _lock(what: str, folder: Path, name: str, otherwise: str) -> io.TextIOWrapper:
    try:
        _make_folder(folder)
        lock = (folder / name).open("a+")
    except OSError as error:
        raise StartupError(f"Cannot use the {what} {folder}: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StartupError(f"Another server (process {holder}) {otherwise}") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        # a new folder is durable only once its parent is synced: otherwise a power failure could remove all of it
        _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
