"""Fair queue: work waits per user, and within a user per credential; the user with the least consumption is next.

Start-time fair queueing: every user has a virtual time, which advances by the cost of the work done for them.

Invariants:
1. The next item belongs to the user with the smallest virtual time. A user who was idle starts at the virtual time of
   the others, so idle time is not saved up.
2. The same holds between the credentials of one user. Items of one credential keep their order.
3. At most `max_running` items of one user are being served.
4. No item of a held credential is served.
5. At most `max_per_user` items of one user wait, and `max_total` of all. Beyond that the last item of the longest queue
   is dropped, so a flood drops its own items.

Not thread-safe: threads that share it hold a lock.
"""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

# finished users whose virtual time is remembered
REMEMBERED = 4096
# in overload, one drop in this many searches for the longest queue
_LOOK_AGAIN = 64


class Queued(Protocol):
    """An item that can wait: its user and credential, and its expected cost. Compared by identity."""

    user: Hashable
    credential: Hashable
    cost: float


Item = TypeVar("Item", bound=Queued)


class _Credential(Generic[Item]):
    __slots__ = ("items", "virtual_time")

    def __init__(self, virtual_time: float) -> None:
        self.virtual_time = virtual_time
        self.items: OrderedDict[Item, None] = OrderedDict()


class _User(Generic[Item]):
    __slots__ = ("count", "credentials", "entry", "key", "running", "virtual_time")

    def __init__(self, key: Hashable, virtual_time: float) -> None:
        self.key = key
        self.virtual_time = virtual_time
        self.credentials: dict[Hashable, _Credential[Item]] = {}
        self.count = 0
        self.running = 0
        # the number of its valid entry in the heap; 0 for none
        self.entry = 0

    def add(self, item: Item, first: bool) -> None:
        credential = self.credentials.get(item.credential)
        if credential is None:
            start = min((other.virtual_time for other in self.credentials.values()), default=0.0)
            credential = self.credentials[item.credential] = _Credential(start)
        credential.items[item] = None
        if first:
            credential.items.move_to_end(item, last=False)
        self.count += 1

    def take(self, held: set[tuple[Hashable, Hashable]]) -> Item:
        free = [named for named in self.credentials.items() if (self.key, named[0]) not in held]
        name, credential = min(free, key=lambda named: named[1].virtual_time)
        item, _ = credential.items.popitem(last=False)
        credential.virtual_time += item.cost
        if not credential.items:
            # a credential that returns starts level with the others, but behind them
            del self.credentials[name]
        self.count -= 1
        return item

    def remove(self, item: Item) -> None:
        credential = self.credentials[item.credential]
        del credential.items[item]
        if not credential.items:
            del self.credentials[item.credential]
        self.count -= 1

    def longest(self) -> _Credential[Item]:
        return max(self.credentials.values(), key=lambda credential: len(credential.items))


class FairQueue(Generic[Item]):
    """Waiting items, and the number of each user's items that are being served."""

    def __init__(self, *, max_running: int, max_per_user: int, max_total: int) -> None:
        self._max_running = max_running
        self._max_per_user = max_per_user
        self._max_total = max_total
        self._users: dict[Hashable, _User[Item]] = {}
        self._finished: OrderedDict[Hashable, float] = OrderedDict()
        self._held: set[tuple[Hashable, Hashable]] = set()
        # users that may be served next: virtual time, number of the entry, user
        self._heap: list[tuple[float, int, _User[Item]]] = []
        self._numbers = itertools.count(1)
        self._clock = 0.0
        self._total = 0
        self._longest: _User[Item] | None = None
        self._drops = 0

    def __len__(self) -> int:
        return self._total

    @property
    def has_ready(self) -> bool:
        """Return whether an item may be served now; may be wrongly true after a removal."""
        return bool(self._heap)

    def waiting(self, user: Hashable) -> int:
        """Return the number of this user's waiting items."""
        found = self._users.get(user)
        return 0 if found is None else found.count

    def push(self, item: Item, *, first: bool = False) -> Item | None:
        """Queue `item` behind the others of its credential, or before them with `first`.

        Returns the item that was dropped for it, which may be `item` itself.
        """
        user = self._users.get(item.user)
        dropped: Item | None = None
        if user is not None and user.count >= self._max_per_user:
            dropped = self._drop_from(user, item)
        elif self._total >= self._max_total:
            dropped = self._drop_from(self._longest_user(), item)
        if dropped is item:
            return item
        # dropping may have emptied the record
        user = self._users.get(item.user)
        if user is None:
            start = max(self._clock, self._finished.pop(item.user, 0.0))
            user = self._users[item.user] = _User(item.user, start)
        user.add(item, first)
        self._total += 1
        if not user.entry and user.running < self._max_running:
            self._enter(user)
        return dropped

    def pop(self) -> Item | None:
        """Take the next item to serve, for which `finish` must be called; None if no item may be served now."""
        while self._heap:
            _, number, user = heapq.heappop(self._heap)
            if user.entry != number:
                continue
            user.entry = 0
            if not self._may_serve(user):
                continue
            item = user.take(self._held)
            self._total -= 1
            self._clock = max(self._clock, user.virtual_time)
            user.virtual_time += item.cost
            user.running += 1
            if user.count and user.running < self._max_running:
                self._enter(user)
            return item
        return None

    def finish(self, item: Item, cost: float) -> None:
        """Record that `item` has been served, and its actual cost."""
        user = self._users[item.user]
        user.running -= 1
        user.virtual_time += cost - item.cost
        credential = user.credentials.get(item.credential)
        if credential is not None:
            credential.virtual_time += cost - item.cost
        if user.count:
            self._enter(user)
        else:
            self._forget_if_idle(user)

    def hold(self, user: Hashable, credential: Hashable) -> None:
        """Serve no item of this credential until `release`."""
        self._held.add((user, credential))

    def release(self, user: Hashable, credential: Hashable) -> None:
        """Serve this credential's items again."""
        self._held.discard((user, credential))
        found = self._users.get(user)
        if found is not None and found.count and not found.entry and found.running < self._max_running:
            self._enter(found)

    def remove(self, item: Item) -> bool:
        """Remove `item` if it still waits, and return whether it did."""
        user = self._users.get(item.user)
        credential = None if user is None else user.credentials.get(item.credential)
        if user is None or credential is None or item not in credential.items:
            return False
        self._remove(user, item)
        return True

    def remove_all(self, user: Hashable, wanted: Callable[[Item], bool]) -> list[Item]:
        """Remove and return this user's waiting items for which `wanted` is true."""
        found = self._users.get(user)
        if found is None:
            return []
        items = [item for credential in found.credentials.values() for item in credential.items if wanted(item)]
        for item in items:
            self._remove(found, item)
        return items

    def clear(self) -> list[Item]:
        """Remove and return all waiting items."""
        return [item for user in list(self._users) for item in self.remove_all(user, lambda _: True)]

    def _remove(self, user: _User[Item], item: Item) -> None:
        user.remove(item)
        self._total -= 1
        if not user.count:
            user.entry = 0
            self._forget_if_idle(user)

    def _may_serve(self, user: _User[Item]) -> bool:
        return not self._held or any((user.key, name) not in self._held for name in user.credentials)

    def _enter(self, user: _User[Item]) -> None:
        if not self._may_serve(user):
            return
        user.entry = next(self._numbers)
        heapq.heappush(self._heap, (user.virtual_time, user.entry, user))

    def _forget_if_idle(self, user: _User[Item]) -> None:
        if user.running or user.count:
            return
        del self._users[user.key]
        if user.virtual_time > self._clock:
            self._finished[user.key] = user.virtual_time
            if len(self._finished) > REMEMBERED:
                self._finished.popitem(last=False)

    def _drop_from(self, user: _User[Item], item: Item) -> Item:
        """Drop and return the last item of the longest queue, or `item` if its own queue would be as long."""
        mine = self._users.get(item.user)
        if mine is not user and user.count <= (0 if mine is None else mine.count) + 1:
            return item
        longest = user.longest()
        if mine is user:
            same = user.credentials.get(item.credential)
            if len(longest.items) <= (0 if same is None else len(same.items)) + 1:
                return item
        last = next(reversed(longest.items))
        self._remove(user, last)
        return last

    def _longest_user(self) -> _User[Item]:
        self._drops += 1
        longest = self._longest
        if longest is None or self._drops % _LOOK_AGAIN == 0 or self._users.get(longest.key) is not longest:
            longest = self._longest = max(self._users.values(), key=lambda user: user.count)
        return longest
