"""What somebody tried and may not: a line in the server's log for each, as long as there are few.

Who is forbidden something, or asks too often, may be trying doors. A flood of it must not fill the disk, so only the
first ones of a minute are written out; of the others it is said how many there were.
"""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

# by the status that they have at either door
NOTICED = {403: "forbidden", 429: "rate_limited"}
MINUTE = 60 * 1000
MOST = 30


class Noticed:
    """What was refused in one house that somebody should know of."""

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._minute = 0
        self._count = 0

    def note(self, status: int, what: str, who: str) -> None:
        """`who` asked for `what`, in words of ours, and got `status`; only what could be an attempt is written down."""
        if status not in NOTICED:
            return
        minute = self._steady() // MINUTE
        if minute != self._minute:
            if self._count > MOST:
                log.warning("%d more refusals in that minute", self._count - MOST)
            self._minute, self._count = minute, 0
        self._count += 1
        if self._count <= MOST:
            log.warning("%s: %s, by %s", NOTICED[status], what, who)
