"""Limit log: which limits were reached lately, how often, and by which account, credential or network.

Invariants:
1. Bounded: at most `MAX_ROWS` rows, the one that was quiet longest is dropped first.
2. Callable from any thread, and cheap: one dict update for each refusal.
3. Holds ids, public token ids and addresses; never a key, a value or a secret.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

MAX_ROWS = 500


@dataclass(frozen=True)
class LimitReached:
    """One limit and who reached it; `first` and `last` in milliseconds since 1970, `count` since `first`.

    `account` is a user's id, `credential` the public id of a session or token, `network` an address or an IPv6 /64.
    """

    limit: str
    account: int | None
    credential: str | None
    network: str | None
    first: int
    last: int
    count: int


class LimitLog:
    """Counts refusals and disconnections by limit, account, credential and network."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: OrderedDict[tuple[str, int | None, str | None, str | None], LimitReached] = OrderedDict()
        self.total = 0
        # by limit, since the start
        self._totals: Counter[str] = Counter()

    def record(
        self, limit: str, *, account: int | None = None, credential: str | None = None, network: str | None = None
    ) -> None:
        """Count one refusal or disconnection by `limit`, a short fixed name such as `verbs_per_second`."""
        now, who = self._clock(), (limit, account, credential, network)
        with self._lock:
            self.total += 1
            self._totals[limit] += 1
            row = self._rows.get(who)
            if row is None:
                self._rows[who] = LimitReached(limit, account, credential, network, now, now, 1)
                if len(self._rows) > MAX_ROWS:
                    self._rows.popitem(last=False)
            else:
                self._rows[who] = replace(row, last=now, count=row.count + 1)
                self._rows.move_to_end(who)

    def totals(self) -> dict[str, int]:
        """Return how often each limit was reached since the start."""
        with self._lock:
            return dict(self._totals)

    def recent(self) -> list[LimitReached]:
        """Return all rows, the latest first."""
        with self._lock:
            return list(reversed(self._rows.values()))
