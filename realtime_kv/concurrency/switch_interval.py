"""Switch interval of the interpreter lock: how long a thread may keep the lock while another one waits for it.

The event loop gives the lock up at each system call, and waits this long to get it back from a thread that computes.
A short interval costs more switches: it pays while threads do long work, but not between the loop and the writer.
"""

import sys
import threading

# in seconds; Python's default is 5 ms
USUAL_SECONDS = 5e-4
SHORT_SECONDS = 5e-5


class SwitchInterval:
    """The process's interval: short while `begin` has been called more often than `end`. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._usual = 0.0

    def begin(self) -> None:
        """Shorten the interval until `end`."""
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(SHORT_SECONDS, self._usual))

    def end(self) -> None:
        """Restore the interval, unless other long work is under way."""
        with self._lock:
            self._count -= 1
            if not self._count:
                sys.setswitchinterval(self._usual)


switch_interval = SwitchInterval()
