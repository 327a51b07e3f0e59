"""Reserve of free disk space: below it, writes that add something are refused, so that the rest still has room.

Invariants:
1. The default covers a VACUUM of the live data and the write-ahead log, so a purge can give back what it removes.
2. Deletes, purges, signing out and audit entries go on below it.
3. Looking costs one statvfs in 0.1 s or 4 MiB of writes.
"""

import errno
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from realtime_kv.core import vacuum
from realtime_kv.core.database import CHECKPOINT_PAGES, WAL_LIMIT_BYTES, Cursor
from realtime_kv.core.errors import Unavailable

MIB = 1024 * 1024
MIN_RESERVE_BYTES = 64 * MIB
MAX_RESERVE_BYTES = 8 * 1024 * MIB
# a write-ahead log so long is shortened, for which its readers are waited for
LONG_WAL_BYTES = 2 * WAL_LIMIT_BYTES
# when no more than so much of the reserve is left, a purge starts early, and those who take most are refused first
EARLY = 1.25
# a user's part of the disk, from which on they are
SHARE = 1 / 4
# what is left of the limit of receipts then
RECEIPTS = 1 / 16
LOOK_SECONDS = 0.1
LOOK_BYTES = 4 * MIB
# below the reserve the write-ahead log is brought into the file after so many pages, so that it needs no more room
LOW_CHECKPOINT_PAGES = 256
RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True)
class Room:
    """What a write has room for: below the reserve deletes only; near it nothing for who takes more than a `share`."""

    is_low: bool
    share: int

    def receipts(self, limit: int) -> int:
        """The limit of receipts for a write that gives nothing back: the delete of a key that is not there, say."""
        return limit if self is AMPLE else int(limit * RECEIPTS)


AMPLE = Room(is_low=False, share=0)


class Reserve:
    """Free space of the file system that holds `database`; `setting` in bytes, None for the default, 0 for none.

    `look` is the writer's; everything else may be used from any thread.
    """

    def __init__(self, database: Path, setting: int | None = None) -> None:
        self.folder = database.parent
        self._wal = Path(f"{database}-wal")
        self.setting = setting
        self._live = 0
        self._looked_at = float("-inf")
        self._written = 0
        self._few_pages = False
        self.free = 0
        self.is_low = False
        self.room = AMPLE
        self._file = 0
        # whether the write-ahead log is to be shortened; whoever does that says so here
        self.log_is_long = False

    @property
    def wanted(self) -> int:
        """How many bytes are to stay free."""
        if self.setting is not None:
            return self.setting
        return min(max(MIN_RESERVE_BYTES, vacuum.needed(self._live, self.folder)), MAX_RESERVE_BYTES)

    @property
    def is_near(self) -> bool:
        """Whether it will be low before long."""
        self.measure()
        return self.room is not AMPLE

    def measure(self) -> int:
        """Free bytes of the file system, now."""
        try:
            found = os.statvfs(self.folder)
        except OSError:
            # whoever reads or writes there next says what is wrong
            return self.free
        self.free = found.f_bavail * found.f_frsize
        wanted = self.wanted
        self.is_low = self.free < wanted
        share = int(SHARE * (self.free + self._file))
        self.room = Room(self.is_low, share) if self.free < EARLY * wanted else AMPLE
        return self.free

    def check(self) -> None:
        """Raises Unavailable when there is less space than the reserve."""
        self.measure()
        if self.is_low:
            raise refusal()

    def wrote(self, size: int) -> None:
        """About so many bytes have been written."""
        self._written += size

    def look(self, cursor: Cursor) -> None:
        """Look again, if that is due."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS and self._written < LOOK_BYTES:
            return
        self._looked_at, self._written = now, 0
        size = vacuum.file_size(cursor)
        self._live, self._file = size.live, size.total
        self.measure()
        try:
            self.log_is_long = self._wal.stat().st_size > LONG_WAL_BYTES
        except OSError:
            self.log_is_long = False
        if self.is_low != self._few_pages:
            self._few_pages = self.is_low
            pages = LOW_CHECKPOINT_PAGES if self.is_low else CHECKPOINT_PAGES
            cursor.execute(f"PRAGMA wal_autocheckpoint={pages}")

    def metrics(self) -> dict[str, float]:
        """What is free, and what is to stay free."""
        return {"disk_reserve_bytes": self.wanted, "disk_low": float(self.is_low)}


def is_disk_full(error: BaseException) -> bool:
    """Whether this error, of SQLite or of the system, says that no space is left."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or getattr(cause, "errno", None) == errno.ENOSPC


def refusal() -> Unavailable:
    """What whoever wants to add something is told."""
    return Unavailable(
        "The server's disk is nearly full, so nothing was written: only deletes are possible until its administrator "
        "has made room.",
        retry_after=RETRY_AFTER_SECONDS,
    )
