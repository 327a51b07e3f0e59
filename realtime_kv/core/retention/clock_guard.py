"""Clock guard: finds jumps of the wall clock, and gives irreversible work a time that is never ahead of the real one.

Invariants:
1. Expiry, purge, the end of sessions and the rotation of backups ask the guard for the time, never the wall clock.
2. After a jump the guard goes on by the monotonic clock (`line`) until the new time is confirmed: by an administrator,
   or by the wall clock having agreed with the monotonic clock for EXPIRY_HOLD or RETENTION_HOLD. A clock that returns
   to the line needs no confirmation.
3. The line survives restarts: `meta` holds it, with the boot that it belongs to. Within one boot of the machine a
   restart is checked exactly. After a reboot the wall clock may be up to DOWNTIME ahead of the line.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from realtime_kv.clock import DAY, HOUR, MINUTE, SECOND, TOLERANCE, Clock
from realtime_kv.concurrency.runtime import Future, Runtime, repeat
from realtime_kv.core.backend import Backend
from realtime_kv.core.engine.writer import Writer
from realtime_kv.errors import Unavailable

log = logging.getLogger(__name__)


# a machine that was off for up to this long is believed without confirmation
DOWNTIME = 3 * DAY
# the clock has to agree with the monotonic clock for this long before entries and sessions expire by it
EXPIRY_HOLD = HOUR
# and before data is purged by it
RETENTION_HOLD = 24 * HOUR
LOOK_SECONDS = 30
SAVE_MS = 5 * MINUTE
# the line follows corrections by at most one part in this many of the time that passes
_SLEW = 50
_NAME = "clock"


@dataclass(frozen=True)
class Jump:
    """A jump of the wall clock by `by`, to `at`, when the monotonic clock said `line`; all in milliseconds."""

    at: int
    by: int
    line: int

    def __str__(self) -> str:
        return f"The system clock jumped {'forward' if self.by > 0 else 'back'} by {duration(abs(self.by))}"


class _Saved(msgspec.Struct, kw_only=True):
    line: int
    steady: int
    boot: str | None = None
    jump: Jump | None = None
    agreed: int = 0


class ClockGuard:
    """The guard of one data set; may be called from any thread."""

    def __init__(
        self, backend: Backend, wall: Clock, steady: Clock, boot: Callable[[], str | None] | None = None
    ) -> None:
        self._backend = backend
        self._wall, self._steady = wall, steady
        self._boot = (boot or boot_id)()
        self._lock = threading.Lock()
        self._jump: Jump | None = None
        self._agreed = 0
        self._seen = steady()
        self._line = wall()
        self._unsaved = True
        self._saved_at = self._seen
        self._writer: Writer | None = None
        self._resume()
        with self._lock:
            self._observe()

    def attach(self, writer: Writer, runtime: Runtime) -> None:
        """Check the clock from now on, and save the line with this writer."""
        self._writer = writer
        self.save()
        repeat(runtime, LOOK_SECONDS, self.look)

    def expiry_now(self) -> int:
        """Return the time by which entries and sessions expire: the wall clock's, or an earlier one after a jump."""
        return self._now(EXPIRY_HOLD)

    def retention_now(self) -> int:
        """Return the time by which data is purged: the wall clock's, or an earlier one after a jump."""
        return self._now(RETENTION_HOLD)

    def line_now(self) -> int:
        """Return the wall clock's time without an unconfirmed jump."""
        with self._lock:
            wall = self._observe()
            return wall if self._jump is None else self._line

    def jump(self) -> Jump | None:
        """Return the unconfirmed jump."""
        with self._lock:
            self._observe()
            return self._jump

    def explain(self) -> str | None:
        """Return the work that waits after a jump, for how long, and how to confirm the time; None without a jump."""
        with self._lock:
            self._observe()
            if self._jump is None:
                return None
            left = max(0, RETENTION_HOLD - self._agreed)
            return (
                f"{self._jump}. Nothing is purged by the new time until it is confirmed: by itself after "
                f"{duration(left)} without another jump (expiry of keys and sessions after "
                f"{duration(max(0, EXPIRY_HOLD - self._agreed))}), or at once with `python3 run.py confirm-time`."
            )

    def confirm(self) -> Jump | None:
        """Confirm that the wall clock is right; return the jump that this confirms."""
        with self._lock:
            wall, jump = self._observe(), self._jump
            if jump is not None:
                self._settle(wall, "confirmed")
        self.look()
        return jump

    def look(self) -> None:
        """Compare the clocks, and save the line from time to time, or after a change."""
        with self._lock:
            self._observe()
            due = self._unsaved or self._seen - self._saved_at >= SAVE_MS
        if due:
            self.save()

    def save(self) -> Future[None] | None:
        """Save the line, so that it survives a restart."""
        if self._writer is None:
            return None
        with self._lock:
            self._observe()
            saved = _Saved(line=self._line, steady=self._seen, boot=self._boot, jump=self._jump, agreed=self._agreed)
            self._unsaved, self._saved_at = False, self._seen
        value = msgspec.json.encode(saved).decode()
        try:
            return self._writer.run_in_shared_transaction(
                lambda connection: self._backend.write_meta(connection, _NAME, value)
            )
        except Unavailable:
            # the server is stopping
            return None

    def metrics(self) -> dict[str, float]:
        """Return the unconfirmed jump of the clock, in seconds."""
        jump = self.jump()
        return {"clock_jump_seconds": 0.0 if jump is None else jump.by / SECOND}

    def _now(self, hold: int) -> int:
        with self._lock:
            wall = self._observe()
            if self._jump is None or self._agreed >= hold:
                return wall
            return min(wall, self._line)

    def _observe(self) -> int:
        """Update the line and compare the clocks; return the wall clock's time."""
        wall, steady = self._wall(), self._steady()
        passed = max(0, steady - self._seen)
        self._seen = steady
        self._line += passed
        gap = wall - self._line
        if self._jump is None:
            if abs(gap) > TOLERANCE:
                self._begin(wall, gap)
            else:
                slack = passed // _SLEW
                self._line += max(-slack, min(slack, gap))
        elif abs(gap) <= TOLERANCE:
            self._settle(wall, "back in step with the monotonic clock")
        elif abs(gap - self._jump.by) > TOLERANCE:
            self._begin(wall, gap)
        else:
            self._agreed += passed
            if self._agreed >= RETENTION_HOLD:
                self._settle(wall, f"confirmed by {duration(RETENTION_HOLD)} without another jump")
        return wall

    def _begin(self, wall: int, gap: int) -> None:
        self._jump, self._agreed, self._unsaved = Jump(wall, gap, self._line), 0, True
        log.warning(
            "%s. Nothing is purged or expired by the new time until it is confirmed: by itself after %s (expiry: %s) "
            "without another jump, or at once with `python3 run.py confirm-time` or on /admin/diagnostics.",
            self._jump,
            duration(RETENTION_HOLD),
            duration(EXPIRY_HOLD),
        )

    def _settle(self, wall: int, how: str) -> None:
        self._jump, self._agreed, self._line, self._unsaved = None, 0, wall, True
        log.warning("The system clock is %s.", how)

    def _resume(self) -> None:
        """Continue from the saved line, or from the newest time in a database that has none yet."""
        found = self._backend.read_meta(_NAME)
        try:
            saved = None if found is None else msgspec.json.decode(found, type=_Saved)
        except msgspec.MsgspecError:
            saved = None
        if saved is None:
            saved = _Saved(line=self._backend.newest_time() or self._line, steady=0)
        wall = self._line
        if saved.boot is not None and saved.boot == self._boot and self._seen >= saved.steady:
            self._line = saved.line + self._seen - saved.steady
            self._jump, self._agreed = saved.jump, saved.agreed
            return
        # the time that the machine was off is unknown
        if -TOLERANCE <= wall - saved.line <= DOWNTIME:
            return
        self._line = saved.line
        if saved.jump is not None and -TOLERANCE <= wall - saved.line - saved.jump.by <= DOWNTIME:
            self._line, self._jump, self._agreed = wall - saved.jump.by, saved.jump, saved.agreed


def boot_id() -> str | None:
    """Return the id of this boot of the machine; None if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def duration(ms: int) -> str:
    """Return `365 d`, `1 h 30 min`, `20 s`: the two largest units."""
    parts, left = [], round(ms / SECOND)
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
