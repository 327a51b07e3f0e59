"""Rate limiter for sign-in, sign-up, recovery, re-authentication and account changes.

Two measures. A *rate* for each network: a burst of attempts, then one per interval, whatever the names. And *growing
delays* (exponential backoff) for each pair of a name and a network: some free attempts, then delays that double.

Invariants:
1. No attempt from one network delays another network, so no stranger can keep users out of their own account.
2. The state is in memory and bounded; a restart forgets only delays.
3. A refused attempt costs nothing; a successful one is given back, so that only guessing is slowed down.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from realtime_kv.clock import HOUR, MINUTE, SECOND
from realtime_kv.errors import RateLimited
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.request.addresses import network_of

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Rate:
    """`burst` attempts at once, then one every `interval` milliseconds."""

    burst: int
    interval: int


SIGN_IN = Rate(60, SECOND)
SIGN_UP = Rate(60, 10 * SECOND)
RECOVER = Rate(30, 6 * SECOND)
# mails to one account: a link is valid for 30 minutes, so a refused user already has a valid one
MAIL = Rate(3, 5 * MINUTE)
# mails from one network, and any number of accounts, to addresses that nobody has confirmed
MAIL_ELSEWHERE = Rate(20, MINUTE)
# sign-ins to one account with the right password, and changes of one: each takes shared time and leaves rows
ENTER = Rate(120, 5 * SECOND)
CHANGE = Rate(120, SECOND)
# long-term limit of sign-ins and changes of one account, and of audit log entries about nobody from one network: each
# leaves rows that are kept for months
LASTING = Rate(2000, MINUTE)
# changes that each session has for itself when the others have used up those of the account
OWN_CHANGES = Rate(20, HOUR)
# attempts at one name, from all networks, after which the name counts as under attack
ATTACK = Rate(50, MINUTE)

FREE_ATTEMPTS = 5
# at a name under attack: each network still has some first attempts
FREE_UNDER_ATTACK = 2
# six-digit codes for one account, from all networks; their senders know its password
FREE_CODES = 10
MAX_DELAY = 15 * MINUTE
RESET_AFTER = HOUR


class TokenBuckets:
    """One token bucket per key, stored as a single number: the time when the bucket is full again (GCRA).

    At most `size` keys; the least recently used one is evicted.
    """

    def __init__(self, rate: Rate, size: int = 50_000) -> None:
        self._rate = rate
        self._size = size
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: str, now: int) -> int:
        """Return the milliseconds until `key` may take; 0 means now."""
        backlog = self._full_at.get(key, now) - now
        return max(0, backlog - (self._rate.burst - 1) * self._rate.interval)

    def take(self, key: str, now: int) -> None:
        """Take one token; call `wait` first."""
        self._full_at[key] = max(self._full_at.get(key, now), now) + self._rate.interval
        _make_room(self._full_at, key, self._size)

    def give_back(self, key: str) -> None:
        """Undo one `take`."""
        if key in self._full_at:
            self._full_at[key] -= self._rate.interval


@dataclass
class _Tries:
    count: int
    last: int


class Backoff:
    """Exponential backoff per key: free attempts, then delays from a second to 15 minutes, reset after a quiet hour.

    At most `size` keys; the least recently used one is evicted.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._tries: OrderedDict[Key, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tries)

    def wait(self, key: Key, now: int, free: int = FREE_ATTEMPTS) -> int:
        """Return the milliseconds until `key` may try; 0 means now."""
        tries = self._recent(key, now)
        if tries is None or tries.count < free:
            return 0
        delay = min(MAX_DELAY, SECOND << min(tries.count - free, 20))
        return max(0, tries.last + delay - now)

    def take(self, key: Key, now: int) -> None:
        """Count one attempt; call `wait` first."""
        tries = self._recent(key, now)
        self._tries[key] = _Tries(1 if tries is None else tries.count + 1, now)
        _make_room(self._tries, key, self._size)

    def forget(self, key: Key) -> None:
        """Reset `key` after a successful attempt."""
        self._tries.pop(key, None)

    def _recent(self, key: Key, now: int) -> _Tries | None:
        tries = self._tries.get(key)
        return tries if tries is not None and now - tries.last < RESET_AFTER else None


class RateLimiter:
    """The limits of all guessable actions; disabled if `enabled` is false.

    The checks raise RateLimited before any costly work. `clock` is a monotonic clock, in milliseconds: with a wall
    clock that is set back, everybody would have to wait until it has caught up. Every refusal is recorded.
    """

    def __init__(self, clock: Callable[[], int], *, enabled: bool = True, limit_log: LimitLog | None = None) -> None:
        self._clock = clock
        self._enabled = enabled
        self._limit_log = limit_log
        self._sign_ins, self._sign_ups, self._recoveries = (
            TokenBuckets(SIGN_IN),
            TokenBuckets(SIGN_UP),
            TokenBuckets(RECOVER),
        )
        self._mails, self._attacks = TokenBuckets(MAIL), TokenBuckets(ATTACK)
        self._mails_elsewhere = TokenBuckets(MAIL_ELSEWHERE)
        self._entries, self._changes = TokenBuckets(ENTER), TokenBuckets(CHANGE)
        self._lasting, self._notes = TokenBuckets(LASTING), TokenBuckets(LASTING)
        self._own_changes, self._lasting_changes = TokenBuckets(OWN_CHANGES), TokenBuckets(LASTING)
        self._delays = Backoff()
        # separate, so that a flood of invented names cannot evict them
        self._codes, self._passwords = Backoff(), Backoff()

    def sign_in(self, address: str, name: str | None) -> None:
        """Check one sign-in attempt."""
        network = network_of(address)
        key = None if name is None else ("sign_in", name, network)
        self._ask("sign_in_attempts", self._sign_ins, network, key, name, network=network)

    def signed_in(self, address: str, name: str | None) -> None:
        """Give back a successful sign-in attempt."""
        network = network_of(address)
        self._sign_ins.give_back(network)
        if name is not None:
            self._attacks.give_back(name)
            self._delays.forget(("sign_in", name, network))

    def enter(self, user_id: int) -> None:
        """Check one new session of an account, after its password was correct."""
        self._ask("sign_ins_per_account", self._entries, str(user_id), account=user_id)
        self._ask("sign_ins_in_the_long_run", self._lasting, str(user_id), account=user_id)

    def change(self, user_id: int, session_id: int) -> None:
        """Check one change that a signed-in user makes to their account.

        The first limit counts by session, so that a thief's session cannot keep the owner from ending it. After some
        changes of its own, a session uses up those of the account, however many sessions there are.
        """
        session = f"{user_id} {session_id}"
        self._ask("account_changes", self._changes, session, account=user_id)
        if self._own_changes.wait(session, self._clock()):
            self._ask("changes_in_the_long_run", self._lasting_changes, str(user_id), account=user_id)
        else:
            self._own_changes.take(session, self._clock())

    def second_step(self, address: str, user_id: int, *, guessable: bool) -> None:
        """Check one code of the second step, from a client that knows the password.

        Six digits can be guessed in time, also from many networks, so the account has delays of its own for them. A
        recovery code cannot be guessed, and those delays do not apply to it: the owner can still sign in with one.
        """
        if not self._enabled:
            return
        network, now = network_of(address), self._clock()
        free: dict[Key, int] = {(user_id, network): FREE_ATTEMPTS}
        if guessable:
            free[(user_id,)] = FREE_CODES
        wait = max(self._sign_ins.wait(network, now), *(self._codes.wait(key, now, free[key]) for key in free))
        self._refuse(wait, "second_step_attempts", account=user_id, network=network)
        self._sign_ins.take(network, now)
        for key in free:
            self._codes.take(key, now)

    def second_step_done(self, address: str, user_id: int) -> None:
        """Give back a correct code of the second step."""
        network = network_of(address)
        self._sign_ins.give_back(network)
        self._codes.forget((user_id, network))
        self._codes.forget((user_id,))

    def sign_up(self, address: str) -> None:
        """Check one sign-up."""
        network = network_of(address)
        self._ask("sign_ups_per_network", self._sign_ups, network, network=network)

    def recover(self, address: str, name: str | None) -> None:
        """Check one recovery attempt, by a code, a link or a mail."""
        network = network_of(address)
        key = None if name is None else ("recover", name, network)
        self._ask("recovery_attempts", self._recoveries, network, key, network=network)

    def recovered(self, address: str, name: str | None) -> None:
        """Give back a successful recovery attempt."""
        network = network_of(address)
        self._recoveries.give_back(network)
        if name is not None:
            self._delays.forget(("recover", name, network))

    def mail_elsewhere(self, address: str) -> None:
        """Check one mail to an arbitrary address."""
        network = network_of(address)
        self._ask("mails_per_network", self._mails_elsewhere, network, network=network)

    def may_note(self, address: str) -> bool:
        """Return whether one more failure that concerns no account is written to the audit log."""
        network, now = network_of(address), self._clock()
        if self._enabled and self._notes.wait(network, now):
            return False
        self._notes.take(network, now)
        return True

    def may_mail(self, kind: str, user_id: int) -> bool:
        """Return whether one more mail of that kind may be sent for this account."""
        key, now = f"{kind} {user_id}", self._clock()
        if not self._enabled:
            return True
        if self._mails.wait(key, now):
            self._record("mails_per_account", account=user_id)
            return False
        self._mails.take(key, now)
        return True

    def confirm(self, session_id: int, user_id: int | None = None) -> None:
        """Check one re-authentication.

        It counts by session and not by account: a stolen session is limited just the same, and the owner's is not
        delayed.
        """
        if not self._enabled:
            return
        now = self._clock()
        self._refuse(self._passwords.wait((session_id,), now), "password_confirmations", account=user_id)
        self._passwords.take((session_id,), now)

    def confirmed(self, session_id: int) -> None:
        """Reset the count of the session after a correct password."""
        self._passwords.forget((session_id,))

    def _ask(
        self,
        limit: str,
        rate: TokenBuckets,
        who: str,
        key: Key | None = None,
        name: str | None = None,
        *,
        account: int | None = None,
        network: str | None = None,
    ) -> None:
        if not self._enabled:
            return
        now = self._clock()
        waits = [rate.wait(who, now)]
        if key is not None:
            attacked = name is not None and self._attacks.wait(name, now) > 0
            waits.append(self._delays.wait(key, now, FREE_UNDER_ATTACK if attacked else FREE_ATTEMPTS))
        self._refuse(max(waits), limit, account=account, network=network)
        rate.take(who, now)
        if key is not None:
            self._delays.take(key, now)
        if name is not None and not self._attacks.wait(name, now):
            self._attacks.take(name, now)

    def _refuse(self, wait: int, limit: str, *, account: int | None = None, network: str | None = None) -> None:
        if wait:
            self._record(limit, account=account, network=network)
            seconds = ceil(wait / SECOND)
            raise RateLimited(f"Too many attempts; try again in {_spelt(seconds)}.", retry_after=seconds)

    def _record(self, limit: str, *, account: int | None = None, network: str | None = None) -> None:
        if self._limit_log is not None:
            self._limit_log.record(limit, account=account, network=network)


def _make_room(kept: OrderedDict, key: object, size: int) -> None:  # type: ignore[type-arg]
    kept.move_to_end(key)
    if len(kept) > size:
        kept.popitem(last=False)


def _spelt(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{ceil(seconds / 60)} minutes"
