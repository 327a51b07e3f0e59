"""Base of maintenance in small steps, between which other writes run; never on the event loop's thread."""

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.store import Store
from realtime_kv.storage.sqlite import connection as database

T = TypeVar("T")

# maximum that one step reads, and that it changes: a few milliseconds during which all writes wait
LOOK_ROWS = 4096
STEP_ROWS = 512
STEP_BYTES = 4 * 1024 * 1024
LOW_STEP_BYTES = 256 * 1024


class StepwiseJob:
    """Runs steps on one store, and waits for each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def _step_bytes(self) -> int:
        """The bytes that one step changes at most; few on a full disk, where the write-ahead log can hardly grow."""
        return LOW_STEP_BYTES if self._store.reserve.is_low else STEP_BYTES

    def _write(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn(connection, …)` in a transaction of its own."""
        return self._wait(self._store.writer.run(lambda connection: fn(database.driver(connection), *args)))

    def _look(self, fn: Callable[..., T], *args: Any) -> T:
        """Run `fn(connection, …)` with a read-only connection."""
        return self._wait(self._store.readers.submit(lambda connection: fn(database.driver(connection), *args)))

    def _read(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        return self._look(_rows, sql, parameters or {})

    def _wait(self, future: Future[T]) -> T:
        return self._store.runtime.wait(future)


def _rows(db: sqlite3.Connection, sql: str, parameters: dict[str, Any]) -> list[Any]:
    return db.execute(sql, parameters).fetchall()
