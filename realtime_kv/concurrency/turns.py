"""Turns: how much of a round of the event loop one client may take before the others are served.

Deficit round robin over seconds of the event loop's time. A round is one pass of the event loop in which somebody
waits: a client whose share is used up lets everybody pass once, and goes on.

Invariants:
1. A client that has used up its share of a round is served again once its shares make up for what it has used. Who has
   some of it left may take a whole one: what comes together is seldom torn apart, which would cost more than it helps.
2. However many clients there are, a round takes little longer than `round_seconds`: whoever comes later in it waits.
3. Nobody waits in a round that nobody else takes part in: rounds follow each other at once while somebody waits.
4. What waits for the same client keeps its order.

Not thread-safe: everything happens on the event loop.
"""

from collections import deque
from collections.abc import Callable, Hashable

from realtime_kv.core.runtime import Future, Runtime

# what a client may take of one round: a hundred small requests, and when many wait a part of what a round may last
SHARE_SECONDS = 0.004
ROUND_SECONDS = 0.016
# one small request
MIN_SHARE_SECONDS = 0.0001
# clients of which it is remembered what they have used since the last round
MAX_REMEMBERED = 10_000


class Turns:
    """`runtime.call_later(0, fn)` calls `fn` once the event loop has served what is ready now."""

    def __init__(
        self, runtime: Runtime, *, share_seconds: float = SHARE_SECONDS, round_seconds: float = ROUND_SECONDS
    ) -> None:
        self._runtime = runtime
        self._most = share_seconds
        self._round = round_seconds
        # of this round
        self.share = share_seconds
        self._used: dict[Hashable, float] = {}
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        # what all have used since the last round
        self._total = 0.0
        # whose turn is being given at this moment
        self._served: Hashable = None
        self._round_is_due = False

    def left(self, client: Hashable) -> float:
        """For how many seconds `client` may go on in this round; 0.0 when it has to `wait`."""
        if client != self._served and (client in self._waiting or self._total >= self._round):
            return 0.0
        return self.share if self._used.get(client, 0.0) < self.share else 0.0

    def use(self, client: Hashable, seconds: float) -> None:
        """`client` has taken so much time."""
        self._used[client] = self._used.get(client, 0.0) + seconds
        self._total += seconds
        if self._total >= self._round:
            # everybody waits for it
            self._expect_round()
        if len(self._used) > MAX_REMEMBERED:
            self._used.clear()

    def take(self, client: Hashable, seconds: float) -> None:
        """Wait (green) until it is this client's turn; `seconds` of it are used at once."""
        if self.left(client):
            self.use(client, seconds)
            return
        turn: Future[None] = Future()

        def grant() -> None:
            self.use(client, seconds)
            turn.resolve(None)

        self.wait(client, grant)
        self._runtime.wait(turn)

    def wait(self, client: Hashable, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is this client's turn; what it then takes is told by `use`."""
        self._waiting.setdefault(client, deque()).append(go_on)
        self._expect_round()

    def _expect_round(self) -> None:
        if not self._round_is_due:
            self._round_is_due = True
            self._runtime.call_later(0, self._begin_round)

    def _begin_round(self) -> None:
        self._round_is_due = False
        self._total = 0.0
        fair = self._round / max(1, len(self._waiting))
        share = self.share = max(MIN_SHARE_SECONDS, min(self._most, fair))
        self._used = {client: used - share for client, used in self._used.items() if used > share}
        try:
            for client in list(self._waiting):
                self._serve(client)
        finally:
            self._served = None
            if self._waiting:
                self._expect_round()

    def _serve(self, client: Hashable) -> None:
        self._served = client
        line = self._waiting[client]
        # what comes to wait meanwhile waits for another round
        for _ in range(len(line)):
            if self.left(client) <= 0.0:
                return
            line.popleft()()
        if not line:
            del self._waiting[client]
