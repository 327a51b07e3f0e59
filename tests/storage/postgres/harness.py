"""PostgreSQL for the tests of the store: a server for the test session, and a copy of a template for each database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from realtime_kv.core.store import Store
from realtime_kv.storage import paging
from realtime_kv.storage.postgres import connections, expressions, history, reads
from realtime_kv.storage.postgres.backend import PostgresBackend
from tests.storage.postgres.cluster import Cluster

_HISTORY = """
SELECT coalesce(sum(charge), 0)::bigint FROM log WHERE user_id = :user
    AND revision > (SELECT trimmed FROM spaces WHERE user_id = :user)
"""
_RECEIPTS = f"SELECT coalesce(sum({expressions.RECEIPT_CHARGE}), 0) FROM receipts WHERE user_id = :user"
_TRASH = (
    f"SELECT coalesce(sum({expressions.trash_charge()}), 0) FROM entries "
    "WHERE user_id = :user AND deleted_at IS NOT NULL"
)

_STEPS = {
    "look_rows": (paging, "LOOK_ROWS"),
    "slice_rows": (paging, "SLICE_ROWS"),
    "first_slice_rows": (paging, "FIRST_SLICE_ROWS"),
    "sync_rows": (reads, "SYNC_ROWS"),
    "few_rows": (reads, "FEW_ROWS"),
    "page_bytes": (reads, "PAGE_BYTES"),
    "history_rows": (history, "STEP_ROWS"),
    "history_few_rows": (history, "FEW_ROWS"),
}


class PostgresDatabase:
    """One database of a cluster."""

    rejection = psycopg.errors.RaiseException

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.url = cluster.create()
        self.engine: Engine = connections.open_engine(self.url)

    def open(self) -> PostgresBackend:
        return PostgresBackend(self.engine)

    def abandon(self, store: Store) -> None:
        """Do nothing: everything that the store has acknowledged is in the tables."""

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def execute(self, sql: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), parameters)

    def frames(self) -> list[str]:
        return [frame for (frame,) in self.rows("SELECT frame FROM log ORDER BY at, revision")]

    def counted_bytes(self, user_id: int) -> tuple[int, int, int]:
        history, receipts, trash = (self.rows(sql, user=user_id)[0][0] for sql in (_HISTORY, _RECEIPTS, _TRASH))
        return history, receipts, trash

    def find_bytes(self, needles: list[str]) -> list[str]:
        # pages and the write-ahead log keep removed bytes for a while: only what statements can see is promised
        tables = [name for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        content = "\n".join(str(row) for table in tables for (row,) in self.rows(f"SELECT t::text FROM {table} AS t"))
        return [needle for needle in needles if needle in content]

    @contextmanager
    def refuse_writes(self, store: Store) -> Iterator[None]:
        db = store.writer._transactions.db.db
        db.execute("SET default_transaction_read_only = on")
        try:
            yield
        finally:
            db.execute("SET default_transaction_read_only = off")

    @contextmanager
    def fill_disk(self, store: Store) -> Iterator[None]:
        # the server's own error for a full disk, raised where it would be
        self.execute(
            """
            CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$
            """
        )
        self.execute(
            "CREATE TRIGGER disk_is_full BEFORE INSERT ON log FOR EACH ROW WHEN (length(new.frame) > 4096) "
            "EXECUTE FUNCTION disk_is_full()"
        )
        try:
            yield
        finally:
            self.execute("DROP TRIGGER disk_is_full ON log")
            self.execute("DROP FUNCTION disk_is_full")

    def reject_frames(self, text: str) -> None:
        quoted = text.replace("'", "''")
        self.execute(
            "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
        )
        self.execute(
            f"CREATE TRIGGER picky BEFORE INSERT ON log FOR EACH ROW WHEN (strpos(new.frame, '{quoted}') > 0) "
            "EXECUTE FUNCTION picky()"
        )

    def close(self) -> None:
        self.engine.dispose()
        self._cluster.drop(self.url)


class PostgresHarness:
    """The harness of tests/core/backends.py."""

    def __init__(self) -> None:
        self.cluster = Cluster()

    def create(self, folder: Path) -> PostgresDatabase:
        return PostgresDatabase(self.cluster)

    def set_steps(self, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
        for name, size in sizes.items():
            monkeypatch.setattr(*_STEPS[name], size)

    def close(self) -> None:
        self.cluster.close()
