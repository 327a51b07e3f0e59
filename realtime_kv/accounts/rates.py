"""How many verbs a user may call, at all doors together: a burst, then so many a second.

It is asked for every verb of every tab. So what is paid for is a handful of verbs at once, and between two payments
one look into a dict is all that it costs.
"""

from collections.abc import Callable
from math import ceil

from realtime_kv.accounts.limits import SECOND, Buckets, Rate
from realtime_kv.core.clock import steady_ms
from realtime_kv.core.errors import RateLimited

BURST_SECONDS = 10
# a handful is what may be called in this time, in milliseconds
HANDFUL = 20
# users that are remembered
SIZE = 50_000


class Rates:
    """The verbs of every user, each with a rate of their own."""

    def __init__(self, verbs_per_second: int, clock: Callable[[], int] = steady_ms) -> None:
        self.clock = clock
        self._handful = max(1, verbs_per_second * HANDFUL // SECOND)
        interval = max(1, round(self._handful * SECOND / verbs_per_second))
        self._buckets = Buckets(Rate(max(1, BURST_SECONDS * SECOND // interval), interval), SIZE)
        self._paid: dict[int, int] = {}

    def verb(self, user_id: int, weight: int = 1) -> None:
        """One verb more, which counts as `weight`. Raises RateLimited."""
        left = self._paid.get(user_id, 0) - weight
        self._paid[user_id] = left if left >= 0 else self._pay(user_id, left, weight)

    def _pay(self, user_id: int, left: int, weight: int) -> int:
        """What is left when so many handfuls have been paid for that it is enough. Raises RateLimited."""
        if len(self._paid) > SIZE:
            # nobody loses more than a handful
            self._paid.clear()
        now, key = self.clock(), str(user_id)
        while left < 0:
            if wait := self._buckets.wait(key, now):
                # what has been paid for is kept, so that the heaviest verb is possible at the lowest rate
                self._paid[user_id] = left + weight
                seconds = ceil(wait / SECOND)
                raise RateLimited(f"That was too much at once; go on in {seconds} s.", retry_after=seconds)
            self._buckets.take(key, now)
            left += self._handful
        return left
