"""One Engine.IO session: long-polling until it is upgraded to WebSocket, or WebSocket from the start.

Invariants:
1. Messages are handled in the order in which they were sent, over either transport.
2. Under WebSocket nothing is queued here; under polling the messages that wait for the next poll are bounded.
3. A session that has ended handles and sends nothing more.
4. The end is reported once, after a CONNECT that was still being answered.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from realtime_kv.realtime.engineio import budgets, packets
from realtime_kv.realtime.engineio.budgets import FrameBudget
from realtime_kv.realtime.engineio.interfaces import SessionHost
from realtime_kv.realtime.engineio.packets import Binary, Frame, Violation
from realtime_kv.realtime.engineio.polling import Polling, block_for
from realtime_kv.realtime.engineio.websocket import WebSocket

log = logging.getLogger(__name__)

PING = Frame(packets.PING)
PROBE_ANSWER = Frame(packets.PROBE_ANSWER)
DISCONNECT = Frame(packets.DISCONNECT)


class EngineIOSession:
    """An Engine.IO session; a tab, once it has joined the namespace `/`."""

    __slots__ = (
        "_budget",
        "_empty",
        "_why",
        "closed",
        "host",
        "network",
        "payer",
        "polling",
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
        self.host = host
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
        self.unanswered = False
        self.session: dict[str, Any] | None = None
        self._why = ""
        self.polling = Polling()
        self._budget = FrameBudget()
        # packets without content that have not been charged yet
        self._empty = 0

    @property
    def joined(self) -> bool:
        """True for a tab: its CONNECT has been accepted."""
        return self.sid in self.host.joined

    @property
    def message_bytes(self) -> int:
        """The longest message or POST that is accepted from it now."""
        limits = self.host.limits
        return int(limits.message_bytes if self.joined else min(limits.message_bytes, limits.stranger_bytes))

    @property
    def held(self) -> bool:
        """True while we do not read from it, so that it cannot show that it is alive."""
        return self.working or self.host.receiver.busy(self.sid)

    def stalled(self, seconds: float) -> bool:
        """Return True if a message has waited for a poll for this many seconds."""
        # during an upgrade polls return empty, and the upgrade has its own deadline
        return not self.upgrading and self.polling.has_waited(seconds)

    def send(self, frames: Sequence[Frame]) -> None:
        """Send all `frames`, in one piece if the transport allows it. Does nothing if the client is gone."""
        if self.closed:
            return
        if self.websocket is not None:
            if len(frames) == 1:
                self.websocket.send(frames[0].wire, *frames[0].rest)
            else:
                self.websocket.send(*packets.join_frames(frames))
        elif self.polling.behind > self.host.limits.waiting_bytes:
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
        if not self.polling.resume() and self.websocket is not None and not self.working:
            self.websocket.go_on()

    def spend(self, frames: int) -> None:
        """Charge work that completes no event, counted in frames. Raises Violation if it is too much."""
        if not self._budget.take(frames if self.joined else frames * budgets.STRANGER_WEIGHT):
            self.host.record("empty_frames", self)
            raise Violation("too many frames or packets without content")

    def spend_empty(self) -> None:
        """Charge the packets without content since the last call. Raises Violation if they are too many."""
        if self._empty:
            empty, self._empty = self._empty, 0
            self.spend(empty)

    def close(self, reason: str, *, code: int = 1000, deliberate: bool = False, explanation: str = "") -> None:
        """Close after the queued messages; `deliberate` tells the client's socket.io not to reconnect by itself."""
        if self.closed:
            return
        if deliberate and self.sid in self.host.joined:
            self.send([DISCONNECT])
        if self.websocket is not None:
            self.websocket.close(code, reason, explanation)
        elif self.polling.is_active:
            # no CLOSE after a DISCONNECT: the stock client processes the CLOSE first
            if not (deliberate and self.polling.messages):
                self._enqueue(packets.CLOSE)
            # kept until the next poll, or until the deadline for polls
            self.host.queued(self)
            self._mark_closed(reason)
        else:
            self.cut(reason)

    def close_discarding(self, reason: str, *, code: int = 1000, explanation: str = "") -> None:
        """Close without sending the queue: the client closed first or broke the protocol."""
        # a client that we have closed may still fetch the reason, even if it was sending at that moment
        if not self.closed:
            self.polling.clear()
        self.close(reason, code=code, explanation=explanation)

    def cut(self, reason: str) -> None:
        """Close at once; data that was not taken is lost."""
        if self.websocket is not None:
            self.websocket.cut(reason)
        else:
            self.polling.clear()
            self.host.forget(self)
            self._mark_closed(reason)
            self.polling.wake()

    def _enqueue(self, message: bytes) -> None:
        if self.polling.put(message):
            self.host.queued(self)

    def on_message(self, websocket: WebSocket, message: bytes) -> bool:
        if websocket is not self.websocket:
            self._hear_probe(websocket, message)
            return True
        if message.startswith(packets.EVENT):
            self._hear_event(message)
        elif packets.is_handshake(message):
            self.spend(budgets.HANDSHAKE_FRAMES)
            self.host.spawn(self.join_or_leave, message)
            self.working = True
            return False
        else:
            self.handle(message)
        return not self.host.receiver.busy(self.sid)

    def time_slice(self, websocket: WebSocket) -> float:
        host = self.host
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
        self.host.receiver.used(self.sid, seconds)

    def wait(self, websocket: WebSocket) -> None:
        self.slices.wait(self.payer, websocket.go_on)

    def on_batch(self, websocket: WebSocket, frames: int, empty: int, size: int) -> float:
        self.host.receiver.flush()
        if empty or self._empty:
            self._empty += empty
            self.spend_empty()
        if self.sid in self.host.joined:
            return 0.0
        return self.host.charge(self.network, (frames + 1) * budgets.FRAME_COST + size * budgets.BYTE_COST)

    def on_gone(self, websocket: WebSocket, reason: str) -> None:
        if websocket is self.websocket:
            self.host.forget(self)
            self._mark_closed(reason)
        elif websocket is self.probe:
            # the client keeps polling
            self.probe = None
            self.upgrading = False
            # polls can take the queue only from now on
            if self.polling.restart_deadline():
                self.host.queued(self)

    def on_end(self, websocket: WebSocket) -> None:
        if websocket is self.websocket:
            # breaks the reference cycle, so that the garbage collector has nothing to do
            self.websocket = None
        self.host.on_end(websocket)

    def _hear_probe(self, websocket: WebSocket, message: bytes) -> None:
        if not self.upgrading and message == packets.PROBE:
            self.upgrading = True
            websocket.send(PROBE_ANSWER.wire)
            # the client sends UPGRADE only after its poll has returned
            self.polling.wake()
        elif self.upgrading and message == packets.UPGRADE and not self.polling.posting:
            self.websocket, self.probe, self.upgrading = websocket, None, False
            websocket.frames.message_bytes = self.message_bytes
            self.send([Frame(message) for message in self.polling.clear()])
        else:
            raise Violation("not how an upgrade goes")

    def handle(self, message: bytes) -> None:
        """Handle a message that needs no waiting. Raises Violation."""
        if message.startswith(packets.EVENT):
            self._hear_event(message)
        elif message == packets.PONG:
            if self.unanswered:
                self.unanswered = False
                self.host.alive(self)
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
        if self.sid not in self.host.joined:
            raise Violation("an event before CONNECT")
        self.host.receiver.receive(self.sid, *packets.read_event(message))

    def join_or_leave(self, message: bytes) -> None:
        """Process a CONNECT or DISCONNECT; blocks the greenlet."""
        self.working = True
        try:
            if overdue := self.host.charge(self.network, budgets.CONNECT_COST):
                block_for(self.host.runtime, overdue)
            if not self.closed:
                self.host.work(self.sid, message)
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
                self.host.left(self.sid, self._why)
            elif self.websocket is not None and not self.host.receiver.busy(self.sid):
                self.websocket.go_on()

    def _find_payer(self) -> None:
        account = self.host.receiver.account(self.sid)
        if account is None:
            self.payer, self.slices = self.network, self.host.stranger_slices
        else:
            self.payer, self.slices = account, self.host.slices

    def _mark_closed(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._why = reason
        if self.probe is not None:
            self.probe.cut(reason)
        self.polling.resume()
        if not self.working:
            self.host.left(self.sid, reason)
