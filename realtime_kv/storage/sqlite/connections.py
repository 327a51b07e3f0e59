"""SQLite connections, opened so that "acknowledged" means "on disk"."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

BUSY_SECONDS = 10
SHORTEN_MILLISECONDS = 250
CACHE_KIB = 64 * 1024
CHECKPOINT_PAGES = 4096
# a write-ahead log that has grown beyond this is truncated to it once it restarts from the beginning
WAL_LIMIT_BYTES = 2 * CHECKPOINT_PAGES * 4096


class Cursor(Protocol):
    """The methods of a database driver's cursor that the statements need; its connection has them as well."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any: ...


# what a statement raises, by the driver or through SQLAlchemy
ERRORS = (sqlite3.Error, DBAPIError)
VERSION = sqlite3.sqlite_version


class NotDurable(RuntimeError):
    """The database did not accept the settings that an acknowledgement relies on."""


# One connection for each thread that needs one, held as long as the thread lives: a pool would add nothing but locks,
# for which threads would contend.
ENGINE_OPTIONS: dict[str, Any] = {
    "poolclass": NullPool,
    # a logged error names the statement that failed, but not users' values and hashes
    "hide_parameters": True,
    "connect_args": {"check_same_thread": False, "cached_statements": 512},
}


def url(file: Path) -> URL:
    """Return the URL of a database file; its path may hold any characters."""
    return URL.create("sqlite", database=str(file))


def open_engine(file: Path) -> Engine:
    """Return a prepared engine for the database in `file`."""
    engine = create_engine(url(file), **ENGINE_OPTIONS)
    prepare(engine)
    return engine


def prepare(engine: Engine) -> None:
    """Make every connection of `engine` durable, with explicit transactions."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # no implicit BEGIN: the code that writes starts each transaction
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        # a deleted value is overwritten, not only unlinked
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def writing(engine: Engine, checkpoint_pages: int = CHECKPOINT_PAGES) -> Connection:
    """Open the one writing connection. Raises NotDurable unless it reads back `WAL` and `FULL`.

    It checkpoints by itself after `checkpoint_pages`; never, if that is 0.
    """
    connection = engine.connect()
    cursor = driver(connection).cursor()
    # the pages of a busy hour stay in the cache, and are written back once for many commits
    cursor.execute(f"PRAGMA cache_size={-CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
    cursor.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
    journal, synchronous = (cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
    cursor.close()
    if (journal, synchronous) != ("wal", 2):
        raise NotDurable(
            f"The database runs with journal_mode={journal} and synchronous={synchronous}, not with WAL and FULL: "
            "keep the data folder on a local disk."
        )
    return connection


def reading(engine: Engine) -> Connection:
    """Open a connection that cannot write; checkpoints are not its work either."""
    connection = engine.connect()
    cursor = driver(connection).cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()
    return connection


def shorten_log(cursor: Cursor) -> None:
    """Restart the write-ahead log from its beginning, which overlapping readers would put off for ever.

    Waits a moment for readers that still use it. Call it outside a transaction.
    """
    cursor.execute(f"PRAGMA busy_timeout={SHORTEN_MILLISECONDS}")
    try:
        cursor.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def driver(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection: the statements of the hot path use it directly."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def error_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code of an error of the driver or of SQLAlchemy; None for any other error.

    Extended codes keep the primary one in their lowest byte.
    """
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
