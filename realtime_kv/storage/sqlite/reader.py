"""Reader: a connection that cannot write, for one of the reading threads."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from realtime_kv.core.backend import ExportFormat, Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import Bookmark, HistoryPage, ListPage, SyncPage, TrashPage
from realtime_kv.storage import history_pages, sync_pages
from realtime_kv.storage.sqlite import connections, history, reads, transfer
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.loading import Loading
from realtime_kv.storage.sqlite.plan_reads import PlanReads
from realtime_kv.storage.sqlite.retention import Retention
from realtime_kv.storage.sync_pages import SyncPosition


class SqliteReader(Loading, PlanReads):
    """The core's BackendReader; `sql` is SQLAlchemy's connection, `db` the driver's."""

    def __init__(self, engine: Engine) -> None:
        self.sql: Connection = connections.reading(engine)
        self._connection = connections.driver(self.sql)
        self.db: Cursor = self._connection
        self.retention = Retention(self.db)

    def new_cursor(self) -> sqlite3.Cursor:
        return self._connection.cursor()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        with reads.ReadSnapshot(self.db):
            yield

    def epoch(self) -> str:
        return reads.epoch_of(self.db)

    def revision(self, user_id: int) -> int:
        return reads.space_of(self.db, user_id)[0]

    def list_page(
        self, cost: Cost, user_id: int, now: int, *, prefix: str, after: str | None, limit: int, values: bool
    ) -> ListPage | Unfinished:
        return reads.list_page(self.db, cost, user_id, now, prefix=prefix, after=after, limit=limit, values=values)

    def sync_page(
        self,
        cost: Cost,
        user_id: int,
        *,
        epoch: str | None,
        since: int | None,
        next: str | None,
        prefix: str | None = None,
    ) -> SyncPage | Unfinished:
        return sync_pages.sync(self, cost, user_id, epoch=epoch, since=since, next=next, prefix=prefix)

    def history_page(
        self, cost: Cost, user_id: int, *, key: str | None, before: int | None, limit: int, prefix: str | None
    ) -> HistoryPage | Unfinished:
        return history_pages.history(self, cost, user_id, key=key, before=before, limit=limit, prefix=prefix)

    def bookmark_row(self, user_id: int) -> tuple[int, int, int, int]:
        return reads.space_of(self.db, user_id)

    def writes_after(self, cost: Cost, user_id: int, at: SyncPosition, revision: int) -> tuple[int, str]:
        return reads.writes_after(self.db, cost, user_id, at, revision)

    def writes_before(
        self, cost: Cost, user_id: int, before: int, limit: int, *, key: str | None, prefix: str | None
    ) -> tuple[list[int], int | None]:
        return history.writes_before(self.db, cost, user_id, before, limit, key=key, prefix=prefix)

    def frame_bytes(self, user_id: int, revision: int) -> bytes | None:
        return history.frame_bytes(self.db, user_id, revision)

    def trash_page(
        self, cost: Cost, user_id: int, kept: int, *, prefix: str, after: str | None, limit: int
    ) -> TrashPage:
        return history.trash(self.db, cost, user_id, kept, prefix=prefix, after=after, limit=limit)

    def bookmark(self, user_id: int) -> Bookmark:
        return reads.bookmark(self.db, user_id)

    def usage(self, user_id: int) -> Usage:
        return reads.usage(self.db, user_id)

    def quota(self, user_id: int) -> tuple[int | None, int | None]:
        return reads.quota(self.db, user_id)

    def usage_under(self, cost: Cost, user_id: int, prefix: str) -> Usage | Unfinished:
        return reads.usage_under(self.db, cost, user_id, prefix)

    def measure(self, cost: Cost, user_id: int, prefix: str, now: int) -> Usage | Unfinished:
        return reads.measure(self.db, cost, user_id, prefix, now)

    def export_step(
        self, format: ExportFormat, user_id: int, now: int, after: str | None, prefix: str
    ) -> tuple[str | None, str | None, int]:
        return transfer.export_step(self.db, format, user_id, now, after, prefix)

    def compare(self, user_id: int, items: Sequence[tuple[str, str]]) -> list[tuple[int, int, int, int, int | None]]:
        return transfer.compare(self.db, user_id, items)

    def keys_under(
        self, user_id: int, now: int, after: str | None, prefix: str, rows: int
    ) -> list[tuple[str, int, int]]:
        return transfer.keys_under(self.db, user_id, now, after, prefix, rows)

    def close(self) -> None:
        self.sql.close()
