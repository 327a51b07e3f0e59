"""Budgets for work that no account pays for: frames that carry nothing, and what clients do before they are signed in.

Invariants:
1. A client that does what stock clients do never reaches a budget, also when all tabs of an office reconnect at once.
2. Debt is bounded: a network that exceeded its budget is back within `MAX_DEBT_SECONDS` of good behaviour.
3. Durations are monotonic.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Payer = TypeVar("Payer", bound=Hashable)

# one connection: frames, packets and short reads that complete no message
IDLE_FRAMES_PER_SECOND = 20.0
IDLE_FRAMES_BURST = 400.0
# what one of them counts before the connection has joined
STRANGER_WEIGHT = 8
# a CONNECT, a DISCONNECT or an upgrade, which each take a look-up or a handshake
HANDSHAKE_FRAMES = 10
# a request of long-polling that brings and fetches nothing
EMPTY_POLL_FRAMES = 5

# one network: seconds of the server's time for clients that are not signed in
NETWORK_SHARE = 0.2
NETWORK_BURST_SECONDS = 4.0
MAX_DEBT_SECONDS = 5.0
MAX_PAYERS = 50_000

# one user: the same for answers that refuse
REFUSAL_SHARE = 0.02
REFUSAL_BURST_SECONDS = 0.2

# what things cost, in seconds, as measured on a slow core
REQUEST_COST = 0.001
OPEN_COST = 0.001
CONNECT_COST = 0.003
FRAME_COST = 50e-6
BYTE_COST = 3e-9
REFUSAL_COST = 50e-6


class FrameBudget:
    """Token bucket of one connection, as a single number: when the bucket will be full again."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0.0

    def take(self, frames: float) -> bool:
        """Take `frames`; False if the bucket did not hold as many."""
        now = time.monotonic()
        self._full_at = max(self._full_at, now) + frames / IDLE_FRAMES_PER_SECOND
        return self._full_at - now <= IDLE_FRAMES_BURST / IDLE_FRAMES_PER_SECOND


class TimeBudget(Generic[Payer]):
    """One token bucket for each payer (a network, a user), in seconds of the server's time.

    At most `MAX_PAYERS`; the one that has been quiet longest is forgotten first.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        share: float = NETWORK_SHARE,
        burst_seconds: float = NETWORK_BURST_SECONDS,
    ) -> None:
        self._clock = clock
        self._share = share
        # how far ahead of now a bucket may be filled
        self._ahead = burst_seconds / share
        self._full_at: OrderedDict[Payer, float] = OrderedDict()

    def overdue(self, payer: Payer) -> float:
        """Return the seconds that the payer has to wait until it may cost something again; 0.0 for now."""
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
