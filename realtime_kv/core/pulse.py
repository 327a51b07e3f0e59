"""How many verbs are answered, and how long they take: counted at both doors, at next to no cost.

Every verb is counted; in quiet times every one is timed too, from its arrival to its answer, and in busy ones one of
several. Times are kept as counts in buckets of growing width, so a quantile is right to within a fifth.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

# in busy times one in so many is timed; a prime, so that no rhythm of the clients' is met at the same beat for ever
EVERY = 17
# up to so many verbs in a slot, each is timed
QUIET = 500
# the upper ends of the buckets, in seconds: from 50 µs to a minute, each a fifth more than the one before
BOUNDS = tuple(0.00005 * 1.2**n for n in range(77))

Counts = list[int]


class Pulse:
    """Written and read on the edge's thread only. Whoever answers a verb adds it to `verbs`.

    One whose number `every` divides is to be timed, and `note` told how long it took.
    """

    __slots__ = ("_counts", "_minute", "_verbs_before", "every", "verbs")

    def __init__(self, slots: int = 12) -> None:
        self.verbs = 0
        self.every = 1
        self._verbs_before = 0
        self._counts = _none()
        # what was timed in the last `slots` slots
        self._minute: deque[Counts] = deque(maxlen=slots)

    def note(self, seconds: float) -> None:
        """One of the timed verbs took so long."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def turn(self) -> dict[str, float]:
        """Begin the next slot; p50, p95 and p99 of the one that is over, in seconds (0 where nothing was timed)."""
        over, self._counts = self._counts, _none()
        self._minute.append(over)
        self.every = 1 if self.verbs - self._verbs_before <= QUIET else EVERY
        self._verbs_before = self.verbs
        return quantiles(over)

    def metrics(self) -> dict[str, float]:
        """The verbs so far, and the quantiles of the last slots: of a minute, where one takes five seconds."""
        counts = [sum(counted) for counted in zip(self._counts, *self._minute, strict=True)]
        named = {f"latency_{name}_seconds": seconds for name, seconds in quantiles(counts).items()}
        return {"verbs_total": self.verbs, **named}


def quantiles(counts: Sequence[int]) -> dict[str, float]:
    """p50, p95 and p99: the upper ends of the buckets that they are in."""
    return {name: quantile(counts, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def quantile(counts: Sequence[int], share: float) -> float:
    """The time that this share of what was counted did not exceed; 0 for nothing at all."""
    left = share * sum(counts)
    if not left:
        return 0.0
    for bound, count in zip(BOUNDS, counts, strict=False):
        left -= count
        if left <= 0:
            return bound
    return BOUNDS[-1]


def _none() -> Counts:
    # the last one is for what took longer than the longest
    return [0] * (len(BOUNDS) + 1)
