"""Database harnesses: what the tests of the store need of a kind of database besides `core/backend.py`.

The tests in tests/core state what the store promises on any database. They run once for each harness in `BACKENDS`;
`pytest tests/core --backend=sqlite` selects one. They open the store through the backend interface, and look at stored
rows only through a `Database`, with SQL that every database understands: the tables of storage/models.py and named
parameters. Tests of a database's own files, settings and statements stand in tests/storage/.

A new backend provides in tests/storage/<name>/harness.py:

1. A `Harness`, which is made once per test session and may start a server of its own.
2. Databases that are independent of each other and quick to make: most tests use one of their own.
3. A second backend on the same database while the first one is still open: tests of crashes reopen a store without
   stopping it. What `abandon` leaves must never be written later.
4. The faults below, raised by the database itself and not by replaced methods of the store.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine

from realtime_kv.core.backend import Backend
from realtime_kv.core.store import Store
from tests.storage.postgres.harness import PostgresHarness
from tests.storage.sqlite.harness import SqliteHarness


class Database(Protocol):
    """One database with the current schema."""

    # for the tables of accounts, and for raw rows
    engine: Engine
    # raised to the writer of a write that `reject_frames` rejects
    rejection: type[Exception]

    def open(self) -> Backend:
        """Return a backend on this database."""

    def abandon(self, store: Store) -> None:
        """Leave `store` as a crash would: what only its memory holds is lost. The store may still be stopped."""

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return committed rows, read over another connection than the store's."""

    def execute(self, sql: str, **parameters: Any) -> None:
        """Change rows behind the back of the store, which must be stopped or must read them anew."""

    def frames(self) -> list[str]:
        """Return the committed writes as JSON, the oldest first."""

    def counted_bytes(self, user_id: int) -> tuple[int, int, int]:
        """Return the charges of the stored rows of a user: of the history, the receipts and the trash."""

    def find_bytes(self, needles: list[str]) -> list[str]:
        """Return those of `needles` (from `services.secret`) that are left in anything that the database stores."""

    def refuse_writes(self, store: Store) -> AbstractContextManager[None]:
        """Make every transaction of the store that writes fail, as a database that is read-only does."""

    def fill_disk(self, store: Store) -> AbstractContextManager[None]:
        """Make writes of more than a few kilobytes fail, as a full disk does."""

    def reject_frames(self, text: str) -> None:
        """Make the database reject every write whose frame contains `text`."""

    def close(self) -> None:
        """Release the database."""


class Harness(Protocol):
    """A kind of database."""

    def create(self, folder: Path) -> Database:
        """Create a database; one that lives in files is in `folder`."""

    def set_steps(self, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> None:
        """Make the steps of long reads small, so that short data takes many steps; unknown names are ignored.

        `look_rows`, `slice_rows`, `first_slice_rows`: of a page; `sync_rows`, `few_rows`, `page_bytes`: of a sync;
        `history_rows`, `history_few_rows`: of a history under a prefix.
        """

    def close(self) -> None:
        """Release what belongs to the test session."""


BACKENDS: dict[str, Callable[[pytest.TempPathFactory], Harness]] = {
    "sqlite": lambda _: SqliteHarness(),
    "postgres": lambda _: PostgresHarness(),
}
