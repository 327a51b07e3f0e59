"""Maintenance: purge, backup and restore, scheduled or on request.

One thread runs all of it, one task after the other, and never the event loop's thread. The server's schedule, the
control socket, the command line and the superuser's pages all use this module.

Longer than 320 lines: purge, backup and restore share a thread and its schedule.
"""

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from realtime_kv.accounts import audit_log, restore_reconciliation
from realtime_kv.accounts import retention as accounts_purge
from realtime_kv.accounts.audit_log import SYSTEM, Actor
from realtime_kv.clock import DAY, HOUR, TOLERANCE
from realtime_kv.concurrency.runtime import Future, InlineRuntime, Runtime, WorkerPool, repeat
from realtime_kv.config import Config
from realtime_kv.core.backend import BackendReader
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.retention.purge import Purge
from realtime_kv.core.store import Store
from realtime_kv.errors import RateLimited, Refusal, Unavailable
from realtime_kv.storage import meta
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.migrations.runner import NewerDatabase
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend
from realtime_kv.storage.sqlite.files import backup, vacuum

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[str], None]

# how often to check whether something is due
LOOK_SECONDS = 300
LAST_PURGE = "last_purge"
LAST_EARLY_PURGE = "last_early_purge"
# how often to check whether the disk is nearly full, and the least time between two early purges
ROOM_SECONDS = 5
EARLY_AGAIN_SECONDS = 600
_QUEUE = 8
NO_BACKUPS = (
    "The data is in a PostgreSQL database, which this program neither copies nor replaces: make backups with pg_dump "
    "or with base backups, and restore them with PostgreSQL's own tools while the server is stopped."
)
# a receipt is kept at least this many days (protocol §2), whatever the setting
_RECEIPT_DAYS = 7


class PurgeReport(msgspec.Struct, kw_only=True):
    """The result of a purge: what it removed, when (milliseconds) and how long it took.

    `keys` counts the deleted keys and `ops` their ops in the log; `writes` counts the writes of which some or all ops
    were older than the history's retention.
    `clean`: no byte of the removed data is left in the files, for which the file was `rewritten` if that was due. If it
    is not clean, a later purge rewrites the file: `needs` is the number of bytes of free space that this takes if they
    were missing, 0 if a reader prevented it or an early purge postponed it. An `early` purge was not due by time:
    something was nearly full.
    """

    at: int
    seconds: float = 0.0
    keys: int = 0
    ops: int = 0
    writes: int = 0
    receipts: int = 0
    users: int = 0
    sessions: int = 0
    audit: int = 0
    clean: bool = True
    rewritten: bool = False
    needs: int = 0
    early: bool = False


class State(msgspec.Struct, kw_only=True):
    """The state of the maintenance; `vacuum_due`: something was removed since the file was last rewritten."""

    last_purge: PurgeReport | None
    last_early_purge: PurgeReport | None
    vacuum_due: bool


class BackupReport(msgspec.Struct, kw_only=True):
    """The result of a backup: its file, its size, and how long it took."""

    file: str
    bytes: int
    seconds: float


class RestoreReport(msgspec.Struct, kw_only=True):
    """The result of a restore: the restored file, and the copy of the data that was there before."""

    file: str
    before: str | None
    seconds: float


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
        # when a purge last ran early
        self._early_at = float("-inf")
        # when the file was last rewritten, and whether a rewrite was postponed since
        self._rewritten_at = float("-inf")
        self._put_off = False
        self._due: Future[None] | None = None
        self._workers = WorkerPool(runtime, 1, name="upkeep", queue_limit=_QUEUE, on_full=RateLimited)
        self.folder = config.data_dir / "backups"

    def schedule(self) -> None:
        """Start the schedule; remove the leftovers of interrupted backups."""
        for leftover in self.folder.glob(".*.db.*"):
            # of a backup that a crash interrupted
            leftover.unlink(missing_ok=True)
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
        return self._workers.submit(lambda _: self._purge(actor, progress))

    def backup(
        self, file: Path | None = None, actor: Actor = SYSTEM, progress: Progress = log.debug, *, force: bool = False
    ) -> Future[BackupReport]:
        """Copy the whole data set to `file`, or to a new file in the folder of backups.

        Fails with Unusable, also for an existing file unless `force` is set.
        """
        return self._workers.submit(lambda _: _in_words("backup", lambda: self._backup(file, actor, progress, force)))

    def restore(self, file: Path, actor: Actor, progress: Progress = log.debug) -> Future[RestoreReport]:
        """Replace the whole data set with the backup in `file`, and keep a copy of the old one. Fails with Unusable."""
        return self._workers.submit(lambda _: _in_words("restore", lambda: self._restore(file, actor, progress)))

    def last_purge(self) -> Future[PurgeReport | None]:
        """Return the last purge."""
        return self._read(lambda connection: _purged(connection, LAST_PURGE))

    def state(self) -> Future[State]:
        """Return the state of the maintenance."""

        def read(connection: Connection) -> State:
            return State(
                last_purge=_purged(connection, LAST_PURGE),
                last_early_purge=_purged(connection, LAST_EARLY_PURGE),
                vacuum_due=self._store.backend.retention(connection).rewrite_due() is not None,
            )

        return self._read(read)

    def confirm_time(self, actor: Actor) -> Future[bool]:
        """Confirm that the wall clock is right now. The future tells whether there was a jump to confirm."""
        jump = self._guard.confirm()
        if jump is None:
            return Future.called(lambda: False)

        def write(connection: Connection) -> bool:
            audit_log.write(connection, self._clock(), actor, "time_confirmed", by=jump.by)
            return True

        return self._store.writer.run_in_shared_transaction(write)

    def backups(self) -> list[Path]:
        """Return the scheduled backups and those without a name of their own, the oldest first."""
        now = self._guard.line_now()

        def order(file: Path) -> tuple[int, str]:
            # a backup from the future was made while the clock was wrong, so it is not the newest
            at = _made_at(file)
            return (0 if at > now + TOLERANCE else at, file.name)

        return sorted(self.folder.glob("backup-*.db"), key=order)

    def stop(self) -> None:
        """End the thread after its current and queued tasks."""
        self._workers.stop()

    def _do_what_is_due(self) -> None:
        try:
            last = self._wait(self.last_purge())
            if last is None or _is_due(last.at, self._guard.retention_now(), self._config.purge_hours):
                self._purge(SYSTEM, log.debug)
            elif self._is_nearly_full() and time.monotonic() - self._early_at >= EARLY_AGAIN_SECONDS:
                self._early_at = time.monotonic()
                self._purge(SYSTEM, log.debug, early=True)
            elif not (self._put_off and self._is_rewritten_lately()) and (
                Purge(self._store).rewrite_due() == vacuum.BY_PURGE
            ):
                self._repeat_vacuum()
            hours, made = self._config.backup_hours, self.backups()
            if (
                hours
                and self._store.backend.file is not None
                and (not made or _is_due(_made_at(made[-1]), self._guard.line_now(), hours))
            ):
                self._backup(None, SYSTEM, log.debug)
        except Exception as error:
            log.error("what was due could not be done, and is tried again: %r", error)

    def _is_nearly_full(self) -> bool:
        """Return True if the disk, or a user's allowance for deleted keys, is nearly full."""
        return self._store.reserve.is_near or self._wait(
            self._store.readers.submit(
                lambda reader: bool(reader.retention.users_with_much_trash(self._config.trash_bytes))
            )
        )

    def _is_rewritten_lately(self) -> bool:
        return time.monotonic() - self._rewritten_at < self._config.purge_hours * HOUR / 1000

    def _repeat_vacuum(self) -> None:
        """Rewrite the file for a purge that was interrupted or lacked the room for it, once there is room."""
        purge, done = Purge(self._store), PurgeReport(at=self._clock())
        if self._store.reserve.measure() >= purge.rewrite_needs():
            self._rewrite(purge, done, log.debug)
            log.info("the file was rewritten for an earlier purge" if done.clean else "rewriting the file failed")

    def _rewrite(self, purge: Purge, done: PurgeReport, progress: Progress) -> None:
        """Run VACUUM if there is room for it; without it, removed values are still overwritten in place."""
        needs = purge.rewrite_needs()
        if self._store.reserve.measure() >= needs:
            progress("Rewriting the file …")
            try:
                done.rewritten = done.clean = purge.rewrite()
                if done.rewritten:
                    self._rewritten_at, self._put_off = time.monotonic(), False
            except Unavailable:
                # the temporary file may be on another disk that is full
                done.clean, done.needs = False, needs
        else:
            done.clean, done.needs = False, needs
        if not done.clean:
            with suppress(Unavailable):
                purge.empty_log()

    def _purge(self, actor: Actor, progress: Progress, *, early: bool = False) -> PurgeReport:
        try:
            return self._purge_all(actor, progress, early=early)
        except Unavailable as error:
            raise Unavailable(
                f"The purge was interrupted: {error.message} What it has removed stays removed; run it again "
                "when there is room on the disk."
            ) from error

    def _purge_all(self, actor: Actor, progress: Progress, *, early: bool) -> PurgeReport:
        config, now, began = self._config, self._guard.retention_now(), time.monotonic()
        if (held := self._guard.explain()) is not None:
            progress(held)
        purge, done = Purge(self._store), PurgeReport(at=now, early=early)
        progress("Looking for deleted keys …")
        done.keys, done.ops = purge.keys(now - config.trash_days * DAY, config.trash_bytes)
        progress("Looking through the change log …")
        done.writes = purge.history(now - config.history_days * DAY, config.history_bytes)
        done.receipts = purge.receipts(now - max(_RECEIPT_DAYS, config.receipt_days) * DAY)
        progress("Looking for deleted accounts …")
        users = self._write(lambda db: accounts_purge.mark_for_purge(db, now - config.account_days * DAY))
        purge.spaces(users)
        for user_id in users:
            self._write(partial(accounts_purge.remove, user_id=user_id, now=now, actor=actor))
        done.users = len(users)
        while gone := self._write(lambda db: accounts_purge.remove_sessions(db, now)):
            done.sessions += gone
        while gone := self._write(lambda db: accounts_purge.remove_audit(db, now - config.audit_days * DAY)):
            done.audit += gone
        compaction = self._store.backend.compaction
        if compaction is not None and (done.users or done.sessions or done.audit):
            self._write(compaction.mark_due)
        if purge.rewrite_due():
            if early and not self._store.reserve.is_near and self._is_rewritten_lately():
                # all writes wait for a VACUUM: one user's deleted keys must not cause more than the schedule does
                self._put_off, done.clean = True, False
                purge.empty_log()
            else:
                self._rewrite(purge, done, progress)
        done.seconds = round(time.monotonic() - began, 3)
        self._write(lambda db: self._note(db, done, actor))
        return done

    def _note(self, connection: Connection, done: PurgeReport, actor: Actor) -> None:
        text = msgspec.json.encode(done).decode()
        meta.write(connection, LAST_PURGE, text)
        if done.early:
            meta.write(connection, LAST_EARLY_PURGE, text)
        counts = msgspec.structs.asdict(done)
        at = counts.pop("at")
        # a scheduled purge that removed nothing leaves no audit entry
        if actor is not SYSTEM or any(counts[name] for name in counts.keys() - {"seconds", "clean", "early"}):
            audit_log.write(connection, at, actor, "purged", **counts)

    def _backup(self, file: Path | None, actor: Actor, progress: Progress, force: bool = False) -> BackupReport:
        self._require_file()
        began, chosen = time.monotonic(), file is not None
        file = (
            self._writable(file, force)
            if file is not None
            else self.folder / f"backup-{_stamp(self._guard.line_now())}.db"
        )
        progress(f"Copying to {file} …")
        size = backup.copy_file(self._database(), file)
        if not chosen:
            self._rotate()
        made = BackupReport(file=str(file), bytes=size, seconds=round(time.monotonic() - began, 3))
        try:
            self._write(
                lambda db: audit_log.write(
                    db, self._clock(), actor, "backup_made", bytes=made.bytes, seconds=made.seconds
                )
            )
        except Unavailable:
            # an administrator may need the backup before they free space
            log.error("a backup was made, and there is no room for its entry in the audit log")
            progress("There is no room for its entry in the audit log.")
        return made

    def _require_file(self) -> None:
        """Raise Unusable for a database that is not a file."""
        if self._store.backend.file is None:
            raise backup.InvalidBackup(NO_BACKUPS)

    def _rotate(self) -> None:
        """Delete the oldest backups; after an unconfirmed jump of the clock only among those made since the jump."""
        jump, made = self._guard.jump(), self.backups()
        if jump is not None:
            made = [file for file in made if jump.line <= _made_at(file) <= self._guard.line_now()]
        for old in made[: -self._config.backup_keep]:
            old.unlink()

    def _restore(self, file: Path, actor: Actor, progress: Progress) -> RestoreReport:
        self._require_file()
        began = time.monotonic()
        progress(f"Checking {file} …")
        with backup.draft(self.folder / "restoring.db") as path:
            backup.fetch(file, path)
            self._bring_up_to_date(path, file)
            progress("Putting it in place …")
            before = self._wait(self._store.replace(lambda live: self._replace(live, path, actor)))
        # no tab may continue from data that is no longer there
        self._runtime.deliver(self._on_restored)
        seconds = round(time.monotonic() - began, 3)
        return RestoreReport(file=str(file), before=None if before is None else str(before), seconds=seconds)

    def _bring_up_to_date(self, path: Path, file: Path) -> None:
        """Migrate a backup of any version to the current schema, with nothing left to flush."""
        with closing(sqlite3.connect(path)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"alembic_version", "meta", "users", "log"} <= tables:
            raise backup.InvalidBackup(f"{file} is not a backup of realtime_kv; choose another file.")
        engine = connections.open_engine(path)
        try:
            migrations.upgrade(engine)
            Store(SqliteBackend(engine), InlineRuntime()).stop()
        except NewerDatabase as error:
            raise backup.InvalidBackup(str(error)) from None
        except (DBAPIError, AssertionError, msgspec.MsgspecError) as error:
            if backup.is_full(error):
                raise
            log.error("a backup could not be brought up to date: %r", error)
            raise backup.InvalidBackup(f"{file} is not a whole backup of realtime_kv; choose another file.") from None
        finally:
            engine.dispose()

    def _replace(self, live: sqlite3.Connection, path: Path, actor: Actor) -> Path | None:
        """Replace the live data, on the writer's thread between two groups: nothing more is written to the old data."""
        before = None
        now = self._clock()
        if live.execute("SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM log)").fetchone()[0]:
            before = self.folder / f"before-restore-{_stamp(now)}.db"
            backup.copy(live, before)
        engine = connections.open_engine(path)
        try:
            with engine.connect() as connection:
                restore_reconciliation.settle(
                    connection, self._database(), self._guard.retention_now(), secrets.token_urlsafe(9)
                )
                with connection.begin():
                    audit_log.write(connection, now, actor, "restored")
                backup.replace(live, connections.driver(connection))
        except (*connections.ERRORS, OSError) as error:
            if not backup.is_full(error):
                raise
            raise Unavailable(_not_done("restore", error)) from error
        finally:
            engine.dispose()
        return before

    def _writable(self, file: Path, force: bool) -> Path:
        """Return the absolute path of `file`. Raises Unusable for a path that a backup must not take."""
        file = file.absolute()
        if file.is_dir():
            raise backup.InvalidBackup(f"{file} is a folder; say how the file in it is to be called.")
        if file.exists() and (file.resolve().parent == self._database().parent or not file.is_file()):
            raise backup.InvalidBackup(f"{file} belongs to the server; choose another name.")
        if file.exists() and not force:
            raise backup.InvalidBackup(f"{file} exists already; choose another name, or replace it with --force.")
        return file

    def _database(self) -> Path:
        return self._config.database_path.resolve()

    def _write(self, fn: Callable[[Connection], T]) -> T:
        return self._wait(self._store.writer.run_in_transaction(fn))

    def _read(self, fn: Callable[[Connection], T]) -> Future[T]:
        def read(reader: BackendReader) -> T:
            with reader.sql.begin():
                return fn(reader.sql)

        return self._store.readers.submit(read)

    def _wait(self, future: Future[T]) -> T:
        return self._runtime.wait(future)


def _purged(connection: Connection, name: str) -> PurgeReport | None:
    text = meta.read(connection, name)
    return None if text is None else msgspec.json.decode(text, type=PurgeReport)


def _in_words(what: str, fn: Callable[[], T]) -> T:
    """Call `fn`; turn an error of a file or disk into Unavailable with a sentence for the user."""
    try:
        return fn()
    except Refusal:
        raise
    except (*connections.ERRORS, OSError) as error:
        raise Unavailable(_not_done(what, error)) from error


def _not_done(what: str, error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
    hint = " Free some space on the disk, and try again." if backup.is_full(error) else ""
    return f"The {what} was not done: {reason}. What was there is as it was.{hint}"


def _is_due(last: int, now: int, hours: int) -> bool:
    """Return True if `hours` have passed since `last`; a `last` in the future is not trusted."""
    return now - last >= hours * HOUR or last > now + TOLERANCE


def _stamp(ms: int) -> str:
    """Return a time as part of a file name that sorts by time."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H-%M-%S}.{ms % 1000:03d}Z"


def _made_at(file: Path) -> int:
    """Return the time that `_stamp` wrote into the name; 0 (old) for a file named by hand."""
    try:
        moment = datetime.strptime(file.stem.removeprefix("backup-"), "%Y-%m-%dT%H-%M-%S.%f%z")
    except ValueError:
        return 0
    return round(moment.timestamp() * 1000)
