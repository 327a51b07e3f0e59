"""Database interface: what the store needs of a database. One package in `storage/` implements it for each database.

Invariants:
1. The core contains no SQL and imports no database driver: it calls the methods declared here.
2. All methods of a reader belong to one thread, and all methods of the writer to the writer's thread.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.messages import Bookmark, HistoryPage, ListPage, SyncPage, TrashPage
from realtime_kv.core.statements import LoadStatements, PlanStatements, RetentionStatements
from realtime_kv.core.writers import BackendWriter

T = TypeVar("T")

ExportFormat = Literal["json", "ndjson", "csv"]
# entries of one step of an export (8 MiB with values of 64 KiB), and of one comparison of an import
EXPORT_STEP = 128
COMPARE_STEP = 128


class Fault(Enum):
    """Kinds of errors that the database raised because of its own state, and not because of a request or a bug."""

    # busy, or not reachable for the moment
    TRANSIENT = auto()
    FULL = auto()
    READ_ONLY = auto()
    # nothing may be acknowledged any more: lost pages may look clean
    IO_ERROR = auto()
    # data written to a damaged file may never be readable again
    DAMAGED = auto()

    @property
    def is_fatal(self) -> bool:
        return self in (Fault.IO_ERROR, Fault.DAMAGED)


class Unfinished:
    """Result of a step of a read that has found nothing yet; `next_step` is the next step."""

    __slots__ = ("next_step",)

    def __init__(self, next_step: "ReadStep") -> None:
        self.next_step = next_step


# a step of a read, called with a reader and the counter of its cost
ReadStep = Callable[[Any, Cost], Any]


class BackendReader(LoadStatements, PlanStatements, Protocol):
    """A reading connection; each of the reads below sees one snapshot."""

    @property
    def sql(self) -> Connection:
        """SQLAlchemy's connection, for account reads."""

    @property
    def retention(self) -> RetentionStatements: ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all statements inside see the data at one moment."""

    def epoch(self) -> str:
        """Return the name of the data set."""

    def list_page(
        self, cost: Cost, user_id: int, now: int, *, prefix: str, after: str | None, limit: int, values: bool
    ) -> ListPage | Unfinished:
        """Return one page of the live entries whose keys start with `prefix` and follow `after`, in byte order."""

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
        """Return one page of the writes that a client lacks, in revision order (protocol §3)."""

    def history_page(
        self, cost: Cost, user_id: int, *, key: str | None, before: int | None, limit: int, prefix: str | None
    ) -> HistoryPage | Unfinished:
        """Return one page of the writes before the revision `before`, newest first."""

    def trash_page(
        self, cost: Cost, user_id: int, kept: int, *, prefix: str, after: str | None, limit: int
    ) -> TrashPage:
        """Return one page of the deleted keys under `prefix` and after `after`; `kept`: retention in milliseconds."""

    def bookmark(self, user_id: int) -> Bookmark:
        """Return the bookmark of the space."""

    def usage(self, user_id: int) -> Usage:
        """Return the totals of the user's space."""

    def quota(self, user_id: int) -> tuple[int | None, int | None]:
        """Return the keys and bytes that this user may keep; None for the default."""

    def usage_under(self, cost: Cost, user_id: int, prefix: str) -> Usage | Unfinished:
        """Return how much of the quota the keys with this prefix take."""

    def measure(self, cost: Cost, user_id: int, prefix: str, now: int) -> Usage | Unfinished:
        """Return how many live keys and bytes are under a prefix."""

    def revision(self, user_id: int) -> int:
        """Return the revision of the space."""

    def export_step(
        self, format: ExportFormat, user_id: int, now: int, after: str | None, prefix: str
    ) -> tuple[str | None, str | None, int]:
        """Return the documents of an export after the key `after`, joined; the last key; and their number, fewer than
        EXPORT_STEP at the end."""

    def compare(self, user_id: int, items: Sequence[tuple[str, str]]) -> list[tuple[int, int, int, int, int | None]]:
        """Return (index, revision, size, whether the value is equal, expiry) for those (key, value) that exist."""

    def keys_under(
        self, user_id: int, now: int, after: str | None, prefix: str, rows: int
    ) -> list[tuple[str, int, int]]:
        """Return (key, revision, size) of the next live entries."""

    def close(self) -> None:
        """Close the connection."""


class DiskReserve(Protocol):
    """Free space that has to stay free; below it, writes that add data are refused."""

    @property
    def free(self) -> int: ...
    @property
    def is_low(self) -> bool: ...

    @property
    def wanted(self) -> int: ...
    @property
    def is_near(self) -> bool: ...
    def measure(self) -> int: ...
    def check(self) -> None: ...
    def wrote(self, size: int) -> None: ...
    def metrics(self) -> dict[str, float]: ...


class Compaction(Protocol):
    """Ability to rewrite the database file, so that no byte of removed data remains."""

    def rewrite(self, db: Any) -> bool:
        """Rewrite the file; return whether the write-ahead log is empty as well. For `BackendWriter.maintain`."""

    def empty_log(self, db: Any) -> bool:
        """Move the write-ahead log into the file; return False while a reader uses it. For `BackendWriter.maintain`."""

    def mark_due(self, connection: Connection) -> None:
        """Note, in the transaction that removes data, that the file has to be rewritten."""

    def needs(self, live_bytes: int) -> int:
        """Return the bytes of free space that rewriting this much live data needs."""


class Backend(Protocol):
    """A database."""

    @property
    def exclusive(self) -> bool:
        """Whether no other process writes, so that cached rows stay valid and the tables may lag behind the log.

        `open_writer` then returns a LogFirstWriter, otherwise a WriteThroughWriter.
        """

    @property
    def reserve(self) -> DiskReserve: ...

    @property
    def product(self) -> tuple[str, str]:
        """Return the name and the version of the database software."""

    @property
    def file(self) -> Path | None:
        """The file that holds all data, which backups copy and a restore replaces; None: a server keeps the data."""

    @property
    def compaction(self) -> Compaction | None:
        """None: the database reuses the space of removed data by itself."""

    def epoch(self) -> str:
        """Return the name of the data set."""

    def open_reader(self) -> BackendReader:
        """Open a reading connection; each thread needs its own."""

    def open_writer(self, runtime: Runtime, on_fatal: Callable[[BaseException], None]) -> BackendWriter:
        """Open the writing connection."""

    def read_meta(self, name: str) -> str | None:
        """Return the named value of the data set."""

    def write_meta(self, connection: Connection, name: str, value: str) -> None:
        """Write the named value of the data set."""

    def newest_time(self) -> int:
        """Return the time of the newest write or audit log entry; 0 without one."""

    def retention(self, connection: Connection) -> RetentionStatements:
        """Return the retention statements on this connection."""

    def fault(self, error: BaseException) -> Fault | None:
        """Return the kind of an error that the database raised; None for any other error."""


def own_error(error: BaseException) -> BaseException:
    """Return the driver's error that SQLAlchemy has wrapped, or the error itself."""
    return getattr(error, "orig", None) or error
