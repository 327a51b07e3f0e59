"""Admission of HTTP requests: in turns, within a network's budget, and with a bound on the bodies held in memory.

Invariants:
1. A request is charged to its credential once that was recognised, and to its network otherwise.
2. What a network or a credential may hold of the memory for bodies leaves room for others.
3. Idle connections are closed, the oldest first, when there is no room for a new one.

A credential counts as recognised if the last request that brought it was (`door.RECOGNISED`): that costs no look-up,
and decides about nothing but turns and room.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

from realtime_kv.accounts.addresses import network_of
from realtime_kv.core.errors import RateLimited, Unavailable
from realtime_kv.core.runtime import Future, Runtime
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.sockets.budgets import REQUEST_COST, NetworkBudget

MIB = 1024 * 1024

# requests of one credential or network before others are served
TURN = 4
# how long a request may wait for its network's budget
MAX_WAIT_SECONDS = 4.0
MAX_KNOWN = 20_000

# bodies in memory: of one network's strangers, of one credential, and of all; small ones have room of their own
LARGE_BODY_BYTES = 64 * 1024
NETWORK_BODY_BYTES = 8 * MIB
CREDENTIAL_BODY_BYTES = 32 * MIB
MAX_BODY_BYTES = 128 * MIB


class Idle(Protocol):
    """A connection that waits for a request."""

    def end_idle(self) -> None:
        """Read what has come, and nothing more."""


@dataclass(eq=False)
class Ticket:
    """One request that was admitted; `payer` is its credential or its network."""

    payer: str | int
    network: str
    credential: int | None
    known: bool
    large_bytes: int = 0
    small_bytes: int = 0


class Admission:
    """Decides when and whether a request is served. Everything here runs on the hub's thread; `admit` waits (green)."""

    def __init__(
        self,
        runtime: Runtime,
        address: Callable[[Mapping[str, Any]], str],
        budget: NetworkBudget | None,
        limit_log: LimitLog,
        *,
        connections_per_network: int | None,
        connections: int,
    ) -> None:
        """Without a `budget` (rate limits are off) only `connections` is bounded."""
        self._runtime = runtime
        self._address = address
        self._budget = budget
        self._limit_log = limit_log
        self._per_network = connections_per_network
        self._most = connections
        self._count = 0
        self._open: Counter[str] = Counter()
        self._idle: OrderedDict[Idle, str] = OrderedDict()
        self._idle_of: dict[str, OrderedDict[Idle, None]] = defaultdict(OrderedDict)
        self._known: OrderedDict[int, None] = OrderedDict()
        self._served: Counter[str | int] = Counter()
        self._waiting: dict[str | int, deque[Future[None]]] = {}
        self._round_is_due = False
        self._bodies: Counter[str | int] = Counter()
        self._large_bytes = self._small_bytes = 0

    # connections

    def connect(self, network: str) -> bool:
        """A connection more of this network; False if it may have no more."""
        if self._per_network is not None and self._open[network] >= self._per_network:
            if not self._idle_of.get(network):
                self._limit_log.record("http_connections", network=network)
                return False
            self._evict(next(iter(self._idle_of[network])))
        elif self._count >= self._most and self._idle:
            self._evict(next(iter(self._idle)))
        self._open[network] += 1
        self._count += 1
        return True

    def disconnect(self, network: str) -> None:
        """A connection less."""
        self._count -= 1
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]

    def idle(self, connection: Idle, network: str) -> None:
        """The connection waits for its next request."""
        self._idle[connection] = network
        self._idle_of[network][connection] = None

    def busy(self, connection: Idle) -> None:
        """A request has begun, or the connection has ended."""
        network = self._idle.pop(connection, None)
        if network is not None:
            del self._idle_of[network][connection]
            if not self._idle_of[network]:
                del self._idle_of[network]

    def _evict(self, connection: Idle) -> None:
        self.busy(connection)
        connection.end_idle()

    # requests

    def admit(self, environ: Mapping[str, Any]) -> Ticket:
        """Wait for this request's turn. Raises RateLimited if its network is too far over its budget."""
        network = network_of(self._address(environ))
        credential = _credential(environ)
        known = credential in self._known
        payer = credential if known and credential is not None else network
        ticket = Ticket(payer, network, credential, known)
        if self._budget is None:
            return ticket
        if not known:
            self._wait_for_budget(network)
        self._wait_for_turn(payer)
        return ticket

    def done(self, ticket: Ticket, *, recognised: bool) -> None:
        """The request has been answered; `recognised`: it was somebody's."""
        self._bodies[ticket.payer] -= ticket.large_bytes + ticket.small_bytes
        if self._bodies[ticket.payer] <= 0:
            del self._bodies[ticket.payer]
        self._large_bytes -= ticket.large_bytes
        self._small_bytes -= ticket.small_bytes
        if self._budget is None or ticket.credential is None:
            return
        if recognised:
            self._known[ticket.credential] = None
            self._known.move_to_end(ticket.credential)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            if not ticket.known:
                self._budget.charge(ticket.network, -REQUEST_COST)
        elif ticket.known:
            self._known.pop(ticket.credential, None)
            self._budget.charge(ticket.network, REQUEST_COST)

    def reserve(self, ticket: Ticket, size: int) -> None:
        """Make room for `size` bytes of a body, until the request is done. Raises RateLimited, Unavailable."""
        if self._budget is None:
            return
        held = self._bodies[ticket.payer] + size
        if held > (CREDENTIAL_BODY_BYTES if ticket.known else NETWORK_BODY_BYTES):
            self._limit_log.record("request_bodies", network=ticket.network)
            raise RateLimited("Too many request bodies at once; send fewer at a time.")
        large = size > LARGE_BODY_BYTES or bool(ticket.large_bytes)
        if (self._large_bytes if large else self._small_bytes) + size > MAX_BODY_BYTES:
            self._limit_log.record("request_bodies_total", network=ticket.network)
            raise Unavailable("The server holds too many request bodies; try again in a moment.")
        self._bodies[ticket.payer] = held
        if large:
            self._large_bytes += size
            ticket.large_bytes += size
        else:
            self._small_bytes += size
            ticket.small_bytes += size

    def _wait_for_budget(self, network: str) -> None:
        assert self._budget is not None
        overdue = self._budget.overdue(network)
        if overdue > MAX_WAIT_SECONDS:
            self._limit_log.record("unauthenticated_work", network=network)
            raise RateLimited(
                "Too many requests without a session from this network; wait a moment.", retry_after=ceil(overdue)
            )
        # charged before it waits, so that several do not all wait for the same moment
        if overdue := self._budget.charge(network, REQUEST_COST):
            self._limit_log.record("unauthenticated_work", network=network)
            self._wait(self._after(overdue))

    def _wait_for_turn(self, payer: str | int) -> None:
        if not self._round_is_due:
            self._round_is_due = True
            self._runtime.call_later(0, self._begin_round)
        if self._served[payer] < TURN and payer not in self._waiting:
            self._served[payer] += 1
            return
        turn: Future[None] = Future()
        self._waiting.setdefault(payer, deque()).append(turn)
        self._wait(turn)

    def _begin_round(self) -> None:
        self._served.clear()
        self._round_is_due = bool(self._waiting)
        if self._waiting:
            self._runtime.call_later(0, self._begin_round)
        for payer, line in list(self._waiting.items()):
            for _ in range(min(TURN, len(line))):
                self._served[payer] += 1
                line.popleft().resolve(None)
            if not line:
                del self._waiting[payer]

    def _after(self, seconds: float) -> Future[None]:
        future: Future[None] = Future()
        self._runtime.call_later(seconds, lambda: future.resolve(None))
        return future

    def _wait(self, future: Future[None]) -> None:
        self._runtime.wait(future)


def _credential(environ: Mapping[str, Any]) -> int | None:
    """What a request is recognised by, as a number that nobody outside can compute; None if it brings nothing."""
    if environ["PATH_INFO"].startswith("/socket.io/"):
        _, found, rest = environ.get("QUERY_STRING", "").partition("sid=")
        return hash(("sid", rest.partition("&")[0])) if found else None
    brought = environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_COOKIE")
    return hash(brought) if any(brought) else None
