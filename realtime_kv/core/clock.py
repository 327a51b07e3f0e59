"""Clocks: the wall clock for what is stored and shown, and a monotonic clock for durations.

The wall clock can be set back or forward at any moment, so no duration is measured with it.
"""

import time
from collections.abc import Callable

Clock = Callable[[], int]

# by how much a stored time may be ahead, and how much of a change of the wall clock is a correction and no jump (ms)
TOLERANCE = 15 * 60 * 1000
# CLOCK_MONOTONIC stops on Linux while the machine is suspended, CLOCK_BOOTTIME does not
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_ms() -> int:
    """Milliseconds since 1970, by the system's clock."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Milliseconds since some fixed moment, never set back; the time in which the machine is suspended counts."""
    return time.clock_gettime_ns(_STEADY) // 1_000_000
