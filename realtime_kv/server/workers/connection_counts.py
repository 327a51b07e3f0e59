"""Connection counts of all workers, in one file that each of them maps into its memory.

A worker accepts a connection later than the others while it has more than they have. Without that, the workers that
outlive another one keep all the tabs that reconnected to them in the meantime.
"""

import mmap
import os
from pathlib import Path

NAME = "connections"
MAX_NUMBER = 255
# a difference of so many connections, and of this share, is not made up for
SLACK = 2
SLACK_SHARE = 1 / 32


class ConnectionCounts:
    """An array of one number for each worker: 0 if there is none, otherwise the count plus one."""

    def __init__(self, folder: Path) -> None:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, 4 * (MAX_NUMBER + 1))
            self._counts = memoryview(mmap.mmap(descriptor, 4 * (MAX_NUMBER + 1))).cast("I")
        finally:
            os.close(descriptor)

    def note(self, number: int, count: int) -> None:
        """Publish the count of a worker."""
        self._counts[number] = count + 1

    def remove(self, number: int) -> None:
        """Note that there is no such worker, or that it accepts no more."""
        self._counts[number] = 0

    def is_ahead(self, number: int) -> bool:
        """Return True if this worker has clearly more connections than another one that accepts."""
        counts = [count for other, count in enumerate(self._counts.tolist()) if count and other != number]
        own = self._counts[number]
        return bool(counts) and own > min(counts) + SLACK + own * SLACK_SHARE
