"""What somebody tried and may not: a line in the server's log for each, as long as there are few.

Who is forbidden something, or asks too often, may be trying doors. A flood of it must not fill the disk, so only the
first ones of a minute are written out; of the others it is said how many there were.
"""

import logging
from collections.abc import Callable

from realtime_kv.core.errors import HostRefused, OriginRefused, Refusal

log = logging.getLogger(__name__)

# by the status that they have at either door
NOTICED = {403: "forbidden", 429: "rate_limited"}
MINUTE = 60 * 1000
MOST = 30
# sentences about origins and host names that are not this server's
MAX_MISADDRESSED = 100


class Noticed:
    """What was refused in one house that somebody should know of."""

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._minute = 0
        self._count = 0
        self._misaddressed: set[str] = set()

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

    def note_misaddressed(self, refusal: Refusal) -> None:
        """Log once per origin and per host name that a page or request was refused for, and which setting allows it.

        Clients choose both, so the number of lines is bounded for the life of the process.
        """
        if not isinstance(refusal, OriginRefused | HostRefused) or refusal.message in self._misaddressed:
            return
        if len(self._misaddressed) < MAX_MISADDRESSED:
            self._misaddressed.add(refusal.message)
            log.warning("%s: %s", refusal.code, refusal.message)
