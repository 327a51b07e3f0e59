"""Backups of a data set: copies of its file, made while the server runs, and their restore."""

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy.exc import DBAPIError

from realtime_kv.accounts import audit_log, restore_reconciliation
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.clock import TOLERANCE
from realtime_kv.concurrency.runtime import InlineRuntime
from realtime_kv.config import Config
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.store import Store
from realtime_kv.errors import Refusal, Unavailable
from realtime_kv.maintenance.reports import BackupReport, Progress, RestoreReport
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.migrations.runner import NewerDatabase
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend
from realtime_kv.storage.sqlite.files import backup

log = logging.getLogger(__name__)

T = TypeVar("T")


NO_BACKUPS = (
    "The data is in a PostgreSQL database, which this program neither copies nor replaces: make backups with pg_dump "
    "or with base backups, and restore them with PostgreSQL's own tools while the server is stopped."
)


class Backups:
    """The backups in a folder. `make` and `restore` block; they are called by the maintenance's thread only."""

    def __init__(self, config: Config, store: Store, guard: ClockGuard, clock: Callable[[], int]) -> None:
        self.folder = config.data_dir / "backups"
        self._config = config
        self._store = store
        self._guard = guard
        self._clock = clock

    def remove_leftovers(self) -> None:
        """Remove the files of backups that a crash interrupted."""
        for leftover in self.folder.glob(".*.db.*"):
            leftover.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the scheduled backups and those without a name of their own, the oldest first."""
        now = self._guard.line_now()

        def order(file: Path) -> tuple[int, str]:
            # a backup from the future was made while the clock was wrong, so it is not the newest
            at = made_at(file)
            return (0 if at > now + TOLERANCE else at, file.name)

        return sorted(self.folder.glob("backup-*.db"), key=order)

    def make(self, file: Path | None, actor: Actor, progress: Progress, *, force: bool = False) -> BackupReport:
        """Copy the whole data set to `file`, or to a new file in the folder.

        Raises InvalidBackup, also for an existing file unless `force` is set, and Unavailable.
        """
        self._require_file()
        return _in_words("backup", lambda: self._make(file, actor, progress, force))

    def restore(self, file: Path, actor: Actor, progress: Progress) -> RestoreReport:
        """Replace the whole data set with the backup in `file`, and keep a copy of the old one.

        Raises InvalidBackup, Unavailable.
        """
        self._require_file()
        return _in_words("restore", lambda: self._restore(file, actor, progress))

    def _make(self, file: Path | None, actor: Actor, progress: Progress, force: bool) -> BackupReport:
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
            self._store.runtime.wait(
                self._store.writer.run_in_transaction(
                    lambda db: audit_log.write(
                        db, self._clock(), actor, "backup_made", bytes=made.bytes, seconds=made.seconds
                    )
                )
            )
        except Unavailable:
            # an administrator may need the backup before they free space
            log.error("a backup was made, and there is no room for its entry in the audit log")
            progress("There is no room for its entry in the audit log.")
        return made

    def _require_file(self) -> None:
        """Raise InvalidBackup for a database that is not a file."""
        if self._store.backend.file is None:
            raise backup.InvalidBackup(NO_BACKUPS)

    def _rotate(self) -> None:
        """Delete the oldest backups; after an unconfirmed jump of the clock only among those made since the jump."""
        jump, made = self._guard.jump(), self.files()
        if jump is not None:
            made = [file for file in made if jump.line <= made_at(file) <= self._guard.line_now()]
        for old in made[: -self._config.backup_keep]:
            old.unlink()

    def _restore(self, file: Path, actor: Actor, progress: Progress) -> RestoreReport:
        began = time.monotonic()
        progress(f"Checking {file} …")
        with backup.draft(self.folder / "restoring.db") as path:
            backup.fetch(file, path)
            self._bring_up_to_date(path, file)
            progress("Putting it in place …")
            before = self._store.runtime.wait(self._store.replace(lambda live: self._replace(live, path, actor)))
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
            raise backup.InvalidBackup(
                f"{file} is not a complete backup of realtime_kv; choose another file."
            ) from None
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
        """Return the absolute path of `file`. Raises InvalidBackup for a path that a backup must not take."""
        file = file.absolute()
        if file.is_dir():
            raise backup.InvalidBackup(f"{file} is a folder; give a file name in it.")
        if file.exists() and (file.resolve().parent == self._database().parent or not file.is_file()):
            raise backup.InvalidBackup(f"{file} belongs to the server; choose another name.")
        if file.exists() and not force:
            raise backup.InvalidBackup(f"{file} exists already; choose another name, or replace it with --force.")
        return file

    def _database(self) -> Path:
        return self._config.database_path.resolve()


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
    return f"The {what} failed: {reason}. Nothing was changed.{hint}"


def _stamp(ms: int) -> str:
    """Return a time as part of a file name that sorts by time."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H-%M-%S}.{ms % 1000:03d}Z"


def made_at(file: Path) -> int:
    """Return the time that `_stamp` wrote into the name; 0 (old) for a file named by hand."""
    try:
        moment = datetime.strptime(file.stem.removeprefix("backup-"), "%Y-%m-%dT%H-%M-%S.%f%z")
    except ValueError:
        return 0
    return round(moment.timestamp() * 1000)
