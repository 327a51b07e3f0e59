"""Reserve of free disk space: below it, writes that add data are refused, so that other work still has room.

Invariants:
1. The default covers a VACUUM of the live data and the write-ahead log, so a purge can give back the space that it
   frees.
2. Deletes, purges, signing out and audit entries continue below it.
3. A check costs one statvfs in 0.1 s or 4 MiB of writes.
"""

import errno
import os
import sqlite3
import time
from pathlib import Path

from realtime_kv.core.domain.disk_space import AMPLE, DiskSpace, disk_low
from realtime_kv.storage.sqlite.connections import CHECKPOINT_PAGES, WAL_LIMIT_BYTES, Cursor
from realtime_kv.storage.sqlite.files import vacuum

MIB = 1024 * 1024
MIN_RESERVE_BYTES = 64 * MIB
MAX_RESERVE_BYTES = 8 * 1024 * MIB
# a longer write-ahead log is shortened, which waits for its readers
LONG_WAL_BYTES = 2 * WAL_LIMIT_BYTES
# below this multiple of the reserve, a purge starts early, and the users who take most are refused first
EARLY = 1.25
# the part of the disk from which on a user is refused
SHARE = 1 / 4
LOOK_SECONDS = 0.1
LOOK_BYTES = 4 * MIB
# below the reserve, a checkpoint follows after this many pages, so that the write-ahead log needs no more room
LOW_CHECKPOINT_PAGES = 256


class DiskReserve:
    """Free space of the file system that holds `database`; `setting` in bytes, None for the default, 0 for none.

    `look` is called by the writer only; everything else may be used from any thread.
    """

    def __init__(self, database: Path, setting: int | None = None) -> None:
        self.folder = database.parent
        self._wal = Path(f"{database}-wal")
        self.setting = setting
        self._live = 0
        self._looked_at = float("-inf")
        self._written = 0
        self._few_pages = False
        # pages after which the writer's connection checkpoints by itself while there is room; 0 for never
        self.checkpoint_pages = CHECKPOINT_PAGES
        self.free = 0
        self.is_low = False
        self.room = AMPLE
        self._file = 0
        # whether the write-ahead log has to be shortened; the code that does so resets it
        self.log_is_long = False

    @property
    def wanted(self) -> int:
        """The number of bytes that have to stay free."""
        if self.setting is not None:
            return self.setting
        return min(max(MIN_RESERVE_BYTES, vacuum.needed(self._live, self.folder)), MAX_RESERVE_BYTES)

    @property
    def is_near(self) -> bool:
        """Return whether the reserve is nearly reached."""
        self.measure()
        return self.room is not AMPLE

    def measure(self) -> int:
        """Return the free bytes of the file system, now."""
        try:
            found = os.statvfs(self.folder)
        except OSError:
            # the next read or write there reports the error
            return self.free
        self.free = found.f_bavail * found.f_frsize
        wanted = self.wanted
        self.is_low = self.free < wanted
        share = int(SHARE * (self.free + self._file))
        self.room = DiskSpace(self.is_low, share) if self.free < EARLY * wanted else AMPLE
        return self.free

    def check(self) -> None:
        """Raise Unavailable if there is less space than the reserve."""
        self.measure()
        if self.is_low:
            raise disk_low()

    def wrote(self, size: int) -> None:
        """Note that about this many bytes have been written."""
        self._written += size

    def look(self, cursor: Cursor) -> None:
        """Check again, if that is due."""
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
            pages = LOW_CHECKPOINT_PAGES if self.is_low else self.checkpoint_pages
            cursor.execute(f"PRAGMA wal_autocheckpoint={pages}")

    def metrics(self) -> dict[str, float]:
        """Return the reserve, and whether it has been reached."""
        return {"disk_reserve_bytes": self.wanted, "disk_low": float(self.is_low)}


def is_disk_full(error: BaseException) -> bool:
    """Return whether this error, of SQLite or of the system, says that no space is left."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL or getattr(cause, "errno", None) == errno.ENOSPC
