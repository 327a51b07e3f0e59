"""SQLite for the tests of the store: one file for each database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from realtime_kv.core.store import Store
from realtime_kv.storage import paging
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.sqlite import connections, expressions, history, reads
from realtime_kv.storage.sqlite.backend import SqliteBackend

_HISTORY = f"""
SELECT coalesce(sum({expressions.LOG_CHARGE}), 0) FROM log WHERE user_id = :user
    AND revision > (SELECT trimmed FROM spaces WHERE user_id = :user)
"""
_RECEIPTS = f"SELECT coalesce(sum({expressions.RECEIPT_CHARGE}), 0) FROM receipts WHERE user_id = :user"
_TRASH = (
    f"SELECT coalesce(sum({expressions.TRASH_CHARGE}), 0) FROM entries WHERE user_id = :user AND deleted_at IS NOT NULL"
)

_STEPS = {
    "look_rows": (paging, "LOOK_ROWS"),
    "slice_rows": (paging, "SLICE_ROWS"),
    "first_slice_rows": (paging, "FIRST_SLICE_ROWS"),
    "sync_rows": (reads, "_SYNC_ROWS"),
    "few_rows": (reads, "FEW_ROWS"),
    "page_bytes": (reads, "PAGE_BYTES"),
    "history_rows": (history, "_STEP_ROWS"),
    "history_few_rows": (history, "_FEW_ROWS"),
}


class SqliteDatabase:
    """The database `kv.db` in a folder."""

    rejection = sqlite3.IntegrityError

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "kv.db"
        self.engine: Engine = connections.open_engine(self.file)
        migrations.upgrade(self.engine)

    def open(self) -> SqliteBackend:
        return SqliteBackend(self.engine)

    def abandon(self, store: Store) -> None:
        # nothing is left to flush when it is stopped
        store._memtable.ahead.clear()

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]

    def execute(self, sql: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), parameters)

    def frames(self) -> list[str]:
        return [frame for (frame,) in self.rows("SELECT CAST(frame AS TEXT) FROM log ORDER BY id")]

    def counted_bytes(self, user_id: int) -> tuple[int, int, int]:
        history, receipts, trash = (self.rows(sql, user=user_id)[0][0] for sql in (_HISTORY, _RECEIPTS, _TRASH))
        return history, receipts, trash

    def find_bytes(self, needles: list[str]) -> list[str]:
        return on_disk(self.folder, needles)

    @contextmanager
    def refuse_writes(self, store: Store) -> Iterator[None]:
        db = store.writer._db.db
        db.execute("PRAGMA query_only=ON")
        try:
            yield
        finally:
            db.execute("PRAGMA query_only=OFF")

    @contextmanager
    def fill_disk(self, store: Store) -> Iterator[None]:
        db = connections.driver(store.writer._db.sql)
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={pages}")
        try:
            yield
        finally:
            db.execute("PRAGMA max_page_count=1000000")

    def reject_frames(self, text: str) -> None:
        quoted = text.replace("'", "''")
        self.execute(
            f"CREATE TRIGGER picky BEFORE INSERT ON log WHEN instr(new.frame, '{quoted}') "
            "BEGIN SELECT raise(ABORT, 'no'); END"
        )

    def close(self) -> None:
        self.engine.dispose()


class SqliteHarness:
    """The harness of tests/core/backends.py."""

    def create(self, folder: Path) -> SqliteDatabase:
        return SqliteDatabase(folder)

    def set_steps(self, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
        for name, size in sizes.items():
            monkeypatch.setattr(*_STEPS[name], size)

    def close(self) -> None:
        pass


def rows(store: Store, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement of SQLite's in the writer, with the tables up to date, and return its rows."""
    return store.runtime.wait(
        store.writer.run_in_transaction(lambda db: [tuple(row) for row in db.exec_driver_sql(sql, parameters)]), 10
    )


def on_disk(folder: Path, needles: list[str]) -> list[str]:
    """Return those of `needles` of which a run of bytes is in any file of the folder."""
    content = b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
    # 48 random bits do not occur by chance, and one half of a value split between two pages has at least that many
    found = {content[at : at + 12] for at in range(len(content))}
    pieces = {needle: needle.removeprefix("gone").removeprefix("kept").encode() for needle in needles}
    return [
        needle for needle, text in pieces.items() if any(text[at : at + 12] in found for at in range(len(text) - 11))
    ]
