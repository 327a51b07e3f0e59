"""How often somebody may try to sign in, to sign up, to recover, and to say a password again.

Two measures. A *rate* for each network: so many attempts at once, then one every so often, whatever the names. And
*growing delays* for each pair of a name and a network: some free attempts, then waits that double. No attempt from one
network ever makes another network wait, so no stranger can keep somebody out of their own account.

Kept in memory, bounded: what is forgotten at a restart is only somebody's waiting time. An attempt that is refused
costs nothing; one that succeeds is given back, so that only guessing is slowed down.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from realtime_kv.accounts.addresses import network_of
from realtime_kv.core.errors import RateLimited
from realtime_kv.metrics.limit_log import LimitLog

Key = tuple[str | int, ...]

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@dataclass(frozen=True)
class Rate:
    """`burst` attempts at once, then one every `interval` milliseconds."""

    burst: int
    interval: int


SIGN_IN = Rate(60, SECOND)
SIGN_UP = Rate(60, 10 * SECOND)
RECOVER = Rate(30, 6 * SECOND)
# mails to one account: a link is good for 30 minutes, so whoever gets none has had one that is
MAIL = Rate(3, 5 * MINUTE)
# mails from one network to addresses that nobody has confirmed, which may be anybody's, from however many accounts
MAIL_ELSEWHERE = Rate(20, MINUTE)
# sign-ins to one account with the right password, and changes of one: each takes everybody's time, and is kept
ENTER = Rate(120, 5 * SECOND)
CHANGE = Rate(120, SECOND)
# sign-ins and changes of one account in the long run, and entries of the audit log about nobody from one network: each
# leaves rows that are kept for months
LASTING = Rate(2000, MINUTE)
# changes that each session of an account has for itself, when the others have used up those of the account
OWN_CHANGES = Rate(20, HOUR)
# attempts at one name, from everywhere, after which it counts as under attack
ATTACK = Rate(50, MINUTE)

FREE = 5
# at a name under attack: each network still has its own first attempts
FREE_UNDER_ATTACK = 2
# six-digit codes for one account, whoever sends them; they have known its password
FREE_CODES = 10
LONGEST = 15 * MINUTE
QUIET = HOUR


class Buckets:
    """One token bucket for each key, as a single number: when the bucket will be full again (GCRA).

    At most `size` keys; the one that has been quiet for longest is forgotten first.
    """

    def __init__(self, rate: Rate, size: int = 50_000) -> None:
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
        _make_room(self._full_at, key, self._size)

    def give_back(self, key: str) -> None:
        """Undo one `take`."""
        if key in self._full_at:
            self._full_at[key] -= self._rate.interval


@dataclass
class _Tries:
    count: int
    last: int


class Delays:
    """For each key some free attempts, then waits that double from a second to 15 minutes; a quiet hour ends them.

    At most `size` keys; the one that has been quiet for longest is forgotten first.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._tries: OrderedDict[Key, _Tries] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tries)

    def wait(self, key: Key, now: int, free: int = FREE) -> int:
        """Milliseconds until `key` may try; 0 for now."""
        tries = self._recent(key, now)
        if tries is None or tries.count < free:
            return 0
        delay = min(LONGEST, SECOND << min(tries.count - free, 20))
        return max(0, tries.last + delay - now)

    def take(self, key: Key, now: int) -> None:
        """One attempt more; ask `wait` first."""
        tries = self._recent(key, now)
        self._tries[key] = _Tries(1 if tries is None else tries.count + 1, now)
        _make_room(self._tries, key, self._size)

    def forget(self, key: Key) -> None:
        """Whoever it was knew what was asked for."""
        self._tries.pop(key, None)

    def _recent(self, key: Key, now: int) -> _Tries | None:
        tries = self._tries.get(key)
        return tries if tries is not None and now - tries.last < QUIET else None


class Limits:
    """The limits of everything that somebody could guess at; all of them lifted when `enabled` is false.

    What is asked raises RateLimited, before anything costly is done. `clock` is a monotonic clock, in milliseconds:
    after a wall clock was set back, everybody would have to wait until it has caught up. Every refusal is recorded.
    """

    def __init__(self, clock: Callable[[], int], *, enabled: bool = True, limit_log: LimitLog | None = None) -> None:
        self._clock = clock
        self._enabled = enabled
        self._limit_log = limit_log
        self._sign_ins, self._sign_ups, self._recoveries = Buckets(SIGN_IN), Buckets(SIGN_UP), Buckets(RECOVER)
        self._mails, self._attacks = Buckets(MAIL), Buckets(ATTACK)
        self._mails_elsewhere = Buckets(MAIL_ELSEWHERE)
        self._entries, self._changes = Buckets(ENTER), Buckets(CHANGE)
        self._lasting, self._notes = Buckets(LASTING), Buckets(LASTING)
        self._own_changes, self._lasting_changes = Buckets(OWN_CHANGES), Buckets(LASTING)
        self._delays = Delays()
        # apart, so that a flood of invented names cannot make us forget them
        self._codes, self._passwords = Delays(), Delays()

    def sign_in(self, address: str, name: str | None) -> None:
        """One attempt more."""
        network = network_of(address)
        key = None if name is None else ("sign_in", name, network)
        self._ask("sign_in_attempts", self._sign_ins, network, key, name, network=network)

    def signed_in(self, address: str, name: str | None) -> None:
        """The attempt was honest."""
        network = network_of(address)
        self._sign_ins.give_back(network)
        if name is not None:
            self._attacks.give_back(name)
            self._delays.forget(("sign_in", name, network))

    def enter(self, user_id: int) -> None:
        """Somebody knows the password: one session more."""
        self._ask("sign_ins_per_account", self._entries, str(user_id), account=user_id)
        self._ask("sign_ins_in_the_long_run", self._lasting, str(user_id), account=user_id)

    def change(self, user_id: int, session_id: int) -> None:
        """Somebody who is signed in changes something about their account.

        By session at first: whoever stole one cannot keep the owner from ending it. Beyond some changes of its own, a
        session uses up those of the account, however many sessions there are.
        """
        session = f"{user_id} {session_id}"
        self._ask("account_changes", self._changes, session, account=user_id)
        if self._own_changes.wait(session, self._clock()):
            self._ask("changes_in_the_long_run", self._lasting_changes, str(user_id), account=user_id)
        else:
            self._own_changes.take(session, self._clock())

    def second_step(self, address: str, user_id: int, *, guessable: bool) -> None:
        """One code more, from somebody who knows the password.

        Six digits are guessable in time, from many networks too, so for those the account has delays of its own. A
        recovery code is not, and is not held up by them: it is the owner's way in even then.
        """
        if not self._enabled:
            return
        network, now = network_of(address), self._clock()
        free: dict[Key, int] = {(user_id, network): FREE}
        if guessable:
            free[(user_id,)] = FREE_CODES
        wait = max(self._sign_ins.wait(network, now), *(self._codes.wait(key, now, free[key]) for key in free))
        self._refuse(wait, "second_step_attempts", account=user_id, network=network)
        self._sign_ins.take(network, now)
        for key in free:
            self._codes.take(key, now)

    def second_step_done(self, address: str, user_id: int) -> None:
        """The code was right."""
        network = network_of(address)
        self._sign_ins.give_back(network)
        self._codes.forget((user_id, network))
        self._codes.forget((user_id,))

    def sign_up(self, address: str) -> None:
        """One account more."""
        network = network_of(address)
        self._ask("sign_ups_per_network", self._sign_ups, network, network=network)

    def recover(self, address: str, name: str | None) -> None:
        """One attempt more, by a code, a link or a mail."""
        network = network_of(address)
        key = None if name is None else ("recover", name, network)
        self._ask("recovery_attempts", self._recoveries, network, key, network=network)

    def recovered(self, address: str, name: str | None) -> None:
        """The attempt was honest."""
        network = network_of(address)
        self._recoveries.give_back(network)
        if name is not None:
            self._delays.forget(("recover", name, network))

    def mail_elsewhere(self, address: str) -> None:
        """Somebody has us write to whatever address they like."""
        network = network_of(address)
        self._ask("mails_per_network", self._mails_elsewhere, network, network=network)

    def may_note(self, address: str) -> bool:
        """Whether one more failure that concerns no account is written down in the audit log."""
        network, now = network_of(address), self._clock()
        if self._enabled and self._notes.wait(network, now):
            return False
        self._notes.take(network, now)
        return True

    def may_mail(self, kind: str, user_id: int) -> bool:
        """Whether one more mail of that kind may be sent for this account."""
        key, now = f"{kind} {user_id}", self._clock()
        if not self._enabled:
            return True
        if self._mails.wait(key, now):
            self._record("mails_per_account", account=user_id)
            return False
        self._mails.take(key, now)
        return True

    def confirm(self, session_id: int, user_id: int | None = None) -> None:
        """Somebody who is signed in says the password once more.

        By session and not by account: to a session that was stolen it is the same, and the owner's own is not held up.
        """
        if not self._enabled:
            return
        now = self._clock()
        self._refuse(self._passwords.wait((session_id,), now), "password_confirmations", account=user_id)
        self._passwords.take((session_id,), now)

    def confirmed(self, session_id: int) -> None:
        """It was the password."""
        self._passwords.forget((session_id,))

    def _ask(
        self,
        limit: str,
        rate: Buckets,
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
            waits.append(self._delays.wait(key, now, FREE_UNDER_ATTACK if attacked else FREE))
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
