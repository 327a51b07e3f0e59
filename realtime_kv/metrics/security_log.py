"""Security log: one line in the server's log per 403 and 429, at most 30 a minute.

A forbidden or rate-limited request may be part of an attack. A flood of them must not fill the disk, so only the first
ones of a minute are logged, and then the number of the others.
"""

import logging
from collections.abc import Callable

from realtime_kv.clock import MINUTE
from realtime_kv.errors import HostRefused, OriginRefused, Refusal

log = logging.getLogger(__name__)

# by HTTP status, which socket errors have as well
NOTICED = {403: "forbidden", 429: "rate_limited"}
MAX_LINES = 30
# origins and host names that are refused and logged once each
MAX_MISADDRESSED = 100


class SecurityLog:
    """The security log of one server."""

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._minute = 0
        self._count = 0
        self._misaddressed: set[str] = set()

    def note(self, status: int, what: str, who: str) -> None:
        """Log that `who` requested `what`, in the server's words, and got `status`, if it may be part of an attack."""
        if status not in NOTICED:
            return
        minute = self._steady() // MINUTE
        if minute != self._minute:
            if self._count > MAX_LINES:
                log.warning("%d more refusals in that minute", self._count - MAX_LINES)
            self._minute, self._count = minute, 0
        self._count += 1
        if self._count <= MAX_LINES:
            log.warning("%s: %s, by %s", NOTICED[status], what, who)

    def note_misaddressed(self, refusal: Refusal) -> None:
        """Log once per refused origin and host name, with the setting that allows it.

        Clients choose both, so the number of lines is bounded for the life of the process.
        """
        if not isinstance(refusal, OriginRefused | HostRefused) or refusal.message in self._misaddressed:
            return
        if len(self._misaddressed) < MAX_MISADDRESSED:
            self._misaddressed.add(refusal.message)
            log.warning("%s: %s", refusal.code, refusal.message)
