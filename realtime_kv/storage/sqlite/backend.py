"""SQLite as the store's database: one file, which only this process writes to."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.backend import Fault
from realtime_kv.storage import meta
from realtime_kv.storage.sqlite import connections, reads
from realtime_kv.storage.sqlite.files import vacuum
from realtime_kv.storage.sqlite.files.disk_reserve import DiskReserve
from realtime_kv.storage.sqlite.reader import SqliteReader
from realtime_kv.storage.sqlite.retention import Retention
from realtime_kv.storage.sqlite.writer import SqliteWriter

_FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.TRANSIENT,
    sqlite3.SQLITE_CANTOPEN: Fault.TRANSIENT,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_IOERR: Fault.IO_ERROR,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}


_NEWEST = """
SELECT max(coalesce((SELECT at FROM log ORDER BY id DESC LIMIT 1), 0),
    coalesce((SELECT at FROM audit ORDER BY id DESC LIMIT 1), 0))
"""


class SqliteBackend:
    """The core's Backend."""

    exclusive = True
    product = ("SQLite", connections.VERSION)

    def __init__(self, engine: Engine, disk_reserve: int | None = None) -> None:
        """`disk_reserve` in bytes, None for the default, 0 for none."""
        self._engine = engine
        self.file = Path(str(engine.url.database))
        self.reserve = DiskReserve(self.file, disk_reserve)
        self.compaction = SqliteCompaction(self.reserve.folder)

    def epoch(self) -> str:
        with self._engine.connect() as connection:
            return reads.epoch_of(connections.driver(connection))

    def open_reader(self) -> SqliteReader:
        return SqliteReader(self._engine)

    def open_writer(self, runtime: Runtime, on_fatal: Callable[[BaseException], None]) -> SqliteWriter:
        return SqliteWriter(self._engine, self.reserve, runtime, on_fatal)

    def read_meta(self, name: str) -> str | None:
        with self._engine.connect() as connection:
            return meta.read(connection, name)

    def write_meta(self, connection: Connection, name: str, value: str) -> None:
        meta.write(connection, name, value)

    def newest_time(self) -> int:
        with self._engine.connect() as connection:
            at: int = connections.driver(connection).execute(_NEWEST).fetchone()[0]
            return at

    def retention(self, connection: Connection) -> Retention:
        return Retention(connections.driver(connection))

    def fault(self, error: BaseException) -> Fault | None:
        code = connections.error_code(error)
        return None if code is None else _FAULTS.get(code)


class SqliteCompaction:
    """The core's Compaction: VACUUM of the database in this folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rewrite(self, db: sqlite3.Connection) -> bool:
        return vacuum.vacuum(db)

    def empty_log(self, db: sqlite3.Connection) -> bool:
        return vacuum.empty_log(db)

    def mark_due(self, connection: Connection) -> None:
        vacuum.mark_due(connections.driver(connection))

    def needs(self, live_bytes: int) -> int:
        return vacuum.needed(live_bytes, self._folder)
