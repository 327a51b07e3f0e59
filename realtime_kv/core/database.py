"""The SQLite file, opened so that "acknowledged" means "on disk"."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

BUSY_SECONDS = 10
SHORTEN_MILLISECONDS = 250
CACHE_KIB = 64 * 1024
CHECKPOINT_PAGES = 4096
# a write-ahead log that has grown beyond this is cut to it once it starts again from the beginning
WAL_LIMIT_BYTES = 2 * CHECKPOINT_PAGES * 4096


class Cursor(Protocol):
    """What the statements need of a database driver's cursor; its connection has it as well."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any: ...


class NotDurable(RuntimeError):
    """The database did not take the settings that an acknowledgement relies on."""


# One connection for each thread that needs one, held as long as the thread lives: a pool has nothing to add,
# and its locks would be one more thing for threads to meet at.
ENGINE_OPTIONS: dict[str, Any] = {
    "poolclass": NullPool,
    # an error that is logged says which statement failed, and not with whose values and hashes
    "hide_parameters": True,
    "connect_args": {"check_same_thread": False, "cached_statements": 512},
}


def url(file: Path) -> URL:
    """The address of a database file, whatever characters its path holds."""
    return URL.create("sqlite", database=str(file))


def open_engine(file: Path) -> Engine:
    """An engine for the database in `file`, prepared."""
    engine = create_engine(url(file), **ENGINE_OPTIONS)
    prepare(engine)
    return engine


def prepare(engine: Engine) -> None:
    """Make every connection of `engine` durable, and let transactions be begun by hand."""

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # no implicit BEGIN: whoever writes says when a transaction starts
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


def writing(engine: Engine) -> Connection:
    """The one writing connection. Raises NotDurable unless it reads back `WAL` and `FULL`."""
    connection = engine.connect()
    cursor = driver(connection).cursor()
    # the pages of a busy hour stay at hand, and are written back once for many commits
    cursor.execute(f"PRAGMA cache_size={-CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
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
    """A connection that cannot write; checkpoints, too, are the writer's alone."""
    connection = engine.connect()
    cursor = driver(connection).cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()
    return connection


def shorten_log(cursor: Cursor) -> None:
    """Let the write-ahead log start again from its beginning, which readers that overlap would put off for ever.

    Waits a moment for those that still read from it. Outside a transaction.
    """
    cursor.execute(f"PRAGMA busy_timeout={SHORTEN_MILLISECONDS}")
    try:
        cursor.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection: the statements of the hot path go straight to it."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def error_code(error: BaseException) -> int | None:
    """SQLite's primary result code of an error of the driver or of SQLAlchemy; None for any other error.

    Extended codes keep the primary one in their lowest byte.
    """
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
