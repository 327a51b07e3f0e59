"""Long polling of a session: the messages that wait for the next poll, and the messages of POSTs.

Invariants:
1. A poll returns whole messages, in order; what does not fit waits for the next one.
2. While the receiver of messages is busy, a POST waits, and so does the client that has sent it.
"""

import time
from functools import partial
from time import perf_counter
from typing import Protocol

from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.concurrency.time_slices import TimeSlices
from realtime_kv.errors import Unavailable
from realtime_kv.realtime.engineio import budgets, packets
from realtime_kv.realtime.engineio.interfaces import SessionHost
from realtime_kv.realtime.engineio.packets import Violation
from realtime_kv.realtime.engineio.websocket import WebSocket

# stock clients in Python refuse an answer with more (`max_decode_packets` of python-engineio)
MAX_POLL_PACKETS = 16
UPGRADING_POLL_SECONDS = 0.1


class PolledSession(Protocol):
    """The session that is polled."""

    host: SessionHost
    sid: str
    closed: bool
    upgrading: bool
    websocket: WebSocket | None
    payer: int | str
    slices: TimeSlices

    def close(self, reason: str) -> None: ...
    def spend(self, frames: int) -> None: ...
    def spend_empty(self) -> None: ...
    def handle(self, message: bytes) -> None: ...
    def join_or_leave(self, message: bytes) -> None: ...


class Polling:
    """State of the long polling of one session, which is passed to the methods: referring to it would be a cycle."""

    __slots__ = ("_poll", "_resumed", "_since", "_slice_end", "behind", "messages", "posting")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        # their bytes, without the first message
        self.behind = 0
        # since when the first message has waited
        self._since = 0.0
        self._poll: Future[None] | None = None
        self.posting = False
        # resolved when a POST may go on
        self._resumed: Future[None] | None = None
        # the end of the time slice of a POST
        self._slice_end = 0.0

    @property
    def is_active(self) -> bool:
        """True while messages wait for a poll, or a poll for messages."""
        return bool(self.messages) or self._poll is not None

    def has_waited(self, seconds: float) -> bool:
        """Return whether a message has waited for a poll for this many seconds."""
        return bool(self.messages) and time.monotonic() - self._since >= seconds - 0.001

    def put(self, message: bytes) -> bool:
        """Queue `message` for the poll; return True if the next poll has a deadline from now on."""
        is_first = not self.messages
        if is_first:
            self._since = time.monotonic()
        else:
            self.behind += len(message)
        self.messages.append(message)
        has_deadline = is_first and self._poll is None
        self.wake()
        return has_deadline

    def clear(self) -> list[bytes]:
        """Return and drop the waiting messages."""
        messages, self.messages, self.behind = self.messages, [], 0
        return messages

    def restart_deadline(self) -> bool:
        """Let the messages wait from now on; return whether there are any."""
        self._since = time.monotonic()
        return bool(self.messages)

    def wake(self) -> None:
        """Let the waiting poll return."""
        if self._poll is not None and not self._poll.done:
            self._poll.resolve(None)

    def resume(self) -> bool:
        """Let the waiting POST go on; return False if there is none."""
        if self._resumed is None:
            return False
        resumed, self._resumed = self._resumed, None
        resumed.resolve(None)
        return True

    def poll(self, session: PolledSession) -> bytes:
        """Return the queued messages, as soon as there are any; blocks the greenlet.

        Raises Violation for a second poll at the same time.
        """
        if self._poll is not None:
            raise Violation("two polls at a time")
        host = session.host
        if not self.messages and not session.upgrading and not session.closed:
            self._poll = Future()
            try:
                host.runtime.wait(self._poll, host.limits.ping_interval + host.limits.ping_timeout)
            except Unavailable:
                session.close("ping timeout")
            finally:
                self._poll = None
        elif session.upgrading:
            # slows down a client that keeps polling during the upgrade, which it could do without pause
            self._poll = Future()
            try:
                block_for(host.runtime, UPGRADING_POLL_SECONDS, self._poll)
            finally:
                self._poll = None
        # woken without a message: for an upgrade, which may have failed by now
        if session.upgrading or session.websocket is not None or not (self.messages or session.closed):
            session.spend(budgets.EMPTY_POLL_FRAMES)
            return packets.NOOP
        return packets.SEPARATOR.join(self._take(session))

    def post(self, session: PolledSession, body: bytes) -> None:
        """Handle every message of `body`; blocks the greenlet while the receiver is busy.

        Raises Violation; then not all messages have been handled.
        """
        if self.posting:
            raise Violation("two POSTs at a time")
        packets.check_text(body)
        self.posting = True
        try:
            self._handle_all(session, body.split(packets.SEPARATOR))
        finally:
            self.posting = False
            session.host.receiver.flush()

    def _take(self, session: PolledSession) -> list[bytes]:
        """Return the messages for one poll; the rest waits for another one."""
        taken, self.messages = self.messages[:MAX_POLL_PACKETS], self.messages[MAX_POLL_PACKETS:]
        if self.messages:
            self.behind -= sum(map(len, taken[1:])) + len(self.messages[0])
            self._since = time.monotonic()
            session.host.queued(session)
        else:
            self.behind = 0
            if session.closed:
                session.host.forget(session)
        return taken

    def _handle_all(self, session: PolledSession, messages: list[bytes]) -> None:
        receiver = session.host.receiver
        if not any(message.startswith(b"4") for message in messages):
            session.spend(budgets.EMPTY_POLL_FRAMES)
        for message in messages:
            if session.closed or session.websocket is not None:
                raise Violation("packets behind the end")
            if perf_counter() >= self._slice_end:
                self._wait_for_turn(session)
            if packets.is_handshake(message):
                session.spend(budgets.HANDSHAKE_FRAMES)
                session.join_or_leave(message)
                if session.closed:
                    raise Violation("ended by its own packet")
            else:
                began = perf_counter()
                session.handle(message)
                receiver.used(session.sid, perf_counter() - began)
            if receiver.busy(session.sid):
                self._wait_until_resumed(session)
        session.spend_empty()

    def _wait_for_turn(self, session: PolledSession) -> None:
        """Wait for this client's next time slice, which ends at `_slice_end`; blocks the greenlet.

        The time is charged before it is used.
        """
        host = session.host
        host.receiver.flush()
        session.spend_empty()
        while pause := host.receiver.pause(session.sid):
            block_for(host.runtime, pause)
        session.slices.take(session.payer, session.slices.share)
        self._slice_end = perf_counter() + session.slices.share

    def _wait_until_resumed(self, session: PolledSession) -> None:
        resumed = self._resumed = Future()
        receiver = session.host.receiver
        # the receiver resumes once it has handled the events that it has received so far
        receiver.flush()
        if receiver.busy(session.sid):
            session.host.runtime.wait(resumed)
        self._resumed = None


def block_for(runtime: Runtime, seconds: float, until: Future[None] | None = None) -> None:
    """Block the greenlet for this long, or until the future is resolved."""
    until = Future() if until is None else until
    runtime.call_later(seconds, partial(_resolve, until))
    runtime.wait(until)


def _resolve(future: Future[None]) -> None:
    if not future.done:
        future.resolve(None)
