"""How often one address, and one name, may try to sign in and to sign up.

Kept in memory, bounded: what is forgotten at a restart is only somebody's waiting time. An attempt that is refused
costs nothing; a sign-in that succeeds is given back, so that only guessing is slowed down.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

from realtime_kv.core.errors import RateLimited

SECOND = 1000


@dataclass(frozen=True)
class Rate:
    """`burst` attempts at once, then one every `interval` milliseconds."""

    burst: int
    interval: int


SIGN_IN_ADDRESS = Rate(60, SECOND)
SIGN_IN_NAME = Rate(10, 6 * SECOND)
SIGN_UP_ADDRESS = Rate(60, 10 * SECOND)
SIGN_UP_NAME = Rate(20, 6 * SECOND)
CONFIRM_USER = Rate(10, 6 * SECOND)


class Buckets:
    """One token bucket for each key, as a single number: when the bucket will be full again (GCRA).

    At most `size` keys; the one that has been quiet for longest is forgotten first.
    """

    def __init__(self, rate: Rate, size: int = 10_000) -> None:
        self._rate = rate
        self._size = size
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: str, now: int) -> int:
        """Milliseconds until `key` may take; 0 for now."""
        backlog = self._full_at.get(key, now) - now
        return max(0, backlog - (self._rate.burst - 1) * self._rate.interval)

    def take(self, key: str, now: int) -> None:
        """Take one; ask `wait` first."""
        self._full_at[key] = max(self._full_at.get(key, now), now) + self._rate.interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._size:
            self._full_at.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Undo one `take`."""
        if key in self._full_at:
            self._full_at[key] -= self._rate.interval


class Limits:
    """The rates of signing in and signing up; all of them lifted when `enabled` is false."""

    def __init__(self, clock: Callable[[], int], *, enabled: bool = True) -> None:
        self._clock = clock
        self._enabled = enabled
        self._sign_in = (Buckets(SIGN_IN_ADDRESS), Buckets(SIGN_IN_NAME))
        self._sign_up = (Buckets(SIGN_UP_ADDRESS), Buckets(SIGN_UP_NAME))
        self._confirm = Buckets(CONFIRM_USER)

    def sign_in(self, address: str, name: str | None) -> None:
        """One attempt more. Raises RateLimited."""
        self._take(self._keyed(self._sign_in, address, name))

    def signed_in(self, address: str, name: str | None) -> None:
        """The attempt was honest: give it back."""
        for buckets, key in self._keyed(self._sign_in, address, name):
            buckets.give_back(key)

    def sign_up(self, address: str, name: str | None) -> None:
        """One attempt more. Raises RateLimited."""
        self._take(self._keyed(self._sign_up, address, name))

    def confirm(self, user_id: int) -> None:
        """A signed-in user gives their password again. Raises RateLimited."""
        self._take([(self._confirm, str(user_id))])

    def confirmed(self, user_id: int) -> None:
        """It was right: give the attempt back."""
        self._confirm.give_back(str(user_id))

    def _take(self, keyed: Iterable[tuple[Buckets, str]]) -> None:
        if not self._enabled:
            return
        now, keyed = self._clock(), list(keyed)
        if wait := max(buckets.wait(key, now) for buckets, key in keyed):
            seconds = ceil(wait / SECOND)
            raise RateLimited(f"Too many attempts; try again in {seconds} s.", retry_after=seconds)
        for buckets, key in keyed:
            buckets.take(key, now)

    @staticmethod
    def _keyed(pair: tuple[Buckets, Buckets], address: str, name: str | None) -> list[tuple[Buckets, str]]:
        by_address, by_name = pair
        keyed = [(by_address, _network(address))]
        return keyed if name is None else [*keyed, (by_name, name)]


def _network(address: str) -> str:
    """The address, or the /64 that an IPv6 client has all for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
