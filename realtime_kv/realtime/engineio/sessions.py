"""Session registry: all Engine.IO sessions, their limits and their deadlines.

A connection is closed if it never joins, answers no ping, takes none of the data that waits for it, or does not finish
its upgrade. The number of connections of an address is bounded.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realtime_kv.concurrency.pauses import Pauses
from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.concurrency.time_slices import TimeSlices
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.engineio.budgets import OPEN_COST
from realtime_kv.realtime.engineio.deadlines import DeadlineQueue
from realtime_kv.realtime.engineio.interfaces import MessageHandler
from realtime_kv.realtime.engineio.packets import Frame
from realtime_kv.realtime.engineio.session import EngineIOSession
from realtime_kv.realtime.engineio.websocket import WebSocket
from realtime_kv.request.addresses import network_of

MIB = 1024 * 1024
MESSAGE_BYTES = MIB


def peer_address(environ: Mapping[str, Any]) -> str:
    """Return the address of the peer of the TCP connection."""
    return str(environ.get("REMOTE_ADDR", ""))


@dataclass(frozen=True)
class Limits:
    """Limits of one client; times in seconds."""

    message_bytes: int = MESSAGE_BYTES
    # the longest message before a CONNECT has been accepted; a CONNECT needs no more than a token
    stranger_bytes: int = 64 * 1024
    # if more than this waits for a slow tab, behind the frame being sent, the next frame disconnects it
    waiting_bytes: int = 2 * MIB
    # the longest time in which it takes none of the waiting data
    stall_seconds: float = 10.0
    # the longest time that it is connected without having joined
    join_seconds: float = 10.0
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    # None: no cap
    connections_per_address: int | None = None
    address: Callable[[Mapping[str, Any]], str] = peer_address
    # time budget of clients that are not signed in, by network; None: no limit
    network_budget: TimeBudget[str] | None = None
    # where reached limits are recorded
    limit_log: LimitLog | None = None
    # returns the error message for a page of an origin that is not allowed
    refuse_origin: Callable[[Mapping[str, Any]], str] = lambda _environ: "Not an accepted origin."


# the event loop's time that all clients that have not joined may take before others are served
STRANGER_ROUND_SECONDS = 0.004


class TooMany(Exception):
    """The address has reached its limit of connections."""


class Closing(Exception):
    """No more connections are accepted: the server stops."""


class SessionRegistry:
    """All connections by id; `joined` has the ids of those that are tabs."""

    def __init__(
        self,
        limits: Limits,
        receiver: MessageHandler,
        runtime: Runtime,
        *,
        spawn: Callable[..., None],
        work: Callable[[str, bytes], None],
        left: Callable[[str, str], None],
    ) -> None:
        self.limits = limits
        self.receiver = receiver
        self.runtime = runtime
        self.spawn = spawn
        self.work = work
        self.left = left
        self.slices = TimeSlices(runtime)
        self.stranger_slices = TimeSlices(
            runtime, share_seconds=STRANGER_ROUND_SECONDS / 4, round_seconds=STRANGER_ROUND_SECONDS
        )
        self.pauses = Pauses(runtime)
        self.by_sid: dict[str, EngineIOSession] = {}
        self.joined: set[str] = set()
        # WebSockets whose TCP connection is open, including those that are being closed
        self.open_websockets = 0
        self._closing = False
        self._networks: Counter[str] = Counter()
        self._pings = DeadlineQueue(limits.ping_interval, self._ping, runtime.call_later)
        self._pongs = DeadlineQueue(limits.ping_timeout, self._expect_pong, runtime.call_later)
        self._joins = DeadlineQueue(limits.join_seconds, self._expect_join, runtime.call_later)
        self._probes = DeadlineQueue(limits.join_seconds, self._expect_upgrade, runtime.call_later)
        self._polls = DeadlineQueue(limits.stall_seconds, self._expect_poll, runtime.call_later)

    def open(self, sid: str, environ: Mapping[str, Any]) -> EngineIOSession:
        """Register a new connection. Raises TooMany, Closing."""
        if self._closing:
            raise Closing
        network = network_of(self.limits.address(environ))
        cap = self.limits.connections_per_address
        if cap is not None and self._networks[network] >= cap:
            self._record("connections_per_address", network=network)
            raise TooMany
        self.charge(network, OPEN_COST)
        connection = self.by_sid[sid] = EngineIOSession(self, sid, network)
        self._networks[network] += 1
        self._joins.add(sid)
        self._pings.add(sid)
        return connection

    def begin_upgrade(self, connection: EngineIOSession, probe: WebSocket) -> None:
        """Start the upgrade of `connection` to the WebSocket `probe`, with a deadline."""
        probe.frames.message_bytes = min(self.limits.message_bytes, self.limits.stranger_bytes)
        connection.probe = probe
        self._probes.add((connection.sid, probe))

    def send(self, sid: str, frames: Sequence[Frame]) -> bool:
        """Send; return False if there is no such connection."""
        connection = self.by_sid.get(sid)
        if connection is None:
            return False
        connection.send(frames)
        return True

    def resume(self, sid: str) -> None:
        """Resume reading: the receiver is no longer busy with this connection."""
        connection = self.by_sid.get(sid)
        if connection is not None:
            connection.resume()

    def close_all(self, reason: str) -> None:
        """Close every connection after its queued messages, and accept no more; the clients reconnect by themselves."""
        self._closing = True
        self.close_all_for_reconnect(reason)

    def close_all_for_reconnect(self, reason: str) -> None:
        """Close every connection after its queued messages; the clients reconnect by themselves."""
        for connection in list(self.by_sid.values()):
            connection.close(reason, code=1001)

    def join(self, sid: str) -> None:
        """Note that a CONNECT has been accepted."""
        self.joined.add(sid)
        self._adjust_limit(sid)

    def leave(self, sid: str) -> None:
        """Note that it is no longer a tab; if the connection stays, it must join again soon."""
        self.joined.discard(sid)
        if sid in self.by_sid:
            self._joins.add(sid)
            self._adjust_limit(sid)

    # called by a connection

    def alive(self, connection: EngineIOSession) -> None:
        self._pings.add(connection.sid)

    def queued(self, connection: EngineIOSession) -> None:
        self._polls.add(connection.sid)

    def forget(self, connection: EngineIOSession) -> None:
        if self.by_sid.pop(connection.sid, None) is not None:
            self._networks[connection.network] -= 1
            if not self._networks[connection.network]:
                del self._networks[connection.network]

    def on_end(self, websocket: WebSocket) -> None:
        self.open_websockets -= 1

    def charge(self, network: str, seconds: float) -> float:
        """Charge work for a client that has not joined; return how long its network is over its budget."""
        budget = self.limits.network_budget
        if budget is None:
            return 0.0
        overdue = budget.charge(network, seconds)
        if overdue:
            self._record("unauthenticated_work", network=network)
        return overdue

    def record(self, limit: str, connection: EngineIOSession) -> None:
        self._record(limit, account=self.receiver.account(connection.sid), network=connection.network)

    def _record(self, limit: str, **who: Any) -> None:
        if self.limits.limit_log is not None:
            self.limits.limit_log.record(limit, **who)

    def _adjust_limit(self, sid: str) -> None:
        connection = self.by_sid.get(sid)
        if connection is not None and connection.websocket is not None:
            connection.websocket.frames.message_bytes = connection.message_bytes

    # deadlines

    def _ping(self, sid: str) -> None:
        connection = self.by_sid.get(sid)
        if connection is not None:
            connection.ping()
            self._pongs.add(sid)

    def _expect_pong(self, sid: str) -> None:
        connection = self.by_sid.get(sid)
        if connection is None or not connection.unanswered:
            return
        # it cannot answer while we do not read, nor in the middle of a long message
        if connection.held or connection.heard():
            self._pongs.add(sid)
        else:
            connection.cut("ping timeout")

    def _expect_join(self, sid: str) -> None:
        connection = self.by_sid.get(sid)
        if connection is None or sid in self.joined:
            return
        if connection.working:
            self._joins.add(sid)
        else:
            connection.close("transport error")

    def _expect_upgrade(self, attempt: tuple[str, WebSocket]) -> None:
        sid, probe = attempt
        connection = self.by_sid.get(sid)
        if connection is not None and connection.probe is probe:
            probe.cut("transport error")

    def _expect_poll(self, sid: str) -> None:
        connection = self.by_sid.get(sid)
        if connection is not None and connection.stalled(self.limits.stall_seconds):
            connection.cut("too slow")
