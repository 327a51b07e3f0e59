"""An HTTP answer that goes on: its TCP connection, driven by the hub. No greenlet, and no bytes kept while it is idle.

What the peer does not take is kept up to a bound, and a peer that takes nothing is cut, as with a WebSocket.
"""

import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

from realtime_kv.sockets.outbox import Outbox

BLOCK = 64 * 1024
LINGER_SECONDS = 5.0
# what a client may send behind its request; a read counts as at least READ_BYTES
MAX_HEARD_BYTES = 1024 * 1024
READ_BYTES = 4096


class Line(Protocol):
    """Where an endless answer goes. Nothing waits and nothing is raised; gone is gone."""

    @property
    def empty(self) -> bool:
        """Whether everything has been taken."""

    def send(self, data: bytes) -> None:
        """Behind what was sent before."""

    def close(self) -> None:
        """End the answer, behind what is still to be sent."""


class Endless(ABC):
    """The body of an answer that goes on. Everything is called on the hub and must not wait.

    Where its connection cannot be kept (a test client), it is iterated: what there is by now, and then the end.
    """

    # goes out together with the headers
    opening: bytes

    @abstractmethod
    def begin(self, line: Line) -> None:
        """The headers are out: from now on to `line`; called once."""

    @abstractmethod
    def on_taken(self) -> None:
        """The peer has taken what had to wait for it."""

    @abstractmethod
    def on_end(self) -> None:
        """The TCP connection is closed; called once, last."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]: ...


class Held:
    """A Line over TCP; in chunks (RFC 9112 §7.1) where the peer speaks HTTP/1.1, so that an end is seen to be one."""

    __slots__ = ("_body", "_chunked", "_closing", "_ended", "_heard", "_hub", "_linger", "_outbox", "_reading", "_sock")

    def __init__(self, sock: socket.socket, hub: Any, body: Endless, limits: Any, *, chunked: bool) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._hub = hub
        self._body = body
        self._chunked = chunked
        self._outbox = Outbox(sock, hub, self, limits)
        self._reading: Any = None
        self._linger: Any = None
        self._closing = self._ended = False
        self._heard = 0

    def start(self) -> None:
        """Begin."""
        self._reading = self._hub.add(
            self._hub.READ, self._sock.fileno(), self._on_readable, lambda *_: self._end(), None
        )
        self._body.begin(self)

    # what the body calls

    @property
    def empty(self) -> bool:
        return self._outbox.empty

    def send(self, data: bytes) -> None:
        if not self._closing:
            self._outbox.put(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def close(self) -> None:
        if self._closing:
            return
        if self._chunked:
            self._outbox.put(b"0\r\n\r\n")
        self._closing = True
        if not self._ended:
            self._linger = self._hub.schedule_call_global(LINGER_SECONDS, self._end)
            if self._outbox.empty:
                self._end()

    # what the outbox calls

    def on_sent(self) -> None:
        if self._closing:
            self._end()
        else:
            self._body.on_taken()

    def on_lost(self) -> None:
        self._end()

    def cut(self, reason: str) -> None:
        """End it now; what was not taken is lost."""
        if not self._ended:
            # RST: else the kernel would go on offering what the peer does not take
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end()

    def _on_readable(self, _fd: int) -> None:
        try:
            said = self._sock.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            said = b""
        # whoever asked for this has nothing to say; what comes all the same is not heard, and not for ever
        self._heard += max(len(said), READ_BYTES)
        if not said or self._heard > MAX_HEARD_BYTES:
            self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = self._closing = True
        if self._reading is not None:
            self._hub.remove(self._reading)
        if self._linger is not None:
            self._linger.cancel()
        self._outbox.close()
        self._sock.close()
        self._body.on_end()
