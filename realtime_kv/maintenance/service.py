"""Maintenance: purge, backup and restore, scheduled or on request.

One thread runs all of it, one task after the other, and never the event loop's thread. The server's schedule, the
control socket, the command line and the superuser's pages all use this module.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from realtime_kv.accounts import audit_log
from realtime_kv.accounts.audit_log import SYSTEM, Actor
from realtime_kv.clock import HOUR, TOLERANCE
from realtime_kv.concurrency.runtime import Future, Runtime, WorkerPool, repeat
from realtime_kv.config import Config
from realtime_kv.core.backend import BackendReader
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.store import Store
from realtime_kv.errors import RateLimited
from realtime_kv.maintenance import purger
from realtime_kv.maintenance.backups import Backups, made_at
from realtime_kv.maintenance.purger import Purger
from realtime_kv.maintenance.reports import BackupReport, Progress, PurgeReport, RestoreReport, State

log = logging.getLogger(__name__)

T = TypeVar("T")

# how often to check whether something is due
LOOK_SECONDS = 300
# how often to check whether the disk is nearly full, and the least time between two early purges
ROOM_SECONDS = 5
EARLY_AGAIN_SECONDS = 600
_QUEUE = 8


class Maintenance:
    """Maintenance of one data set. Results are futures; `on_restored` is called on the event loop's thread."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        store: Store,
        guard: ClockGuard,
        clock: Callable[[], int],
        on_restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._store = store
        self._guard = guard
        self._clock = clock
        self._on_restored = on_restored
        self._purger = Purger(config, store, guard, clock)
        self.backups = Backups(config, store, guard, clock)
        # when a purge last ran early
        self._early_at = float("-inf")
        self._due: Future[None] | None = None
        self._workers = WorkerPool(runtime, 1, name="upkeep", queue_limit=_QUEUE, on_full=RateLimited)

    def schedule(self) -> None:
        """Start the schedule; remove the leftovers of interrupted backups."""
        self.backups.remove_leftovers()
        self._runtime.call_later(LOOK_SECONDS / 10, self.look)
        repeat(self._runtime, LOOK_SECONDS, self.look)
        repeat(self._runtime, ROOM_SECONDS, self.look_for_room)

    def look(self) -> None:
        """Run the due tasks, unless they are already running."""
        if self._due is None or self._due.done:
            self._due = self._workers.submit(lambda _: self._do_what_is_due())

    def look_for_room(self) -> None:
        """Run the due tasks if the disk is nearly full, without waiting for the next `look`."""
        if self._store.reserve.is_near and time.monotonic() - self._early_at >= EARLY_AGAIN_SECONDS:
            self.look()

    def purge(self, actor: Actor = SYSTEM, progress: Progress = log.debug) -> Future[PurgeReport]:
        """Delete everything past its retention permanently."""
        return self._workers.submit(lambda _: self._purger.purge(actor, progress))

    def backup(
        self, file: Path | None = None, actor: Actor = SYSTEM, progress: Progress = log.debug, *, force: bool = False
    ) -> Future[BackupReport]:
        """Copy the whole data set to `file`, or to a new file in the folder of backups.

        Fails with InvalidBackup, also for an existing file unless `force` is set.
        """
        return self._workers.submit(lambda _: self.backups.make(file, actor, progress, force=force))

    def restore(self, file: Path, actor: Actor, progress: Progress = log.debug) -> Future[RestoreReport]:
        """Replace the whole data set with the backup in `file`, and keep a copy of the old one.

        Fails with InvalidBackup.
        """

        def restore() -> RestoreReport:
            report = self.backups.restore(file, actor, progress)
            # no tab may continue from data that is no longer there
            self._runtime.deliver(self._on_restored)
            return report

        return self._workers.submit(lambda _: restore())

    def last_purge(self) -> Future[PurgeReport | None]:
        """Return the last purge."""
        return self._read(purger.last_purge)

    def state(self) -> Future[State]:
        """Return the state of the maintenance."""
        return self._read(lambda connection: purger.read_state(connection, self._store.backend))

    def confirm_time(self, actor: Actor) -> Future[bool]:
        """Confirm that the wall clock is right now. The future tells whether there was a jump to confirm."""
        jump = self._guard.confirm()
        if jump is None:
            return Future.called(lambda: False)

        def write(connection: Connection) -> bool:
            audit_log.write(connection, self._clock(), actor, "time_confirmed", by=jump.by)
            return True

        return self._store.writer.run_in_shared_transaction(write)

    def stop(self) -> None:
        """End the thread after its current and queued tasks."""
        self._workers.stop()

    def _do_what_is_due(self) -> None:
        try:
            last = self._runtime.wait(self.last_purge())
            if last is None or _is_due(last.at, self._guard.retention_now(), self._config.purge_hours):
                self._purger.purge(SYSTEM, log.debug)
            elif self._is_nearly_full() and time.monotonic() - self._early_at >= EARLY_AGAIN_SECONDS:
                self._early_at = time.monotonic()
                self._purger.purge(SYSTEM, log.debug, early=True)
            else:
                self._purger.repeat_rewrite()
            hours, made = self._config.backup_hours, self.backups.files()
            if (
                hours
                and self._store.backend.file is not None
                and (not made or _is_due(made_at(made[-1]), self._guard.line_now(), hours))
            ):
                self.backups.make(None, SYSTEM, log.debug)
        except Exception as error:
            log.error("scheduled maintenance failed; it is retried: %r", error)

    def _is_nearly_full(self) -> bool:
        """Return True if the disk, or a user's allowance for deleted keys, is nearly full."""
        return self._store.reserve.is_near or self._runtime.wait(
            self._store.readers.submit(
                lambda reader: bool(reader.retention.users_with_much_trash(self._config.trash_bytes))
            )
        )

    def _read(self, fn: Callable[[Connection], T]) -> Future[T]:
        def read(reader: BackendReader) -> T:
            with reader.sql.begin():
                return fn(reader.sql)

        return self._store.readers.submit(read)


def _is_due(last: int, now: int, hours: int) -> bool:
    """Return True if `hours` have passed since `last`; a `last` in the future is not trusted."""
    return now - last >= hours * HOUR or last > now + TOLERANCE
