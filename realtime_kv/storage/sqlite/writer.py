"""Writer's connection: the only one that writes, with the checkpointer of its write-ahead log."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.domain.disk_space import DiskSpace
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.files.checkpointer import Checkpointer
from realtime_kv.storage.sqlite.files.disk_reserve import DiskReserve
from realtime_kv.storage.sqlite.history_index import HistoryIndex
from realtime_kv.storage.sqlite.loading import Loading
from realtime_kv.storage.sqlite.plan_reads import PlanReads
from realtime_kv.storage.sqlite.saving import Saving

T = TypeVar("T")


class SqliteWriter(Loading, PlanReads, Saving):
    """The core's BackendWriter; `sql` is SQLAlchemy's connection, `db` a cursor of the driver's."""

    def __init__(
        self, engine: Engine, reserve: DiskReserve, runtime: Runtime, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._checkpointer = Checkpointer(engine, runtime, on_fatal)
        self._reserve = reserve
        reserve.checkpoint_pages = self._checkpointer.automatic_pages
        self.sql: Connection = connections.writing(engine, self._checkpointer.automatic_pages)
        self._cursor = connections.driver(self.sql).cursor()
        self.db: Cursor = self._cursor
        self.index = HistoryIndex(self.db)
        self._foreign_keys = True

    def new_cursor(self) -> sqlite3.Cursor:
        return self._cursor.connection.cursor()

    def begin(self) -> None:
        # a group writes only for users that it has just loaded, and the check doubles the cost of a row
        self._check_foreign_keys(False)
        self._cursor.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._cursor.execute("COMMIT")

    def roll_back(self) -> None:
        if self._cursor.connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def after_commit(self) -> None:
        """Do the writer's part of a checkpoint, if that is due."""
        self._checkpointer.wrote()
        if self._checkpointer.rest_is_due:
            self._checkpointer.move_rest(self.db)
        if self._reserve.log_is_long:
            with self._checkpointer.held():
                self._reserve.log_is_long = False
                connections.shorten_log(self.db)

    @contextmanager
    def sql_transaction(self) -> Generator[Connection]:
        self._check_foreign_keys(True)
        with self.sql.begin():
            yield self.sql

    def maintain(self, fn: Callable[[Any], T]) -> T:
        with self._checkpointer.held():
            return fn(self._cursor.connection)

    def measure_disk(self) -> DiskSpace:
        self._reserve.look(self.db)
        return self._reserve.room

    def close(self) -> None:
        self._checkpointer.stop()
        self._cursor.close()
        self.sql.close()

    def _check_foreign_keys(self, on: bool) -> None:
        if on != self._foreign_keys:
            self._cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
            self._foreign_keys = on
