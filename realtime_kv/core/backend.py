"""Database interface: what the store needs of a database. One package in `storage/` implements it for each database.

Invariants:
1. The core contains no SQL and imports no database driver: it calls the methods declared here.
2. All methods of a reader belong to one thread, and all methods of the writer to the writer's thread.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.disk_space import DiskSpace
from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space, Usage
from realtime_kv.core.messages import Bookmark, HistoryPage, ListPage, SyncPage, TrashPage
from realtime_kv.core.statements import LoadStatements, PlanStatements, RetentionStatements, SpaceRow, TrimReport

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


@dataclass(slots=True)
class Lagging:
    """A space whose tables lag behind the log: as the tables have it, the first log row that they lack, and those."""

    space: SpaceRow
    first_row: int
    writes: list[LogRecord]


@dataclass(slots=True)
class GroupWants:
    """The rows that a group of writes is evaluated against and that the writer does not have yet.

    `locks`: user ids, in order; `owners`: those of them whose quota is unknown; `entries` and `receipts` as in
    LoadStatements.
    """

    now: int
    locks: list[int]
    owners: list[int]
    sessions: list[int]
    entries: list[tuple[int, str, bool]]
    receipts: list[tuple[int, str]]


@dataclass(slots=True)
class GroupRows:
    """The rows found for GroupWants.

    `spaces`: (user id, revision, guard, keys, bytes, digest, trimmed, history_bytes, receipt_bytes, trash_bytes);
    `owners`: (user id, quota of keys, quota of bytes), without accounts that are being purged; `sessions`: (session id,
    end); `entries` and `receipts` as in LoadStatements.
    """

    spaces: list[tuple[Any, ...]]
    owners: list[tuple[int, int | None, int | None]]
    sessions: list[tuple[int, int]]
    entries: list[tuple[Any, ...]]
    receipts: list[tuple[int, str, str, str]]


class HistoryIndex(Protocol):
    """Index of the log by key. `row` is the last row that is indexed, `reached` includes the open transaction's."""

    @property
    def step_bytes(self) -> int: ...
    @property
    def row(self) -> int: ...
    @property
    def reached(self) -> int: ...

    def load(self) -> None:
        """Load the progress."""

    def step(self, last_row: int) -> int:
        """Index one step, at most up to `last_row`, the log's last; return the last indexed row."""

    def brief_step(self, last_row: int) -> int:
        """Like `step`, but so little that writes hardly have to wait."""

    def accept(self) -> None:
        """Keep the progress of the transaction, which is now durable."""

    def forget(self) -> None:
        """Discard the progress of the transaction, which was rolled back."""


class BackendWriter(PlanStatements, Protocol):
    """The writing connection, used by the writer's thread only."""

    def begin(self) -> None:
        """Begin the transaction of a group of writes."""

    def commit(self) -> None:
        """Make the transaction durable."""

    def roll_back(self) -> None:
        """Roll back the open transaction, if there is one."""

    def after_commit(self) -> None:
        """Do work that is due between two transactions; an error does not affect the commit."""

    def sql_transaction(self) -> AbstractContextManager[Connection]:
        """Run account work in a transaction of its own."""

    def maintain(self, fn: Callable[[Any], T]) -> T:
        """Call `fn` with the driver's connection, outside any transaction."""

    def measure_disk(self) -> DiskSpace:
        """Return the disk space for writes; it is measured again if that is due."""

    def close(self) -> None:
        """Close the connection."""

    def trim_history(self, user_id: int, after: int, until: int, wanted: int) -> TrimReport | None:
        """Remove about `wanted` bytes of history after the revision `after`; None if there is nothing to remove."""


class LogFirstWriter(BackendWriter, LoadStatements, Protocol):
    """Writer of a database that belongs to this process alone: a commit appends to the log, the tables follow."""

    @property
    def index(self) -> HistoryIndex: ...

    def flushed_row(self) -> int:
        """Return the log row up to which the tables have everything."""

    def last_row(self) -> int:
        """Return the last row of the log."""

    def lagging(self, flushed: int) -> list[Lagging]:
        """Return the spaces whose tables lack writes after the log row `flushed`."""

    def append_log(self, spaces: Sequence[Space], last_row: int) -> int:
        """Append the spaces' accepted writes after the row `last_row`; return the new last row."""

    def save_entries(self, records: Sequence[tuple[Space, EntryState]]) -> None:
        """Store entries."""

    def save_receipts(self, receipts: Sequence[tuple[Space, Receipt]]) -> None:
        """Store the receipts that the table does not have yet."""

    def save_spaces(self, spaces: Sequence[Space]) -> None:
        """Store the totals of the spaces."""

    def save_flushed_row(self, row: int) -> None:
        """Store the log row up to which the tables have everything."""

    def add_receipt_bytes(self, user_id: int, size: int) -> None:
        """Count receipts that no flush will count."""

    def flushed_revision(self, user_id: int) -> int:
        """Return the revision up to which the user's tables have everything."""


class WriteThroughWriter(BackendWriter, Protocol):
    """Writer of a database that other processes may write to as well: a commit writes the log and all tables.

    The rows of `spaces` that a group writes to are locked first. `guard` of a row changes with everything that others
    may do to the user besides writing: ending a session, a new quota, a purge.
    """

    def load_group(self, wanted: GroupWants) -> GroupRows:
        """Lock the spaces in order of their user ids, if `wanted` names any, and return the rows in one round trip."""

    def save_group(self, spaces: Sequence[Space], receipts: Sequence[tuple[Space, Receipt]]) -> None:
        """Write the log, the entries and the totals of the spaces, and these receipts, together with the commit."""

    def index_history(self, user_id: int) -> bool:
        """Index one step of a user's log, in a transaction of its own; return whether the index is complete."""


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
