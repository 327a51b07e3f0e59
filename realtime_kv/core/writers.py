"""Writing side of the database interface (backend.py): what every writer does, and the two ways to commit a group.

1. A LogFirstWriter appends to the log only; the tables follow. Possible for a database that belongs to one process.
2. A WriteThroughWriter writes the log and all tables in one transaction, under the locks of the users' rows.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.core.domain.disk_space import DiskSpace
from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space
from realtime_kv.core.statements import LoadStatements, PlanStatements, SpaceRow, TrimReport

T = TypeVar("T")


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
