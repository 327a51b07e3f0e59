"""Latency statistics: the number of verbs and their duration, counted by both transports at almost no cost.

Every verb is counted. In quiet times every verb is timed as well, from its arrival to its answer; in busy times one of
several is. Durations are stored as counts in buckets of growing width, so a quantile is right to within a fifth.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

# in busy times one verb in this many is timed; a prime, so that no rhythm of clients coincides with it for ever
EVERY = 17
# up to this many verbs in a slot, each is timed
QUIET = 500
# upper bounds of the buckets, in seconds: from 50 µs to a minute, each a fifth more than the one before
BOUNDS = tuple(0.00005 * 1.2**n for n in range(77))

Counts = list[int]


class LatencyStats:
    """Counters, used on the event loop's thread only. A transport that answers a verb adds it to `verbs`.

    A verb whose number `every` divides has to be timed, and its duration passed to `note`.
    """

    __slots__ = ("_counts", "_minute", "_verbs_before", "every", "verbs")

    def __init__(self, slots: int = 12) -> None:
        self.verbs = 0
        self.every = 1
        self._verbs_before = 0
        self._counts = _none()
        # the durations of the last `slots` slots
        self._minute: deque[Counts] = deque(maxlen=slots)

    def note(self, seconds: float) -> None:
        """Record the duration of a timed verb."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def sample(self) -> dict[str, float]:
        """Begin the next slot; return p50, p95 and p99 of the last one, in seconds (0 if nothing was timed)."""
        over, self._counts = self._counts, _none()
        self._minute.append(over)
        self.every = 1 if self.verbs - self._verbs_before <= QUIET else EVERY
        self._verbs_before = self.verbs
        return quantiles(over)

    def metrics(self) -> dict[str, float]:
        """Return the total of verbs, and the quantiles of the last slots: of a minute, with slots of five seconds."""
        counts = [sum(counted) for counted in zip(self._counts, *self._minute, strict=True)]
        named = {f"latency_{name}_seconds": seconds for name, seconds in quantiles(counts).items()}
        return {"verbs_total": self.verbs, **named}


def quantiles(counts: Sequence[int]) -> dict[str, float]:
    """Return p50, p95 and p99: the upper bounds of their buckets."""
    return {name: quantile(counts, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def quantile(counts: Sequence[int], share: float) -> float:
    """Return the duration that this share of the counts did not exceed; 0 without any."""
    left = share * sum(counts)
    if not left:
        return 0.0
    for bound, count in zip(BOUNDS, counts, strict=False):
        left -= count
        if left <= 0:
            return bound
    return BOUNDS[-1]


def _none() -> Counts:
    # the last bucket is for durations beyond the longest bound
    return [0] * (len(BOUNDS) + 1)
