"""Verb rate limiter per user, over all transports: a token bucket shared by the user's credentials.

Invariants:
1. A user's credentials share one budget. Sessions have precedence: API tokens leave half of it to them, limited tokens
   (read-only or with a prefix) three quarters.
2. A session leaves a quarter to the user's other sessions, beyond half the rate, which it always has for itself.
3. A limited token has at most half the rate.
4. A user's requests have a bounded part of the event loop's time, of which each credential has some for itself.
5. Costs above the estimate are charged afterwards; a credential in debt waits until that is paid.

It is called for every verb of every tab. So it pays for a handful of verbs at once; between two payments a call costs
one dict look-up.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import thread_time

from realtime_kv.caller import Caller
from realtime_kv.clock import SECOND, steady_ms
from realtime_kv.concurrency.time_budget import UserTime
from realtime_kv.core.domain.cost import UNIT_SECONDS
from realtime_kv.errors import RateLimited

BURST_SECONDS = 10
# part of the event loop's time for one user's requests, refusals included, and the burst
TIME_SHARE = 0.15
TIME_BURST_SECONDS = 0.05
# part that each credential of a user has for itself, whatever the others have taken, and the burst
OWN_TIME_SHARE = 0.03
OWN_TIME_BURST_SECONDS = 0.01
# part that busy users share equally: answers and pushes take as much again
COMMON_TIME_SHARE = 0.2
# part of a user's whole budget that a session, a token and a limited token leave to others
SESSION_LEAVES = 0.25
TOKEN_LEAVES = 0.5
LIMITED_TOKEN_LEAVES = 0.75
# part of the rate that a session has for itself, and a limited token at most
OWN_SHARE = 0.5
# a handful: the verbs allowed in this time, in milliseconds
HANDFUL = 20
# users and credentials that are remembered
SIZE = 50_000
# credentials of one user that are remembered
MAX_CREDENTIALS = 256

_TINY = 1e-6


class _Bucket:
    """A token bucket, refilled by `rate` a second, up to `most`."""

    __slots__ = ("at", "level", "most", "rate")

    def __init__(self, rate: float, most: float, now: int) -> None:
        self.rate = rate
        self.most = most
        self.level = most
        self.at = now

    def refill(self, now: int) -> float:
        if now > self.at:
            self.level = min(self.most, self.level + self.rate * (now - self.at) / SECOND)
            self.at = now
        return self.level


class _Budget(_Bucket):
    """A user's bucket, with the credentials' own ones."""

    __slots__ = ("own",)

    def __init__(self, rate: float, most: float, now: int) -> None:
        super().__init__(rate, most, now)
        self.own: OrderedDict[int, _Bucket] = OrderedDict()


class VerbRateLimiter:
    """The budgets of all users. Called on the event loop's thread.

    `on_limit` is called for every refusal and every debt.
    """

    def __init__(
        self,
        verbs_per_second: int,
        clock: Callable[[], int] = steady_ms,
        on_limit: Callable[[Caller], None] = lambda _: None,
    ) -> None:
        self.clock = clock
        self.on_limit = on_limit
        self._rate = float(verbs_per_second)
        # by the user's id, and by the session's
        self._time = UserTime(
            share=TIME_SHARE,
            burst_seconds=TIME_BURST_SECONDS,
            own_share=OWN_TIME_SHARE,
            own_burst_seconds=OWN_TIME_BURST_SECONDS,
            common_share=COMMON_TIME_SHARE,
        )
        self._burst = BURST_SECONDS * self._rate
        # larger than a burst, so that a session, which leaves part of it to others, has a whole burst
        self._most = self._burst / (1 - SESSION_LEAVES)
        self._handful = max(1, verbs_per_second * HANDFUL // SECOND)
        self._budgets: OrderedDict[int, _Budget] = OrderedDict()
        # prepaid units of each credential; below zero, its debt
        self._paid: dict[int, int] = {}

    def verb(self, caller: Caller, weight: int = 1) -> None:
        """Charge one verb, which counts as `weight`. Raises RateLimited."""
        left = self._paid.get(caller.session_id, 0) - weight
        self._paid[caller.session_id] = left if left >= 0 else self._pay(caller, left, weight)

    def charge(self, caller: Caller, weight: int) -> int:
        """Charge `weight` more for an accepted verb. Return the seconds until the credential has paid its debt."""
        left = self._paid.get(caller.session_id, 0) - weight
        missing = 0.0
        if left < 0:
            paid, missing = self._draw(caller, -left)
            left += paid
        self._paid[caller.session_id] = left
        if left >= 0:
            return 0
        self.on_limit(caller)
        return self._seconds(caller, missing)

    @contextmanager
    def timed(self, caller: Caller) -> Iterator[None]:
        """Charge the processor time that the block takes, in addition to the charge for the request."""
        began = thread_time()
        try:
            yield
        finally:
            self.charge(caller, int((thread_time() - began) / UNIT_SECONDS))

    def used(self, caller: Caller, seconds: float) -> bool:
        """Charge the event loop time of the caller's requests; return whether it exceeds the limit."""
        return self._time.charge(caller.user_id, caller.session_id, seconds) > 0.0

    def pause(self, caller: Caller) -> float:
        """Return the seconds for which no request of this caller is handled; 0.0 for none."""
        return self._time.overdue(caller.user_id, caller.session_id)

    def _pay(self, caller: Caller, left: int, weight: int) -> int:
        """Draw enough handfuls to cover the debt `left`; return the remainder. Raises RateLimited."""
        if len(self._paid) > SIZE:
            # loses at most a handful per credential, and forgives at most the cost of one request
            self._paid.clear()
        handfuls = self._handful * ceil(-left / self._handful)
        paid, missing = self._draw(caller, handfuls)
        left += paid
        if left < 0:
            # the drawn units are kept, so that the heaviest verb is possible at the lowest rate
            self._paid[caller.session_id] = left + weight
            self.on_limit(caller)
            seconds = self._seconds(caller, missing)
            raise RateLimited(
                f"Too many operations for {_whose(caller)} of {self._rate:g} a second; try again in {seconds} s.",
                retry_after=seconds,
            )
        return left

    def _draw(self, caller: Caller, wanted: int) -> tuple[int, float]:
        """Draw up to `wanted` units for this caller; return the units drawn and the units missing."""
        budget, own = self._buckets(caller)
        now = self.clock()
        level, mine = budget.refill(now), own.refill(now)
        above = level - self._most * _leaves(caller)
        if caller.kind != "token":
            available = max(above, min(level, mine))
        else:
            available = min(above, mine) if caller.is_limited else above
        taken = min(wanted, max(0, int(available + _TINY)))
        budget.level -= taken
        own.level = max(0.0, mine - taken)
        return taken, wanted - max(0.0, available)

    def _buckets(self, caller: Caller) -> tuple[_Budget, _Bucket]:
        now = self.clock()
        budget = self._budgets.get(caller.user_id)
        if budget is None:
            budget = self._budgets[caller.user_id] = _Budget(self._rate, self._most, now)
            if len(self._budgets) > SIZE:
                self._budgets.popitem(last=False)
        else:
            self._budgets.move_to_end(caller.user_id)
        own = budget.own.get(caller.session_id)
        if own is None:
            own = _Bucket(self._rate * OWN_SHARE, self._burst * OWN_SHARE, now)
            budget.own[caller.session_id] = own
            if len(budget.own) > MAX_CREDENTIALS:
                budget.own.popitem(last=False)
        else:
            budget.own.move_to_end(caller.session_id)
        return budget, own

    def _seconds(self, caller: Caller, missing: float) -> int:
        rate = self._rate * (OWN_SHARE if caller.kind == "token" and caller.is_limited else 1)
        # a budget holds no more than a burst: to save up more, the caller has to ask again
        return max(1, min(BURST_SECONDS, ceil(missing / rate - _TINY)))


def _leaves(caller: Caller) -> float:
    if caller.kind != "token":
        return SESSION_LEAVES
    return LIMITED_TOKEN_LEAVES if caller.is_limited else TOKEN_LEAVES


def _whose(caller: Caller) -> str:
    return "this API token's share" if caller.kind == "token" else "your limit"
