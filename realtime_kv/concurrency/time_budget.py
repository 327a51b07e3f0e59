"""Time budgets: limit the part of the event loop's time that each payer may take.

Invariants:
1. Debt is bounded: a payer that exceeded its budget is back within `MAX_DEBT_SECONDS` of good behaviour.
2. Durations are monotonic.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MAX_DEBT_SECONDS = 5.0
MAX_PAYERS = 50_000
BUSY_SECONDS = 1.0

Payer = TypeVar("Payer", bound=Hashable)


class TimeBudget(Generic[Payer]):
    """One token bucket for each payer (a network, a user), in seconds of the server's time.

    At most `MAX_PAYERS`; the payer that has been quiet longest is forgotten first.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        share: float,
        burst_seconds: float,
    ) -> None:
        self._clock = clock
        self._share = share
        # seconds ahead of now to which a bucket may be filled
        self._ahead = burst_seconds / share
        self._full_at: OrderedDict[Payer, float] = OrderedDict()

    def overdue(self, payer: Payer) -> float:
        """Return the seconds that the payer has to wait before it may cost something again; 0.0 for none."""
        now = self._clock()
        return max(0.0, self._full_at.get(payer, now) - now - self._ahead)

    def charge(self, payer: Payer, seconds: float) -> float:
        """Charge `seconds` of work (negative: give back) and return `overdue`."""
        now = self._clock()
        full_at = max(now, self._full_at.get(payer, now)) + seconds / self._share
        self._full_at[payer] = full_at = min(now + self._ahead + MAX_DEBT_SECONDS, full_at)
        self._full_at.move_to_end(payer)
        if len(self._full_at) > MAX_PAYERS:
            self._full_at.popitem(last=False)
        return max(0.0, full_at - now - self._ahead)


class UserTime:
    """Time budgets of users, who share `common_share` equally while several of them take much.

    Each credential of a user has a part for itself, whatever the user and others have taken. A user is busy for
    `BUSY_SECONDS` after a credential has exceeded its own part. No user can use up another's time: with more busy users
    than `common_share` suffices for, each one's work costs them more.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        share: float,
        burst_seconds: float,
        own_share: float,
        own_burst_seconds: float,
        common_share: float,
    ) -> None:
        self._clock = clock
        self._users = TimeBudget[Hashable](clock, share=share, burst_seconds=burst_seconds)
        self._credentials = TimeBudget[Hashable](clock, share=own_share, burst_seconds=own_burst_seconds)
        # the number of busy users from which on they have to share
        self._many = common_share / share
        # until when each user is busy, in this order
        self._busy: OrderedDict[Hashable, float] = OrderedDict()

    def charge(self, user: Hashable, credential: Hashable, seconds: float) -> float:
        """Charge `seconds` of work, and return `overdue`."""
        mine = self._credentials.charge(credential, seconds)
        crowd = self._count_busy(user if mine else None)
        return min(mine, self._users.charge(user, seconds * max(1.0, crowd / self._many)))

    def overdue(self, user: Hashable, credential: Hashable) -> float:
        """Return the seconds for which no request of this credential should be handled; 0.0 for none."""
        mine = self._credentials.overdue(credential)
        return min(mine, self._users.overdue(user)) if mine else 0.0

    def _count_busy(self, also: Hashable | None) -> int:
        """Return the number of busy users; the user `also` is busy from now on."""
        now, busy = self._clock(), self._busy
        if also is not None:
            busy[also] = now + BUSY_SECONDS
            busy.move_to_end(also)
        while busy and next(iter(busy.values())) <= now:
            busy.popitem(last=False)
        return len(busy)
