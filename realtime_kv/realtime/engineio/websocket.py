"""One WebSocket over one TCP connection, driven by the event loop: no greenlet, no queue, no buffered bytes while idle.

Data that the peer does not take is buffered up to a bound, and a peer that takes nothing is disconnected. Frames are
handled while the owner grants a time slice; the owner is told how many of them completed no message.
"""

import logging
import socket
import struct
from time import perf_counter
from typing import Any, Protocol

from realtime_kv.realtime.engineio.frame_reader import FRAGMENT, NOTHING, FrameReader
from realtime_kv.realtime.engineio.packets import Buffer, Violation
from realtime_kv.realtime.engineio.send_buffer import SendBuffer

log = logging.getLogger(__name__)

BLOCK = 64 * 1024
LINGER_SECONDS = 5.0
# bytes that are read and discarded during a closing handshake; a read counts as at least LINGER_READ_BYTES
LINGER_BYTES = 1024 * 1024
LINGER_READ_BYTES = 4096
# a read of fewer bytes that completes no message counts as a frame
SHORT_READ_BYTES = 512


class Owner(Protocol):
    """The owner of a WebSocket, which receives its messages. All methods run on the event loop and must not wait."""

    def time_slice(self, websocket: "WebSocket") -> float:
        """Return the seconds for which it may handle data; 0.0: not now, `go_on()` is called later."""

    def used(self, websocket: "WebSocket", seconds: float) -> None:
        """Charge the time that handling data has taken."""

    def wait(self, websocket: "WebSocket") -> None:
        """Call `go_on()` in the next time slice, because there is more to handle."""

    def on_message(self, websocket: "WebSocket", message: bytes) -> bool:
        """Handle one text message; return False to receive no more until `go_on()`. Raises Violation."""

    def on_batch(self, websocket: "WebSocket", frames: int, empty: int, size: int) -> float:
        """Note the end of a batch: all frames that arrived together, with their number and bytes.

        `empty` of the frames completed no message. Returns for how many seconds to read no more; 0.0 to go on.
        Raises Violation.
        """

    def on_gone(self, websocket: "WebSocket", reason: str) -> None:
        """Note that nothing is received or sent any more; called once."""

    def on_end(self, websocket: "WebSocket") -> None:
        """Note that the TCP connection is closed; called once, last."""


class WebSocket:
    """A server-side WebSocket: sends at once as much as it can, and passes each message to its owner, in order."""

    __slots__ = (
        "_began",
        "_closing",
        "_discarded",
        "_ended",
        "_enough",
        "_fd",
        "_handling",
        "_held",
        "_hub",
        "_linger",
        "_outbox",
        "_owner",
        "_reading",
        "_sock",
        "frames",
        "heard",
    )

    def __init__(self, sock: socket.socket, hub: Any, owner: Owner, limits: Any) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._fd = sock.fileno()
        self._hub = hub
        self._owner = owner
        # the owner may change the longest message that it accepts
        self.frames = FrameReader(limits.message_bytes)
        self._discarded = 0
        self._outbox = SendBuffer(sock, hub, self, limits)
        self._reading: Any = None
        self._linger: Any = None
        # the time up to which it has been charged, and the end of its time slice
        self._began = self._enough = 0.0
        self._handling = self._held = self._closing = self._ended = False
        self.heard = False

    def start(self, early: bytes = b"") -> None:
        """Start reading; `early` is the data that followed the opening handshake."""
        if not self._closing:
            self.frames.inbox += early
            if self._has_turn():
                self._read_on()
                if early:
                    self._handle()

    def send(self, *data: Buffer) -> None:
        """Send whole frames: at once as much as the kernel takes, the rest when it can."""
        if not self._closing:
            self._outbox.put(*data)

    def go_on(self) -> None:
        """Resume reading, after `on_message` returned False or `time_slice` 0.0."""
        if self._held and not self._closing:
            self._held = False
            if not self._handling and self._has_turn():
                # what has been read may be enough for this time slice, and for many more
                if self.frames.inbox:
                    self._handle()
                if not self._held and not self._closing:
                    self._read_on()
                    # until the event loop calls back, others may have used up the slice
                    self._receive()

    def close(self, code: int = 1000, reason: str = "server disconnect", explanation: str = "") -> None:
        """Send a close frame after the queued data; the peer sees `code` and `explanation`."""
        if not self._closing:
            if frame := self.frames.close_frame(code, explanation):
                self._outbox.put(frame)
            self._leave(reason)

    def cut(self, reason: str) -> None:
        """Close the connection at once; data that was not taken is lost."""
        if not self._ended:
            # sends RST: otherwise the kernel would keep offering the data that the peer does not take
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end(reason)

    # receiving

    def _on_readable(self, _fd: int) -> None:
        if self._ended:
            return
        if not self._closing and (self._held or not self._has_turn()):
            self._stop_reading()
            return
        self._receive()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._end("transport close")
        elif not self._closing:
            self.heard = True
            self.frames.inbox += data
            self._handle(len(data))
        else:
            self._discarded += max(len(data), LINGER_READ_BYTES)
            if self._discarded > LINGER_BYTES:
                self._end("transport close")

    def _has_turn(self) -> bool:
        """Return True if it may handle data now; otherwise it does not even read."""
        seconds = self._owner.time_slice(self)
        if seconds:
            # reading counts as well: a system call is long if another thread takes the interpreter lock meanwhile
            self._began = perf_counter()
            self._enough = self._began + seconds
            return True
        self._held = True
        return False

    def _handle(self, read: int = 0) -> None:
        self._handling = True
        try:
            while self._handle_batch(read):
                read = 0
        except Violation as violation:
            log.info("a socket is closed: %s", violation)
            self.close(violation.code, "transport error", str(violation))
        except Exception:
            log.exception("a message could not be handled")
            self.close(1011, "transport error")
        finally:
            self._handling = False
            # a clock of the thread's processor time would cost as much as a small message (7 % with four in flight)
            now = perf_counter()
            self._owner.used(self, now - self._began)
            self._began = now

    def _handle_batch(self, read: int) -> bool:
        """Handle the received frames; return True if there is more to do at once. `read` bytes are new."""
        frames = self.frames
        count = empty = 0
        more = over = False
        while not over and (message := frames.next_message()) is not None:
            count += 1
            if message is NOTHING or message is FRAGMENT:
                empty += message is NOTHING
                if frames.replies or frames.over:
                    self._reply()
            elif not self._owner.on_message(self, message):
                self._held = more = True
                break
            over = perf_counter() >= self._enough
        size = frames.discard_read()
        if (pong := frames.take_pong()) is not None and not self._closing:
            self._outbox.put(pong)
        if not size and 0 < read < SHORT_READ_BYTES:
            empty = 1
        pause = self._owner.on_batch(self, count, empty, size)
        if self._closing:
            return False
        if pause:
            # The next time slice would come sooner. After the pause it queues for one, so that a crowd whose pauses end
            # together is one round.
            self._held = True
            self._hub.schedule_call_global(pause, self._owner.wait, self)
        elif over:
            self._held = True
            self._owner.wait(self)
        return more and not self._held

    def _reply(self) -> None:
        """Send what the last frame requires, and begin the end of the connection if it says so."""
        frames = self.frames
        if frames.replies:
            self._outbox.put(*frames.replies)
            frames.replies = None
        if frames.over is not None:
            self._leave(frames.over)

    def _read_on(self) -> None:
        if self._reading is None:
            self._reading = self._hub.add(self._hub.READ, self._fd, self._on_readable, self._on_obsolete, None)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._hub.remove(self._reading)
            self._reading = None

    # called by the send buffer

    def on_sent(self) -> None:
        if self._closing:
            self._shut()

    def on_lost(self) -> None:
        self._end("transport close")

    # ending

    def _leave(self, reason: str) -> None:
        """Stop receiving messages; close once the queued data is sent and the peer has seen it."""
        if self._closing:
            return
        self._closing = True
        self.frames.clear()
        self._owner.on_gone(self, reason)
        if not self._ended:
            self._linger = self._hub.schedule_call_global(LINGER_SECONDS, self._end, reason)
            # a socket closed with unread bytes makes the kernel send RST and discard our close frame
            self._read_on()
            if self._outbox.empty:
                self._shut()

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end("transport close")

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._stop_reading()
        self._outbox.close()
        if self._linger is not None:
            self._linger.cancel()
        self._leave(reason)
        self._sock.close()
        self._owner.on_end(self)

    def _on_obsolete(self, *_: object) -> None:
        # the event loop saw our file descriptor reused: somebody closed it under us
        self._end("transport error")
