"""Purge of a data set: everything past its retention, and the rewriting of the file after it."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from realtime_kv.accounts import audit_log
from realtime_kv.accounts import retention as account_retention
from realtime_kv.accounts.audit_log import SYSTEM, Actor
from realtime_kv.clock import DAY, HOUR
from realtime_kv.config import Config
from realtime_kv.core.backend import Backend
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.retention.purge import Purge
from realtime_kv.core.store import Store
from realtime_kv.errors import Unavailable
from realtime_kv.maintenance.reports import Progress, PurgeReport, State
from realtime_kv.storage import meta
from realtime_kv.storage.sqlite.files import vacuum

log = logging.getLogger(__name__)

T = TypeVar("T")

_LAST_PURGE = "last_purge"
_LAST_EARLY_PURGE = "last_early_purge"
# a receipt is kept at least this many days (protocol §2), whatever the setting
_RECEIPT_DAYS = 7


class Purger:
    """Purges of one data set. Used by the maintenance's thread only."""

    def __init__(self, config: Config, store: Store, guard: ClockGuard, clock: Callable[[], int]) -> None:
        self._config = config
        self._store = store
        self._guard = guard
        self._clock = clock
        # when the file was last rewritten, and whether a rewrite was postponed since
        self._rewritten_at = float("-inf")
        self._is_postponed = False

    def purge(self, actor: Actor, progress: Progress, *, early: bool = False) -> PurgeReport:
        """Delete everything past its retention permanently. Raises Unavailable; what is removed then stays removed."""
        try:
            return self._purge_all(actor, progress, early=early)
        except Unavailable as error:
            raise Unavailable(
                f"The purge was interrupted: {error.message} What it has removed stays removed; run it again "
                "when there is room on the disk."
            ) from error

    def repeat_rewrite(self) -> None:
        """Rewrite the file for a purge that was interrupted or lacked the room for it, once there is room."""
        purge = Purge(self._store)
        if (self._is_postponed and self._is_rewritten_lately()) or purge.rewrite_due() != vacuum.BY_PURGE:
            return
        report = PurgeReport(at=self._clock())
        if self._store.reserve.measure() >= purge.rewrite_needs():
            self._rewrite(purge, report, log.debug)
            log.info("the file was rewritten for an earlier purge" if report.clean else "rewriting the file failed")

    def _purge_all(self, actor: Actor, progress: Progress, *, early: bool) -> PurgeReport:
        config, now, began = self._config, self._guard.retention_now(), time.monotonic()
        if (held := self._guard.explain()) is not None:
            progress(held)
        purge, report = Purge(self._store), PurgeReport(at=now, early=early)
        progress("Looking for deleted keys …")
        report.keys, report.ops = purge.remove_trashed(now - config.trash_days * DAY, config.trash_bytes)
        progress("Looking through the change log …")
        report.writes = purge.remove_history(now - config.history_days * DAY, config.history_bytes)
        report.receipts = purge.remove_receipts(now - max(_RECEIPT_DAYS, config.receipt_days) * DAY)
        progress("Looking for deleted accounts …")
        users = self._write(lambda db: account_retention.mark_for_purge(db, now - config.account_days * DAY))
        purge.remove_spaces(users)
        for user_id in users:
            self._write(partial(account_retention.remove, user_id=user_id, now=now, actor=actor))
        report.users = len(users)
        while gone := self._write(lambda db: account_retention.remove_sessions(db, now)):
            report.sessions += gone
        while gone := self._write(lambda db: account_retention.remove_audit(db, now - config.audit_days * DAY)):
            report.audit += gone
        compaction = self._store.backend.compaction
        if compaction is not None and (report.users or report.sessions or report.audit):
            self._write(compaction.mark_due)
        if purge.rewrite_due():
            if early and not self._store.reserve.is_near and self._is_rewritten_lately():
                # all writes wait for a VACUUM: one user's deleted keys must not cause more than the schedule does
                self._is_postponed, report.clean = True, False
                purge.empty_log()
            else:
                self._rewrite(purge, report, progress)
        report.seconds = round(time.monotonic() - began, 3)
        self._write(lambda db: self._record(db, report, actor))
        return report

    def _rewrite(self, purge: Purge, report: PurgeReport, progress: Progress) -> None:
        """Run VACUUM if there is room for it; without it, removed values are still overwritten in place."""
        needs = purge.rewrite_needs()
        if self._store.reserve.measure() >= needs:
            progress("Rewriting the file …")
            try:
                report.rewritten = report.clean = purge.rewrite()
                if report.rewritten:
                    self._rewritten_at, self._is_postponed = time.monotonic(), False
            except Unavailable:
                # the temporary file may be on another disk that is full
                report.clean, report.needs = False, needs
        else:
            report.clean, report.needs = False, needs
        if not report.clean:
            with suppress(Unavailable):
                purge.empty_log()

    def _is_rewritten_lately(self) -> bool:
        return time.monotonic() - self._rewritten_at < self._config.purge_hours * HOUR / 1000

    def _record(self, connection: Connection, report: PurgeReport, actor: Actor) -> None:
        text = msgspec.json.encode(report).decode()
        meta.write(connection, _LAST_PURGE, text)
        if report.early:
            meta.write(connection, _LAST_EARLY_PURGE, text)
        counts = msgspec.structs.asdict(report)
        at = counts.pop("at")
        # a scheduled purge that removed nothing leaves no audit entry
        if actor is not SYSTEM or any(counts[name] for name in counts.keys() - {"seconds", "clean", "early"}):
            audit_log.write(connection, at, actor, "purged", **counts)

    def _write(self, fn: Callable[[Connection], T]) -> T:
        return self._store.runtime.wait(self._store.writer.run_in_transaction(fn))


def read_state(connection: Connection, backend: Backend) -> State:
    """Return the state of the maintenance."""
    return State(
        last_purge=last_purge(connection),
        last_early_purge=_read_report(connection, _LAST_EARLY_PURGE),
        vacuum_due=backend.retention(connection).rewrite_due() is not None,
    )


def last_purge(connection: Connection) -> PurgeReport | None:
    """Return the last purge."""
    return _read_report(connection, _LAST_PURGE)


def _read_report(connection: Connection, name: str) -> PurgeReport | None:
    text = meta.read(connection, name)
    return None if text is None else msgspec.json.decode(text, type=PurgeReport)
