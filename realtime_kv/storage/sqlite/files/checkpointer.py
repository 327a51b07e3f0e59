"""Checkpointer: moves committed pages from the write-ahead log to the database file while the writer goes on.

SQLite's automatic checkpoint runs inside a commit, and makes every waiting write wait for up to 16 MiB of pages and two
fsyncs. A passive checkpoint on another connection blocks nobody.

Invariants:
1. The thread moves nearly everything; the writer moves the short remainder between two commits, because only a log
   that is moved completely starts again from its beginning.
2. While `held`, no checkpoint runs, so VACUUM and a restore find the log free.
3. Where the runtime has no threads, SQLite's automatic checkpoint is used.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.connections import CHECKPOINT_PAGES, Cursor
from realtime_kv.storage.sqlite.files.damage import is_damage

log = logging.getLogger(__name__)

# the length from which on the log is moved: a checkpoint ends with an fsync of all its pages, and commits wait for the
# disk meanwhile
MIN_PAGES = 1024
# how often the length of the log is looked at while there are commits
LOOK_SECONDS = 0.05
# after a failed checkpoint (a full disk)
RETRY_SECONDS = 5.0
# passive checkpoints in a row, each of what was committed during the one before; a remainder this short is left
MAX_PASSES = 4
SHORT_PAGES = 64
# while readers use the log it cannot start again: the remainder is tried again after this many pages
RETRY_PAGES = 256

_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"

# https://www.sqlite.org/fileformat2.html#the_write_ahead_log: the header of the file, and of each frame
_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_PAGE_SIZE, _SALT, _FRAME_SALT = slice(8, 12), slice(16, 24), 8
_SALT_BYTES = 8


class Checkpointer:
    """One real thread with a connection of its own; `rest_is_due` and `move_rest` are for the writer's thread."""

    def __init__(self, engine: Engine, runtime: Runtime, on_fatal: Callable[[BaseException], None]) -> None:
        self._engine = engine
        self._wal = Path(f"{engine.url.database}-wal")
        self._on_fatal = on_fatal
        self._wrote = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        # whether the writer should move the remainder now
        self.rest_is_due = False
        self._thread = runtime.start_thread(self._work, "checkpointer")

    @property
    def automatic_pages(self) -> int:
        """The number of pages after which SQLite has to checkpoint automatically; 0 for never."""
        return CHECKPOINT_PAGES if self._thread is None else 0

    def wrote(self) -> None:
        """Note that there was a commit."""
        if not self._wrote.is_set():
            self._wrote.set()

    def move_rest(self, cursor: Cursor) -> None:
        """Move the remainder, outside a transaction, so that the next commit starts the log again."""
        self.rest_is_due = False
        cursor.execute(_PASSIVE).fetchone()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep checkpoints from running, once the present one has ended."""
        with self._lock:
            yield

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wrote.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        connection = connections.reading(self._engine)
        cursor = connections.driver(connection).cursor()
        try:
            moved = 0
            while not self._stopped.is_set():
                self._wrote.wait()
                self._wrote.clear()
                if self._stopped.wait(LOOK_SECONDS):
                    return
                moved = self._look(cursor, moved)
        except BaseException as error:
            self._on_fatal(error)
            raise
        finally:
            cursor.close()
            connection.close()

    def _look(self, cursor: sqlite3.Cursor, moved: int) -> int:
        """Checkpoint if the log is long; return the pages that have been moved since it started from its beginning."""
        try:
            pages = count_pages(self._wal)
            if pages < moved:
                moved = 0
            if moved == 0 and pages >= MIN_PAGES:
                moved = self._move(cursor)
                self.rest_is_due = True
            elif moved and pages >= moved + RETRY_PAGES:
                # a reader was in the way
                moved = pages
                self.rest_is_due = True
        except (sqlite3.Error, OSError) as error:
            if connections.error_code(error) == sqlite3.SQLITE_IOERR or is_damage(error):
                self._on_fatal(error)
            log.warning("the write-ahead log could not be moved to the database file: %r", error)
            self._stopped.wait(RETRY_SECONDS)
        return moved

    def _move(self, cursor: sqlite3.Cursor) -> int:
        moved = 0
        for _ in range(MAX_PASSES):
            with self._lock:
                _busy, _pages, done = cursor.execute(_PASSIVE).fetchone()
            newly, moved = done - moved, done
            if newly < SHORT_PAGES or self._stopped.is_set():
                break
        return max(1, moved)


def count_pages(wal: Path) -> int:
    """Return the number of pages that were written to a write-ahead log since it last started from its beginning.

    The file does not shrink then: older frames follow, which have other salts than the file's header.
    """
    try:
        with wal.open("rb", buffering=0) as file:
            header = file.read(_HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                return 0
            frame = _FRAME_HEADER_BYTES + int.from_bytes(header[_PAGE_SIZE], "big")
            low, high = 0, (os.fstat(file.fileno()).st_size - _HEADER_BYTES) // frame
            while low < high:
                middle = (low + high + 1) // 2
                salt = os.pread(file.fileno(), _SALT_BYTES, _HEADER_BYTES + (middle - 1) * frame + _FRAME_SALT)
                low, high = (middle, high) if salt == header[_SALT] else (low, middle - 1)
            return low
    except FileNotFoundError:
        return 0
