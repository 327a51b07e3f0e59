"""Writer's connection: groups of writes in two round trips, everything else through the driver's cursors.

Invariants:
1. A transaction begins with the first statement of a group, and its results are sent together with COMMIT.
2. After an error whose outcome is unknown the connection is closed; the next transaction opens another one.
"""

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine

from realtime_kv.core.domain.disk_space import AMPLE, DiskSpace
from realtime_kv.core.domain.space import Receipt, Space
from realtime_kv.core.statements import TrimReport
from realtime_kv.core.writers import GroupRows, GroupWants
from realtime_kv.storage.postgres import connections, group, history_index, trim
from realtime_kv.storage.postgres.pipeline import BEGIN, COMMIT, Call, Pipeline
from realtime_kv.storage.postgres.plan_reads import PlanReads

log = logging.getLogger(__name__)

T = TypeVar("T")

# one server process for a database, so far: the number of the advisory lock that it holds
PROCESS_LOCK = 0x726B_7600_0000_0001
# the server notices late that the connection of a process that was killed is gone
LOCK_SECONDS = 10.0
_BEGIN, _COMMIT = Call(BEGIN), Call(COMMIT)


class InUse(psycopg.OperationalError):
    """Another server process uses the database."""


class PostgresWriter(PlanReads):
    """The core's WriteThroughWriter; `sql` is SQLAlchemy's connection, `db` the driver's."""

    def __init__(self, engine: Engine, *, alone: bool) -> None:
        """With `alone`, no other process may write. Raises InUse."""
        self._alone = alone
        self.sql: Connection = engine.connect()
        self._connected: psycopg.Connection | None = None
        self._pipeline: Pipeline
        self._save: Call | None = None
        _ = self.db

    @property
    def db(self) -> psycopg.Connection:
        db = connections.driver(self.sql)
        if db is not self._connected:
            if self._connected is not None:
                log.warning("the connection to the database was lost, and is open again")
            if self._alone:
                _acquire(db)
            _warn_of_settings(db)
            self._pipeline = Pipeline(db, (BEGIN, COMMIT, *group.STATEMENTS))
            self._connected = db
        return db

    def begin(self) -> None:
        self._save = None

    def load_group(self, wants: GroupWants) -> GroupRows:
        calls = group.loading(wants)
        if connections.is_in_transaction(self.db):
            return group.loaded(calls, self._pipeline.run(calls))
        return group.loaded(calls, self._pipeline.run([_BEGIN, *calls])[1:])

    def save_group(self, spaces: Sequence[Space], receipts: Sequence[tuple[Space, Receipt]]) -> None:
        self._save = group.saving(spaces, receipts)

    def commit(self) -> None:
        save, self._save = self._save, None
        if save is not None:
            self._pipeline.run([save, _COMMIT])
        elif self._connected is not None and connections.is_in_transaction(self._connected):
            self._pipeline.run([_COMMIT])

    def roll_back(self) -> None:
        self._save = None
        db = self._connected
        if db is None or db.closed or not connections.is_in_transaction(db):
            return
        try:
            db.execute("ROLLBACK")
        except psycopg.Error:
            # the server rolls back what a lost connection leaves
            db.close()

    def after_commit(self) -> None:
        """Do nothing: PostgreSQL makes its checkpoints itself."""

    @contextmanager
    def sql_transaction(self) -> Generator[Connection]:
        _ = self.db
        with self.sql.begin():
            yield self.sql

    def maintain(self, fn: Callable[[Any], T]) -> T:
        return fn(self.db)

    def measure_disk(self) -> DiskSpace:
        return AMPLE

    def trim_history(self, user_id: int, after: int, until: int, wanted: int) -> TrimReport | None:
        with self.db.transaction():
            return trim.trim(self.db, user_id, after, until, wanted)

    def index_history(self, user_id: int) -> bool:
        with self.db.transaction():
            return history_index.step(self.db, user_id) is None

    def close(self) -> None:
        self.sql.close()


def _warn_of_settings(db: psycopg.Connection) -> None:
    """Log settings of the server with which an acknowledged write may be lost."""
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        row = db.execute("SELECT current_setting(%s)", (name,)).fetchone()
        if row == ("off",):
            log.warning("PostgreSQL runs with %s = off: acknowledged writes may be lost in a crash", name)


def _acquire(db: psycopg.Connection) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while not db.execute("SELECT pg_try_advisory_lock(%s)", (PROCESS_LOCK,)).fetchone()[0]:  # type: ignore[index]
        if time.monotonic() > end:
            db.close()
            raise InUse("Another server process uses this database; stop it first.")
        time.sleep(0.2)
