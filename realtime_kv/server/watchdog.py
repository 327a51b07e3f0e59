"""Watchdog: measures the delay of the event loop; a real thread asks it for a sign of life again and again.

The event loop is one thread, so anything that blocks it delays every tab. Each answer is a sample. A long silence is
logged; the event loop's stack at that moment goes to the file `stalls.log` in the data folder, of bounded size.
"""

import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from pathlib import Path

from realtime_kv.concurrency.runtime import Runtime

log = logging.getLogger(__name__)

ASK_SECONDS = 0.05
STALL_SECONDS = 0.25
MINUTE = 60.0
# an event loop that is silent for so long is logged before it answers
SILENT_SECONDS = 10.0
# the file for stacks; when it exceeds this size, it is renamed to `stalls.log.1` and started anew
STACKS = "stalls.log"
STACKS_BYTES = 256 * 1024


class Watchdog:
    """Measures from `start()` on; `thread_id` is the thread that `runtime` delivers on. Stacks go into `folder`."""

    def __init__(self, runtime: Runtime, thread_id: int, folder: Path) -> None:
        self._stacks = folder / STACKS
        self._runtime = runtime
        self._thread_id = thread_id
        # answers of the last minute: the time of each, and its delay
        self._waits: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()
        self._stalls = 0
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start measuring, on a thread of its own."""
        self._runtime.start_thread(self._watch, "watchdog")

    def stop(self) -> None:
        """Stop measuring."""
        self._stopped.set()

    def metrics(self) -> dict[str, float]:
        """Return the delay of deliveries in the last minute, and the number of stalls since the start."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            waits = sorted(wait for _, wait in self._waits)
            stalls = self._stalls
        return {
            "hub_stall_max_seconds": waits[-1] if waits else 0.0,
            "hub_stall_p999_seconds": waits[int(len(waits) * 0.999)] if waits else 0.0,
            "hub_stalls_total": stalls,
        }

    def _watch(self) -> None:
        while not self._stopped.wait(ASK_SECONDS):
            self._ask()

    def _ask(self) -> None:
        answered: list[float] = []
        came = threading.Event()

        def answer() -> None:
            # taken on the event loop: a late wake-up of this thread is not the event loop's delay
            answered.append(time.monotonic())
            came.set()

        asked = time.monotonic()
        self._runtime.deliver(answer)
        if came.wait(STALL_SECONDS):
            wait = answered[0] - asked
            if wait > STALL_SECONDS:
                # the timeout of this thread was late as well
                log.warning("the whole process stood still for %d ms: stopped, or without a processor", wait * 1000)
        else:
            where = self._keep_stack()
            logged = False
            while not came.wait(1):
                if self._stopped.is_set():
                    return
                if not logged and time.monotonic() - asked > SILENT_SECONDS:
                    logged = True
                    log.warning("the event loop has been blocked for more than %d s; %s", SILENT_SECONDS, where)
            wait = answered[0] - asked
            if not logged:
                log.warning("the event loop was blocked for %d ms; %s", wait * 1000, where)
        self._note(wait, answered[0])

    def _note(self, wait: float, now: float) -> None:
        with self._lock:
            self._stalls += wait > STALL_SECONDS
            # samples taken during the stall would have waited as well: a long stall is more than one bad sample
            while wait > 0:
                self._waits.append((now, wait))
                wait -= ASK_SECONDS
            self._forget(now)

    def _forget(self, now: float) -> None:
        while self._waits and self._waits[0][0] < now - MINUTE:
            self._waits.popleft()

    def _keep_stack(self) -> str:
        """Append the event loop's stack to the file; return a phrase that says where it is."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            if self._stacks.exists() and self._stacks.stat().st_size > STACKS_BYTES:
                self._stacks.replace(self._stacks.with_name(f"{STACKS}.1"))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(self._stacks, flags, 0o600), "w") as file:
                file.write(f"{moment} no answer for {STALL_SECONDS * 1000:.0f} ms\n{self._stack()}\n\n")
        except OSError as error:
            return f"its stack could not be written to {self._stacks}: {error.strerror}"
        return f"its stack is in {self._stacks}"

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread_id)
        return (
            "".join(traceback.format_stack(frame)).rstrip() if frame is not None else "  nowhere: its thread has ended"
        )
