"""Reader: a connection for one of the reading threads. It is opened again if it was lost."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import psycopg
from msgspec import Raw
from sqlalchemy import Connection, Engine

from realtime_kv.core.backend import ExportFormat, Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import Bookmark, HistoryPage, ListPage, SyncPage, TrashPage
from realtime_kv.storage import history_pages, sync_pages
from realtime_kv.storage.paging import read_page
from realtime_kv.storage.postgres import connections, history, reads, transfer
from realtime_kv.storage.postgres.loading import Loading
from realtime_kv.storage.postgres.plan_reads import PlanReads
from realtime_kv.storage.postgres.retention import Retention
from realtime_kv.storage.sync_pages import SyncPosition


class PostgresReader(Loading, PlanReads):
    """The core's BackendReader; `sql` is SQLAlchemy's connection, `db` the driver's."""

    def __init__(self, engine: Engine) -> None:
        self._sql = engine.connect()
        self._connected: psycopg.Connection | None = None
        self.retention = Retention(lambda: self.db)

    @property
    def sql(self) -> Connection:
        # opens the connection again if it was lost
        _ = self.db
        return self._sql

    @property
    def db(self) -> psycopg.Connection:
        db = connections.driver(self._sql)
        if db is not self._connected:
            db.execute("SET default_transaction_read_only = on")
            self._connected = db
        return db

    @contextmanager
    def snapshot(self) -> Generator[None]:
        db = self.db
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            if not db.closed:
                db.execute("COMMIT")

    def epoch(self) -> str:
        return reads.epoch(self.db)

    def revision(self, user_id: int) -> int:
        return reads.space_of(self.db, user_id)[0]

    def bookmark_row(self, user_id: int) -> tuple[int, int, int, int]:
        return reads.space_of(self.db, user_id)

    def list_page(
        self, cost: Cost, user_id: int, now: int, *, prefix: str, after: str | None, limit: int, values: bool
    ) -> ListPage | Unfinished:
        wanted = {**reads.range_of(user_id, prefix, after), "now": now, "values": values}
        with self.snapshot():
            page = read_page(reads.SlicedPage(self.db, reads.LIST, reads.LIST_MORE, wanted), cost, limit)
            revision = self.revision(user_id)
        if not page.shown and page.next is not None:
            # only deleted keys so far
            going_on = page.next
            return Unfinished(
                lambda reader, cost: reader.list_page(
                    cost, user_id, now, prefix=prefix, after=going_on, limit=limit, values=values
                )
            )
        return ListPage(entries=Raw(page.text), next=page.next, revision=revision)

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

    def writes_after(self, cost: Cost, user_id: int, at: SyncPosition, revision: int) -> tuple[int, str]:
        return reads.writes_after(self.db, cost, user_id, at, revision)

    def history_page(
        self, cost: Cost, user_id: int, *, key: str | None, before: int | None, limit: int, prefix: str | None
    ) -> HistoryPage | Unfinished:
        return history_pages.history(self, cost, user_id, key=key, before=before, limit=limit, prefix=prefix)

    def writes_before(
        self, cost: Cost, user_id: int, before: int, limit: int, *, key: str | None, prefix: str | None
    ) -> tuple[list[int], int | None]:
        return history.writes_before(self.db, cost, user_id, before, limit, key=key, prefix=prefix)

    def frame_bytes(self, user_id: int, revision: int) -> bytes | None:
        return history.frame_bytes(self.db, user_id, revision)

    def trash_page(
        self, cost: Cost, user_id: int, kept: int, *, prefix: str, after: str | None, limit: int
    ) -> TrashPage:
        wanted = {**reads.range_of(user_id, prefix, after), "kept": kept}
        with self.snapshot():
            page = read_page(reads.SlicedPage(self.db, history.TRASH, history.TRASH_MORE, wanted), cost, limit)
            revision = self.revision(user_id)
        return TrashPage(entries=Raw(page.text), next=page.next, revision=revision)

    def bookmark(self, user_id: int) -> Bookmark:
        with self.snapshot():
            epoch = self.epoch()
            revision, _floor, keys, digest = self.bookmark_row(user_id)
        return Bookmark(epoch=epoch, revision=revision, keys=keys, digest=digest)

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
        self._sql.close()
