"""Statements that the core runs in a database: loading state, planning writes, retention. See backend.py.

A method runs in the transaction that its caller has open. Rows come as tuples in the order that the docstring gives;
times are in milliseconds since 1970, revisions and rows of the log are integers.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from realtime_kv.core.messages import GetResult

# the fields of a Space up to its quota
SpaceRow = tuple[Any, ...]
# a portion of trimming passes at least this much history, so that its statements are worth it
MIN_TRIM_BYTES = 64 * 1024
# a write as the log stores it (JSON)
Frame = bytes | str
# names a row of the log or of the receipts; only the database that made it knows what is in it
RowRef = Any
# where a scan of a table continues; opaque as well
Position = Any


@dataclass(slots=True)
class TrimReport:
    """Result of trimming one portion: the revision reached, the bytes passed, and the rows that have lost ops."""

    until: int
    bytes: int = 0
    rows: set[RowRef] = field(default_factory=set)


@dataclass(slots=True)
class FrameChange:
    """A log row, its user, the frame that is left of it (None: nothing), and its charge before and after."""

    row: RowRef
    user_id: int
    revision: int
    left: str | None
    before: int
    after: int


class LoadStatements(Protocol):
    """Reads of the state that writes are evaluated against: one statement for each table, with all keys."""

    def sessions(self, session_ids: Collection[int], now: int) -> list[tuple[Any, ...]]:
        """Return (session id, end of the session, *SpaceRow of its user) for each session that may write."""

    def spaces(self, user_ids: Collection[int]) -> list[SpaceRow]:
        """Return the rows of these users' spaces, without accounts that are being purged."""

    def entries(self, wanted: Sequence[tuple[int, str, bool]]) -> list[tuple[Any, ...]]:
        """Return (user id, key, value, size, revision, …), the fields of EntryState without its digest.

        `wanted` are (user id, key, whether the value is needed).
        """

    def receipts(self, wanted: Sequence[tuple[int, str]]) -> list[tuple[int, str, str, str]]:
        """Return (user id, op_id, fingerprint, answer) for the stored ones of these (user id, op_id)."""


class PlanStatements(Protocol):
    """Reads of the plans of `undo`, `restore`, `move`, `copy` and `delete_prefix`."""

    def get(self, user_id: int, key: str, now: int) -> GetResult:
        """Return the live entry under `key`. Raises NotFound."""

    def reach(self, user_id: int, after: str | None, prefix: str, rows: int) -> tuple[int, str | None]:
        """Return how many rows (at most `rows`) lie under `prefix` after the key `after`, and the last key."""

    def live_under(
        self, user_id: int, after: str | None, prefix: str, now: int, rows: int, *, values: bool
    ) -> AbstractContextManager[Iterator[tuple[str, str, int | None, int]]]:
        """Yield (key, value, expiry, size in bytes) of the live ones among the next `rows` rows."""

    def first_live(self, user_id: int, keys: Sequence[str], now: int) -> tuple[str, str] | None:
        """Return the first of `keys` with a live entry, and that entry as JSON."""

    def last_value(self, user_id: int, key: str, now: int) -> tuple[str, bool] | None:
        """Return the value of a key's row, and whether the entry is live."""

    def write_to_key(self, user_id: int, key: str, revision: int) -> Frame | None:
        """Return the frame of the write of `revision` if it wrote `key`."""

    def write_at(self, user_id: int, revision: int) -> Frame | None:
        """Return the frame of the write of `revision`."""

    def history_floor(self, user_id: int) -> int:
        """Return the revision up to which the history is incomplete."""

    def last_revisions(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, int | None]]:
        """Return (key, revision of the last write to it)."""

    def undone_by(self, user_id: int, revision: int) -> int | None:
        """Return the revision of the write that the write of `revision` undid; None if it was no undo."""

    def revision_before(self, user_id: int, key: str, revision: int) -> int | None:
        """Return the revision of the write to `key` before `revision`."""

    def trashed_values(self, user_id: int, keys: Sequence[str]) -> list[tuple[str, str, int | None]]:
        """Return (key, value, expiry) of the deleted ones of `keys`."""

    def rows_before(self, user_id: int, keys: Sequence[str], revision: int) -> list[tuple[str, RowRef | None]]:
        """Return (key, log row of the write to it before `revision`)."""

    def frame_of_row(self, row: RowRef) -> Frame | None:
        """Return the frame in a log row."""


class RetentionStatements(Protocol):
    """Reads and removals of expiry, purge and history trimming; removals belong into a transaction of the writer's."""

    def expired(self, now: int, most: int) -> list[tuple[int, str, int]]:
        """Return (user id, key, bytes of the value) of expired entries, the earliest first."""

    def next_expiry(self, now: int) -> int | None:
        """Return the time of the first expiry after `now`."""

    def users_with_much_trash(self, most: int) -> list[int]:
        """Return the users whose deleted keys take more than three quarters of `most` bytes."""

    def trash_limit(self, user_id: int, kept: int) -> int:
        """Return the revision up to which deleted keys go if the newest `kept` bytes of them stay."""

    # A scan of a whole table begins without a position (None) and continues after the one that each part returns
    # beside its rows, until that is None. Rows that are added meanwhile may be left out.

    def scan_deleted(
        self, after: Position | None, before: int, rows: int
    ) -> tuple[list[tuple[int, str, int, bool]], Position | None]:
        """Return (user id, key, revision, whether deleted before `before`) of the deleted ones of the next rows."""

    def raise_floors(self, floors: Sequence[tuple[int, int]]) -> None:
        """Raise the floors of spaces; (revision, user id)."""

    def log_of_users(
        self, user_ids: Collection[int], after: Position | None, rows: int
    ) -> tuple[Iterable[tuple[RowRef, int, int, Frame, int]], Position | None]:
        """Return (row, user id, revision, frame, charge) among the next `rows` rows of the log.

        A row of the log is also the position after it.
        """

    def log_rows_of_users(
        self, user_ids: Collection[int], after: Position | None, rows: int
    ) -> tuple[list[tuple[RowRef, int]], Position | None]:
        """Return (row, charge) among the next `rows` rows of the log."""

    def old_receipts(
        self, before: int, after: Position | None, rows: int
    ) -> tuple[list[tuple[RowRef, int, int]], Position | None]:
        """Return (row, user id, charge) of receipts from before that time among the next `rows` rows."""

    def replace_frames(self, changes: Sequence[FrameChange]) -> None:
        """Replace frames in the log, or remove them, and adjust the totals."""

    def remove_entries(self, entries: Sequence[tuple[int, str, int]]) -> int:
        """Remove deleted entries, given as (user id, key, revision), with their history; return their number."""

    def remove_receipts(self, receipts: Sequence[tuple[RowRef, int, int]]) -> int:
        """Remove receipts, given as (row, user id, charge); return their number."""

    def remove_log_rows(self, rows: Sequence[RowRef]) -> int:
        """Remove rows of the log; return their number."""

    def remove_some(self, table: Literal["history", "entries", "receipts"], user_id: int, rows: int) -> int:
        """Remove up to `rows` rows of a user; return their number."""

    def log_times(self, after: Position | None, rows: int) -> tuple[list[tuple[int, int, int]], Position | None]:
        """Return (user id, revision, time) of the next `rows` rows of the log, each user's newest first."""

    def users_over_history(self, most: int) -> list[int]:
        """Return the users whose history takes more than `most` bytes."""

    def trim_history(self, user_id: int, horizon: int, most: int, portion: int) -> set[RowRef] | None:
        """Trim one portion of a user's history up to `horizon`, or beyond `most` bytes.

        Return the log rows that were changed, None if the history is within its limits.
        """

    def compact_log(self, after: Position | None, portion: int) -> Position | None:
        """Compact the next log rows that hold removed ops; return the last one, None if there are no more."""

    def held_bytes(self) -> tuple[int, int, int]:
        """Return the bytes of all users' history, receipts and deleted keys."""

    def rewrite_due(self) -> str | None:
        """Return why the file has to be rewritten: `purge`, `trim` or None."""

    def database_bytes(self) -> int:
        """Return the size of the database on its disk."""

    def live_bytes(self) -> int:
        """Return the bytes that a rewrite of the file writes."""
