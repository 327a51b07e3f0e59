"""Transfer budget: limits a user's exports and imports, in units of cost (cost.py); charged once the cost is known.

Two full exports or imports are possible at once. Then the budget refills as the one for other operations does.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import ceil

from realtime_kv.clock import steady_ms
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Quota

# full exports or imports at once
FULL = 2
MAX_REMEMBERED = 10_000


class TransferBudget:
    """Budget that refills by `rate` units a second; None for no limit. Called on the event loop's thread."""

    def __init__(self, rate: int | None, quota: Quota, steady: Callable[[], int] = steady_ms) -> None:
        self._rate = rate
        self._most = FULL * Cost(ops=quota.keys, bytes=quota.bytes).units
        self._steady = steady
        # by user: the units left, and the time of that
        self._left: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def wait(self, who: Hashable) -> int:
        """Return the seconds until `who` may transfer again; 0 for now."""
        left = self._level(who)
        return 0 if left >= 0 or self._rate is None else max(1, ceil(-left / self._rate))

    def charge(self, who: Hashable, units: int) -> None:
        """Charge for a transfer."""
        if self._rate is None:
            return
        self._left[who] = self._level(who) - units, self._steady()
        self._left.move_to_end(who)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)

    def _level(self, who: Hashable) -> float:
        now = self._steady()
        left, at = self._left.get(who, (float(self._most), now))
        return min(self._most, left + (self._rate or 0) * (now - at) / 1000)
