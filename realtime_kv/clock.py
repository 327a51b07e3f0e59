"""Clocks: the wall clock for what is stored and shown, and a monotonic clock for durations.

The wall clock can be set back or forward at any moment, so no duration is measured with it.
"""

import time
from collections.abc import Callable

Clock = Callable[[], int]

# in milliseconds
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# how far ahead a stored time may be, and the largest change of the wall clock that is a correction and not a jump (ms)
TOLERANCE = 15 * MINUTE
# CLOCK_MONOTONIC stops on Linux while the machine is suspended, CLOCK_BOOTTIME does not
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_ms() -> int:
    """Return milliseconds since 1970, by the system's clock."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return milliseconds since some fixed moment, never set back; time while the machine is suspended counts."""
    return time.clock_gettime_ns(_STEADY) // 1_000_000
