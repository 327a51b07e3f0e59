"""Admission control for HTTP requests: fair scheduling, a time budget per network, and bounded memory for bodies.

Invariants:
1. A request is charged to its credential if that is recognised, and to its network otherwise.
2. The memory for bodies that a user, or a network's unrecognised clients, may hold leaves room for others.
3. Idle connections are closed, the oldest first, when there is no room for a new one.

A credential is a token or the id of a Socket.IO session. It is recognised if it belonged to a user when it was last
looked up (`authentication.RECOGNISED`): that costs no look-up, and decides only about scheduling and memory. Other
contents of a request, such as further cookies, do not turn it into another credential.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.concurrency.time_budget import TimeBudget, UserTime
from realtime_kv.concurrency.time_slices import TimeSlices
from realtime_kv.errors import RateLimited, Unavailable
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.engineio.budgets import BYTE_COST, CONNECTION_COST, REQUEST_COST
from realtime_kv.request.addresses import network_of
from realtime_kv.request.authentication import Recognised

MIB = 1024 * 1024

# share of the event loop's time that the requests of one user may take, and their burst; what each credential has for
# itself; and what busy users share equally
USER_SHARE = 0.15
USER_BURST_SECONDS = 0.3
OWN_SHARE = 0.03
OWN_BURST_SECONDS = 0.05
COMMON_SHARE = 0.3
# what reading a request and sending its answer takes, which is not metered
MIN_REQUEST_SECONDS = 0.0005
# what the transaction of an account change takes in the writer, where the writes of others wait for it
ACCOUNT_CHANGE_SECONDS = 0.015
# a request that is answered 429 counts this often: no other budget pays for it
REFUSED_WEIGHT = 2.0
# time of the event loop that one network's unrecognised clients, and all of them, may take before others are served
STRANGER_SHARE_SECONDS = 0.001
STRANGER_ROUND_SECONDS = 0.004
# the longest wait of a request for its network's budget
MAX_WAIT_SECONDS = 4.0
MAX_KNOWN = 20_000

# bodies in memory: of one network's unrecognised clients, of one user, and of all; small ones have a bound of their own
LARGE_BODY_BYTES = 64 * 1024
NETWORK_BODY_BYTES = 8 * MIB
USER_BODY_BYTES = 32 * MIB
MAX_BODY_BYTES = 128 * MIB
# no holder may have more than this share of the free memory for large bodies
SHARE_OF_FREE = 0.25


class Idle(Protocol):
    """A connection that waits for a request."""

    def end_idle(self) -> None:
        """Stop reading; only data that has already arrived is served."""

    def move_idle(self) -> None:
        """Go on in the worker that takes over."""


@dataclass(eq=False)
class Ticket:
    """An admitted request. `payer` is its credential or its network; `user` is known with the credential."""

    payer: str | int
    user: int | None
    network: str
    credential: int | None
    known: bool
    large_bytes: int = 0
    small_bytes: int = 0

    @property
    def holder(self) -> str | int:
        """The user, or else the payer, that its body is counted for."""
        return self.user or self.payer


class Admission:
    """Decides when and whether a request is served. Runs on the event loop's thread; `admit` blocks its greenlet."""

    def __init__(
        self,
        runtime: Runtime,
        address: Callable[[Mapping[str, Any]], str],
        token: Callable[[Mapping[str, Any]], str],
        budget: TimeBudget[str] | None,
        limit_log: LimitLog,
        *,
        connections_per_network: int | None,
        connections: int,
    ) -> None:
        """Without a `budget` (rate limits are off) only `connections` is bounded."""
        self._runtime = runtime
        self._address = address
        self._token = token
        self._budget = budget
        self._time = UserTime(
            share=USER_SHARE,
            burst_seconds=USER_BURST_SECONDS,
            own_share=OWN_SHARE,
            own_burst_seconds=OWN_BURST_SECONDS,
            common_share=COMMON_SHARE,
        )
        self._limit_log = limit_log
        self._per_network = connections_per_network
        self._most = connections
        self._count = 0
        self._open: Counter[str] = Counter()
        self._idle: OrderedDict[Idle, str] = OrderedDict()
        self._idle_of: dict[str, OrderedDict[Idle, None]] = defaultdict(OrderedDict)
        # user id of each recognised credential; 0 if that is not known
        self._known: OrderedDict[int, int] = OrderedDict()
        self._slices = TimeSlices(runtime)
        self._stranger_slices = TimeSlices(
            runtime, share_seconds=STRANGER_SHARE_SECONDS, round_seconds=STRANGER_ROUND_SECONDS
        )
        self._bodies: Counter[str | int] = Counter()
        self._large_bytes = self._small_bytes = 0

    # connections

    def connect(self, network: str) -> bool:
        """Count one more connection of this network; return False if it may have no more."""
        if self._per_network is not None and self._open[network] >= self._per_network:
            if not self._idle_of.get(network):
                self._limit_log.record("http_connections", network=network)
                return False
            self._evict(next(iter(self._idle_of[network])))
        elif self._count >= self._most and self._idle:
            self._evict(next(iter(self._idle)))
        self._open[network] += 1
        self._count += 1
        # behind proxies it is not the network of whoever asks
        if self._budget is not None and self._per_network and self._budget.charge(network, CONNECTION_COST):
            # its requests without a session wait for that
            self._limit_log.record("unauthenticated_work", network=network)
        return True

    def disconnect(self, network: str) -> None:
        """Count one connection less of this network."""
        self._count -= 1
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._count

    def move_idle(self) -> None:
        """Move every connection that waits for a request to the worker that takes over."""
        for connection in list(self._idle):
            connection.move_idle()

    def idle(self, connection: Idle, network: str) -> None:
        """Note that the connection waits for its next request."""
        self._idle[connection] = network
        self._idle_of[network][connection] = None

    def busy(self, connection: Idle) -> None:
        """Note that a request has begun, or that the connection has ended."""
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
        """Wait until this request may be served. Raises RateLimited if its network is too far over its budget."""
        network = network_of(self._address(environ))
        credential = self._credential(environ)
        user = None if credential is None else self._known.get(credential)
        known = user is not None
        payer = network if credential is None or user is None else credential
        ticket = Ticket(payer, user or None, network, credential, known)
        if self._budget is None:
            return ticket
        if not known:
            self._wait_for_budget(network)
        elif credential is not None:
            while overdue := self._time.overdue(user or credential, credential):
                self._limit_log.record("processor_time", account=user, network=network)
                self._wait(self._after(overdue))
        self._slices_of(ticket).take(payer, REQUEST_COST)
        return ticket

    def done(
        self,
        ticket: Ticket,
        recognised: Recognised | None,
        *,
        too_much: bool = False,
        account_change: bool = False,
        seconds: float = 0.0,
    ) -> None:
        """Release an answered request. `too_much`: it was answered 429; `recognised`: see `authentication.RECOGNISED`.

        The request took `seconds` of processor time, of which REQUEST_COST was charged at admission.
        """
        if self._budget is not None and seconds > REQUEST_COST:
            self._slices_of(ticket).use(ticket.payer, seconds - REQUEST_COST)
            if not ticket.known:
                self._budget.charge(ticket.network, seconds - REQUEST_COST)
        if ticket.known and ticket.credential is not None:
            used = max(seconds, MIN_REQUEST_SECONDS) * (REFUSED_WEIGHT if too_much else 1)
            used += ACCOUNT_CHANGE_SECONDS if account_change else 0.0
            self._time.charge(ticket.user or ticket.credential, ticket.credential, used)
        self._bodies[ticket.holder] -= ticket.large_bytes + ticket.small_bytes
        if self._bodies[ticket.holder] <= 0:
            del self._bodies[ticket.holder]
        self._large_bytes -= ticket.large_bytes
        self._small_bytes -= ticket.small_bytes
        if self._budget is None or ticket.credential is None or recognised is None:
            return
        credential, user = recognised
        if credential and hash(credential) == ticket.credential:
            self._known[ticket.credential] = user or 0
            self._known.move_to_end(ticket.credential)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            if not ticket.known:
                self._budget.charge(ticket.network, -REQUEST_COST)
        else:
            self._known.pop(ticket.credential, None)
            if ticket.known:
                self._budget.charge(ticket.network, REQUEST_COST)

    def reserve(self, ticket: Ticket, size: int) -> None:
        """Reserve memory for `size` bytes of a body until the request is done. Raises RateLimited, Unavailable."""
        if self._budget is None:
            return
        held = self._bodies[ticket.holder] + size
        large = size > LARGE_BODY_BYTES or bool(ticket.large_bytes)
        most = USER_BODY_BYTES if ticket.known else NETWORK_BODY_BYTES
        if large:
            # the fuller the memory, the less for each holder, so that a few cannot fill it
            most = min(most, int((MAX_BODY_BYTES - self._large_bytes) * SHARE_OF_FREE))
        if held > max(most, LARGE_BODY_BYTES):
            self._limit_log.record("request_bodies", account=ticket.user, network=ticket.network)
            raise RateLimited("Too many request bodies at once; send fewer at a time.")
        if not ticket.known:
            self._budget.charge(ticket.network, size * BYTE_COST)
        if (self._large_bytes if large else self._small_bytes) + size > MAX_BODY_BYTES:
            self._limit_log.record("request_bodies_total", account=ticket.user, network=ticket.network)
            raise Unavailable("The server holds too many request bodies; try again in a moment.")
        self._bodies[ticket.holder] = held
        if large:
            self._large_bytes += size
            ticket.large_bytes += size
        else:
            self._small_bytes += size
            ticket.small_bytes += size

    def _slices_of(self, ticket: Ticket) -> TimeSlices:
        return self._slices if ticket.known else self._stranger_slices

    def _wait_for_budget(self, network: str) -> None:
        assert self._budget is not None
        overdue = self._budget.overdue(network)
        if overdue > MAX_WAIT_SECONDS:
            self._limit_log.record("unauthenticated_work", network=network)
            raise RateLimited(
                "Too many requests without a session from this network; wait a moment.", retry_after=ceil(overdue)
            )
        # charged before the wait, so that several requests do not all wait for the same moment
        if overdue := self._budget.charge(network, REQUEST_COST):
            self._limit_log.record("unauthenticated_work", network=network)
            self._wait(self._after(overdue))

    def _credential(self, environ: Mapping[str, Any]) -> int | None:
        """Return the credential of a request as a number that outsiders cannot compute; None if it has none."""
        if environ["PATH_INFO"].startswith("/socket.io/"):
            brought = _socket_id(environ.get("QUERY_STRING", ""))
        else:
            brought = self._token(environ)
        return hash(brought) if brought else None

    def _after(self, seconds: float) -> Future[None]:
        future: Future[None] = Future()
        self._runtime.call_later(seconds, lambda: future.resolve(None))
        return future

    def _wait(self, future: Future[None]) -> None:
        self._runtime.wait(future)


def _socket_id(query: str) -> str:
    """Return the id of the Socket.IO session; one spelt in another way is not recognised."""
    for field in query.split("&"):
        if field.startswith("sid="):
            return field[4:]
    return ""
