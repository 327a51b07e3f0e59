"""Event loop scheduler: limits the time that one client may take of a round before the others are served.

Deficit round robin over seconds of the event loop's time. In a round, every client that waits is served once: a client
whose share is used up lets all others pass once, and continues. A round takes as many passes of the event loop as it
needs.

Invariants:
1. A client that has used up its share of a round is served again once its shares make up for its use. A client with
   some of its share left may take a whole one: work that arrives together is seldom split, which would cost more than
   it helps.
2. However many clients there are, a round takes little longer than `round_seconds`, or than `MIN_SHARE_SECONDS` for
   each waiting client, and a pass little longer than `pass_seconds`: what arrives later waits for the next pass.
3. A client that has used nothing lately is served in the next pass, and does not wait for the next round. Nevertheless,
   each pass serves at least one of the clients that do.
4. While several clients are active, shares are a quarter of what a single client gets: an answer takes several passes
   of the event loop, and each is as long as the share of the busiest client.
5. No client waits in a round that no other client takes part in: rounds follow each other immediately while clients
   wait.
6. Work that waits for the same client keeps its order.

Not thread-safe: everything runs on the event loop.
"""

from collections import deque
from collections.abc import Callable, Hashable

from realtime_kv.concurrency.runtime import Future, Runtime

# maximum share of one client: some forty small requests; a part of the maximum round when many clients wait
SHARE_SECONDS = 0.004
ROUND_SECONDS = 0.016
# maximum of one pass, because an answer takes several passes
PASS_SECONDS = 0.004
# part of the share while several clients are active, and the rounds for which that is remembered
SHARED = 0.25
SHARED_ROUNDS = 50
# the time of one small request
MIN_SHARE_SECONDS = 0.0001
# clients whose use since the last round is remembered
MAX_REMEMBERED = 10_000


class TimeSlices:
    """The scheduler; `runtime.call_later(0, fn)` calls `fn` once the event loop has served the work ready now."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        share_seconds: float = SHARE_SECONDS,
        round_seconds: float = ROUND_SECONDS,
        pass_seconds: float = PASS_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._most = share_seconds
        self._round = round_seconds
        self._pass = pass_seconds
        # the share in this round
        self.share = share_seconds
        self._used: dict[Hashable, float] = {}
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        # the client that was charged last, and the rounds left in which several clients are assumed to be active
        self._last: Hashable = None
        self._shared_rounds = 0
        # time used by all clients since the last pass
        self._total = 0.0
        # the clients that this round has still to serve, and those that precede them
        self._left: deque[Hashable] = deque()
        self._first: deque[Hashable] = deque()
        # the client that is being served now
        self._served: Hashable = None
        self._pass_is_due = False

    def left(self, client: Hashable) -> float:
        """Return the seconds for which `client` may continue in this round; 0.0 if it has to `wait`."""
        if client != self._served and (client in self._waiting or self._total >= self._pass):
            return 0.0
        return self.share if self._used.get(client, 0.0) < self.share else 0.0

    def use(self, client: Hashable, seconds: float) -> None:
        """Charge `client` with this much time."""
        self._used[client] = self._used.get(client, 0.0) + seconds
        if client != self._last:
            if self._last is not None:
                self._shared_rounds = SHARED_ROUNDS
                self.share = min(self.share, SHARED * self._most)
            self._last = client
        self._total += seconds
        if self._total >= self._pass:
            # all clients wait for the next pass
            self._expect_pass()
        if len(self._used) > MAX_REMEMBERED:
            self._used.clear()

    def take(self, client: Hashable, seconds: float) -> None:
        """Block the green thread until it is this client's turn, and charge `seconds` of it immediately."""
        if self.left(client):
            self.use(client, seconds)
            return
        granted: Future[None] = Future()

        def grant() -> None:
            self.use(client, seconds)
            granted.resolve(None)

        self.wait(client, grant)
        self._runtime.wait(granted)

    def wait(self, client: Hashable, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is this client's turn; the time it takes is reported with `use`."""
        line = self._waiting.get(client)
        if line is None:
            line = self._waiting[client] = deque()
            if client not in self._used:
                self._first.append(client)
        line.append(go_on)
        self._expect_pass()

    def _expect_pass(self) -> None:
        if not self._pass_is_due:
            self._pass_is_due = True
            self._runtime.call_later(0, self._begin_pass)

    def _begin_pass(self) -> None:
        """Serve clients of this round, or of the next one, until the time of one pass is used."""
        self._pass_is_due = False
        self._total = 0.0
        if not self._left:
            self._begin_round()
        try:
            while self._first and self._total < self._pass:
                self._serve(self._first.popleft())
            # one in any case: those that wait must not starve because new clients keep arriving
            if self._left:
                self._serve(self._left.popleft())
            while self._left and self._total < self._pass:
                self._serve(self._left.popleft())
        finally:
            self._served = None
            if self._waiting:
                self._expect_pass()

    def _begin_round(self) -> None:
        fair = self._round / max(1, len(self._waiting))
        most = self._most * SHARED if self._shared_rounds else self._most
        self._shared_rounds = max(0, self._shared_rounds - 1)
        share = self.share = max(MIN_SHARE_SECONDS, min(most, fair))
        self._used = {client: used - share for client, used in self._used.items() if used > share}
        first = set(self._first)
        self._left.extend(client for client in self._waiting if client not in first)

    def _serve(self, client: Hashable) -> None:
        line = self._waiting.get(client)
        if line is None:
            return
        self._served = client
        # callbacks that are added meanwhile wait for another round
        for _ in range(len(line)):
            if self.left(client) <= 0.0:
                return
            line.popleft()()
        if not line:
            del self._waiting[client]
