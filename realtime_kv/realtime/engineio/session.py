"""One Engine.IO session: long-polling until it is upgraded to WebSocket, or WebSocket from the start.

Invariants:
1. Messages are handled in the order in which they were sent, over either transport.
2. Under WebSocket nothing is queued here; under polling the messages that wait for the next poll are bounded.
3. A session that has ended handles and sends nothing more.
4. The end is reported once, after a CONNECT that was still being answered.

Longer than 320 lines: the state machine of a session, which both transports share.
"""

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from realtime_kv.concurrency.pauses import Pauses
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.concurrency.time_slices import TimeSlices
from realtime_kv.errors import Unavailable
from realtime_kv.realtime.engineio import budgets, packets
from realtime_kv.realtime.engineio.budgets import FrameBudget
from realtime_kv.realtime.engineio.packets import Binary, Buffer, Frame, Violation
from realtime_kv.realtime.engineio.websocket import WebSocket

log = logging.getLogger(__name__)

PING = Frame(packets.PING)
PROBE_ANSWER = Frame(packets.PROBE_ANSWER)
DISCONNECT = Frame(packets.DISCONNECT)
# stock clients in Python refuse an answer with more (`max_decode_packets` of python-engineio)
MAX_POLL_PACKETS = 16
UPGRADING_POLL_SECONDS = 0.1


class MessageHandler(Protocol):
    """The message handler (the gateway): called on the event loop, and must not wait."""

    def receive(self, eio_sid: str, ack_id: int | None, body: bytes) -> None:
        """Handle an event of a connected tab: `body` is its JSON array, UTF-8 but unparsed. In the order of sending."""

    def flush(self) -> None:
        """Note that all events that arrived together have been given to `receive`."""

    def account(self, eio_sid: str) -> int | None:
        """Return the id of the user whose tab this is, for the limit log; None for a connection that is no tab."""

    def credential(self, eio_sid: str) -> Hashable:
        """Return the session or token of this tab: the unit of `pause`."""

    def busy(self, eio_sid: str) -> bool:
        """Return True if nothing more is read from this tab until `engine.resume(eio_sid)`: too much is unanswered."""

    def used(self, eio_sid: str, seconds: float) -> None:
        """Charge the tab's user for the time that handling its data has taken."""

    def pause(self, eio_sid: str) -> float:
        """Return for how many seconds nothing is read from this tab: its user's requests have taken too much time."""


class SessionHost(Protocol):
    """The session registry, as a connection uses it."""

    limits: Any
    receiver: MessageHandler
    runtime: Runtime
    joined: set[str]
    slices: TimeSlices
    stranger_slices: TimeSlices
    pauses: Pauses

    # runs a function in a greenlet of its own, which may wait
    spawn: Callable[..., None]
    # processes a CONNECT or DISCONNECT
    work: Callable[[str, bytes], None]
    # reports that a connection has ended, and why
    left: Callable[[str, str], None]

    # charges seconds of work to a network; returns how long it must wait
    def charge(self, network: str, seconds: float) -> float: ...
    # records that a limit was reached
    def record(self, limit: str, connection: "EngineIOSession") -> None: ...
    def alive(self, connection: "EngineIOSession") -> None: ...
    def queued(self, connection: "EngineIOSession") -> None: ...
    def forget(self, connection: "EngineIOSession") -> None: ...
    def on_end(self, websocket: WebSocket) -> None: ...


class EngineIOSession:
    """An Engine.IO session; a tab, once it has joined the namespace `/`."""

    __slots__ = (
        "_behind",
        "_budget",
        "_empty",
        "_enough",
        "_host",
        "_poll",
        "_posting",
        "_queue",
        "_queued_since",
        "_resumed",
        "_why",
        "closed",
        "network",
        "payer",
        "probe",
        "session",
        "sid",
        "slices",
        "unanswered",
        "upgrading",
        "websocket",
        "working",
    )

    def __init__(self, host: SessionHost, sid: str, network: str) -> None:
        self._host = host
        self.sid = sid
        self.network = network
        # the unit of fair scheduling: its user, or its network before it has joined
        self.payer: int | str = network
        self.slices = host.stranger_slices
        self.websocket: WebSocket | None = None
        self.probe: WebSocket | None = None
        self.upgrading = False
        self.closed = False
        # a CONNECT or DISCONNECT is being processed, in a greenlet of its own
        self.working = False
        # a ping has not been answered so far
        self.unanswered = False
        self.session: dict[str, Any] | None = None
        self._queued_since = 0.0
        # the end of the time slice of a POST
        self._enough = 0.0
        self._why = ""
        self._queue: list[bytes] = []
        # queued bytes, without the first message
        self._behind = 0
        self._poll: Future[None] | None = None
        self._posting = False
        self._resumed: Future[None] | None = None
        self._budget = FrameBudget()
        # packets without content that have not been charged yet
        self._empty = 0

    @property
    def joined(self) -> bool:
        """True for a tab: its CONNECT has been accepted."""
        return self.sid in self._host.joined

    @property
    def message_bytes(self) -> int:
        """The longest message or POST that is accepted from it now."""
        limits = self._host.limits
        return int(limits.message_bytes if self.joined else min(limits.message_bytes, limits.stranger_bytes))

    @property
    def held(self) -> bool:
        """True while we do not read from it, so that it cannot show that it is alive."""
        return self.working or self._host.receiver.busy(self.sid)

    def stalled(self, seconds: float) -> bool:
        """Return True if a message has waited for a poll for this many seconds."""
        # during an upgrade polls return empty, and the upgrade has its own deadline
        waits = bool(self._queue) and not self.upgrading
        return waits and time.monotonic() - self._queued_since >= seconds - 0.001

    def send(self, frames: Sequence[Frame]) -> None:
        """Send all `frames`, in one piece if the transport allows it. Does nothing if the client is gone."""
        if self.closed:
            return
        if self.websocket is not None:
            if len(frames) == 1:
                self.websocket.send(frames[0].wire, *frames[0].rest)
            else:
                self.websocket.send(*_together(frames))
        elif self._behind > self._host.limits.waiting_bytes:
            self.cut("too slow")
        else:
            for frame in frames:
                self._enqueue(frame.payload)

    def heard(self) -> bool:
        """Return True if any data has arrived since the last call, or since the ping."""
        websocket = self.websocket
        if websocket is None or not websocket.heard:
            return False
        websocket.heard = False
        return True

    def ping(self) -> None:
        """Send a ping and expect a sign of life."""
        self.unanswered = True
        if self.websocket is not None:
            self.websocket.heard = False
        self.send([PING])

    def resume(self) -> None:
        """Resume reading: the receiver can take more."""
        if self._resumed is not None:
            resumed, self._resumed = self._resumed, None
            resumed.resolve(None)
        elif self.websocket is not None and not self.working:
            self.websocket.go_on()

    def spend(self, frames: int) -> None:
        """Charge work that completes no event, counted in frames. Raises Violation if it is too much."""
        if not self._budget.take(frames if self.joined else frames * budgets.STRANGER_WEIGHT):
            self._host.record("empty_frames", self)
            raise Violation("too many frames or packets without content")

    def close(self, reason: str, *, code: int = 1000, deliberate: bool = False, explanation: str = "") -> None:
        """Close after the queued messages; `deliberate` tells the client's socket.io not to reconnect by itself."""
        if self.closed:
            return
        if deliberate and self.sid in self._host.joined:
            self.send([DISCONNECT])
        if self.websocket is not None:
            self.websocket.close(code, reason, explanation)
        elif self._queue or self._poll is not None:
            # no CLOSE after a DISCONNECT: the stock client processes the CLOSE first
            if not (deliberate and self._queue):
                self._enqueue(packets.CLOSE)
            # kept until the next poll, or until the deadline for polls
            self._host.queued(self)
            self._mark_closed(reason)
        else:
            self.cut(reason)

    def close_discarding(self, reason: str, *, code: int = 1000, explanation: str = "") -> None:
        """Close without sending the queue: the client closed first or broke the protocol."""
        # a client that we have closed may still fetch the reason, even if it was sending at that moment
        if not self.closed:
            self._clear()
        self.close(reason, code=code, explanation=explanation)

    def cut(self, reason: str) -> None:
        """Close at once; data that was not taken is lost."""
        if self.websocket is not None:
            self.websocket.cut(reason)
        else:
            self._clear()
            self._host.forget(self)
            self._mark_closed(reason)
            self._wake_poll()

    # polling

    def poll(self) -> bytes:
        """Return the queued messages, as soon as there are any; blocks the greenlet.

        Raises Violation for a second poll at the same time.
        """
        if self._poll is not None:
            raise Violation("two polls at a time")
        if not self._queue and not self.upgrading and not self.closed:
            self._poll = Future()
            try:
                self._host.runtime.wait(self._poll, self._host.limits.ping_interval + self._host.limits.ping_timeout)
            except Unavailable:
                self.close("ping timeout")
            finally:
                self._poll = None
        elif self.upgrading:
            # slows down a client that keeps polling during the upgrade, which it could do without pause
            self._poll = Future()
            try:
                self._wait(UPGRADING_POLL_SECONDS, self._poll)
            finally:
                self._poll = None
        # woken without a message: for an upgrade, which may have failed by now
        if self.upgrading or self.websocket is not None or not (self._queue or self.closed):
            self.spend(budgets.EMPTY_POLL_FRAMES)
            return packets.NOOP
        return packets.SEPARATOR.join(self._take())

    def _take(self) -> list[bytes]:
        """Return the messages for one poll; the rest waits for another one."""
        taken, self._queue = self._queue[:MAX_POLL_PACKETS], self._queue[MAX_POLL_PACKETS:]
        if self._queue:
            self._behind -= sum(map(len, taken[1:])) + len(self._queue[0])
            self._queued_since = time.monotonic()
            self._host.queued(self)
        else:
            self._behind = 0
            if self.closed:
                self._host.forget(self)
        return taken

    def post(self, body: bytes) -> None:
        """Handle every message of `body`; blocks the greenlet while the receiver is busy.

        Raises Violation; then not all messages have been handled.
        """
        if self._posting:
            raise Violation("two POSTs at a time")
        packets.check_text(body)
        self._posting = True
        try:
            self._hear_all(body.split(packets.SEPARATOR))
        finally:
            self._posting = False
            self._host.receiver.flush()

    def _hear_all(self, messages: list[bytes]) -> None:
        receiver = self._host.receiver
        if not any(message.startswith(b"4") for message in messages):
            self.spend(budgets.EMPTY_POLL_FRAMES)
        for message in messages:
            if self.closed or self.websocket is not None:
                raise Violation("packets behind the end")
            if perf_counter() >= self._enough:
                self._wait_for_turn()
            if _takes_time(message):
                self.spend(budgets.HANDSHAKE_FRAMES)
                self._work(message)
                if self.closed:
                    raise Violation("ended by its own packet")
            else:
                began = perf_counter()
                self._hear(message)
                receiver.used(self.sid, perf_counter() - began)
            if receiver.busy(self.sid):
                self._wait_until_resumed()
        self._spend_empty()

    def _wait_for_turn(self) -> None:
        """Wait for this client's next time slice, which ends at `_enough`; blocks the greenlet.

        The time is charged before it is used.
        """
        host = self._host
        host.receiver.flush()
        self._spend_empty()
        while pause := host.receiver.pause(self.sid):
            self._wait(pause)
        self.slices.take(self.payer, self.slices.share)
        self._enough = perf_counter() + self.slices.share

    def _spend_empty(self) -> None:
        if self._empty:
            empty, self._empty = self._empty, 0
            self.spend(empty)

    def _wait_until_resumed(self) -> None:
        resumed = self._resumed = Future()
        # the receiver resumes once it has handled the events that it has received so far
        self._host.receiver.flush()
        if self._host.receiver.busy(self.sid):
            self._host.runtime.wait(resumed)
        self._resumed = None

    def _wait(self, seconds: float = 0.0, until: Future[None] | None = None) -> None:
        until = Future() if until is None else until
        self._host.runtime.call_later(seconds, partial(_resolve, until))
        self._host.runtime.wait(until)

    def _enqueue(self, message: bytes) -> None:
        if self._queue:
            self._behind += len(message)
        else:
            self._queued_since = time.monotonic()
            if self._poll is None:
                self._host.queued(self)
        self._queue.append(message)
        self._wake_poll()

    def _clear(self) -> None:
        self._queue, self._behind = [], 0

    def _wake_poll(self) -> None:
        if self._poll is not None and not self._poll.done:
            self._poll.resolve(None)

    # WebSocket

    def on_message(self, websocket: WebSocket, message: bytes) -> bool:
        if websocket is not self.websocket:
            self._hear_probe(websocket, message)
            return True
        if message.startswith(packets.EVENT):
            self._hear_event(message)
        elif _takes_time(message):
            self.spend(budgets.HANDSHAKE_FRAMES)
            self._host.spawn(self._work, message)
            self.working = True
            return False
        else:
            self._hear(message)
        return not self._host.receiver.busy(self.sid)

    def time_slice(self, websocket: WebSocket) -> float:
        host = self._host
        if pause := host.receiver.pause(self.sid):
            host.pauses.wait(
                host.receiver.credential(self.sid),
                pause,
                self.slices,
                self.payer,
                partial(host.receiver.pause, self.sid),
                websocket.go_on,
            )
            return 0.0
        seconds = self.slices.left(self.payer)
        if not seconds:
            self.wait(websocket)
        return seconds

    def used(self, websocket: WebSocket, seconds: float) -> None:
        self.slices.use(self.payer, seconds)
        self._host.receiver.used(self.sid, seconds)

    def wait(self, websocket: WebSocket) -> None:
        self.slices.wait(self.payer, websocket.go_on)

    def on_batch(self, websocket: WebSocket, frames: int, empty: int, size: int) -> float:
        self._host.receiver.flush()
        if empty or self._empty:
            self._empty += empty
            self._spend_empty()
        if self.sid in self._host.joined:
            return 0.0
        return self._host.charge(self.network, (frames + 1) * budgets.FRAME_COST + size * budgets.BYTE_COST)

    def on_gone(self, websocket: WebSocket, reason: str) -> None:
        if websocket is self.websocket:
            self._host.forget(self)
            self._mark_closed(reason)
        elif websocket is self.probe:
            # the client keeps polling
            self.probe = None
            self.upgrading = False
            if self._queue:
                # polls can take the queue only from now on
                self._queued_since = time.monotonic()
                self._host.queued(self)

    def on_end(self, websocket: WebSocket) -> None:
        if websocket is self.websocket:
            # breaks the reference cycle, so that the garbage collector has nothing to do
            self.websocket = None
        self._host.on_end(websocket)

    def _hear_probe(self, websocket: WebSocket, message: bytes) -> None:
        if not self.upgrading and message == packets.PROBE:
            self.upgrading = True
            websocket.send(PROBE_ANSWER.wire)
            # the client sends UPGRADE only after its poll has returned
            self._wake_poll()
        elif self.upgrading and message == packets.UPGRADE and not self._posting:
            self.websocket, self.probe, self.upgrading = websocket, None, False
            websocket.message_bytes = self.message_bytes
            queued, self._queue, self._behind = self._queue, [], 0
            self.send([Frame(message) for message in queued])
        else:
            raise Violation("not how an upgrade goes")

    # both

    def _hear(self, message: bytes) -> None:
        if message.startswith(packets.EVENT):
            self._hear_event(message)
        elif message == packets.PONG:
            if self.unanswered:
                self.unanswered = False
                self._host.alive(self)
            else:
                self._empty += 1
        elif message == packets.CLOSE:
            self.close_discarding("client disconnect")
        elif message == packets.NOOP:
            self._empty += 1
        elif message.startswith((b"b", packets.BINARY_EVENT, packets.BINARY_ACK)):
            raise Binary("binary messages are not accepted; send JSON text")
        else:
            raise Violation("a packet that clients do not send")

    def _hear_event(self, message: bytes) -> None:
        if self.sid not in self._host.joined:
            raise Violation("an event before CONNECT")
        self._host.receiver.receive(self.sid, *packets.read_event(message))

    def _work(self, message: bytes) -> None:
        self.working = True
        try:
            if overdue := self._host.charge(self.network, budgets.CONNECT_COST):
                self._wait(overdue)
            if not self.closed:
                self._host.work(self.sid, message)
        except Violation as violation:
            log.info("a connection is closed: %s", violation)
            self.close_discarding("transport error", code=violation.code, explanation=str(violation))
        except Exception:
            log.exception("a connection could not be served")
            self.close_discarding("transport error", code=1011)
        finally:
            self.working = False
            self._find_payer()
            if self.closed:
                self._host.left(self.sid, self._why)
            elif self.websocket is not None and not self._host.receiver.busy(self.sid):
                self.websocket.go_on()

    def _find_payer(self) -> None:
        account = self._host.receiver.account(self.sid)
        if account is None:
            self.payer, self.slices = self.network, self._host.stranger_slices
        else:
            self.payer, self.slices = account, self._host.slices

    def _mark_closed(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._why = reason
        if self.probe is not None:
            self.probe.cut(reason)
        if self._resumed is not None:
            self.resume()
        if not self.working:
            self._host.left(self.sid, reason)


def _together(frames: Sequence[Frame]) -> Sequence[Buffer]:
    """Return the buffers of all frames, joined into one if all frames are small."""
    for frame in frames:
        if frame.rest:
            return [buffer for frame in frames for buffer in frame.buffers]
    return (b"".join([frame.wire for frame in frames]),)


def _resolve(future: Future[None]) -> None:
    if not future.done:
        future.resolve(None)


def _takes_time(message: bytes) -> bool:
    return message.startswith((packets.CONNECT, packets.DISCONNECT))
