"""Streaming HTTP response: its TCP connection, driven by the event loop. No greenlet, no buffered bytes while idle.

Data that the peer does not take is buffered up to a bound; a peer that takes nothing is cut off, as with a WebSocket.
"""

import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

from realtime_kv.realtime.engineio.send_buffer import SendBuffer

BLOCK = 64 * 1024
LINGER_SECONDS = 5.0
# bytes that a client may send after its request; a read counts as at least READ_BYTES
MAX_HEARD_BYTES = 1024 * 1024
READ_BYTES = 4096


class StreamWriter(Protocol):
    """Writer of a streaming response. Nothing waits, and nothing is raised: data to a lost connection is dropped."""

    @property
    def empty(self) -> bool:
        """True if the peer has taken everything."""

    def send(self, data: bytes) -> None:
        """Send `data` after the data sent before."""

    def close(self) -> None:
        """End the response after the queued data."""


class StreamingBody(ABC):
    """The body of a streaming response. All methods run on the event loop and must not wait.

    If its connection cannot be kept (a test client), it is iterated: the data available now, and then the end.
    """

    # sent together with the headers
    opening: bytes

    @abstractmethod
    def begin(self, line: StreamWriter) -> None:
        """Start writing to `line`, after the headers have been sent; called once."""

    @abstractmethod
    def on_taken(self) -> None:
        """Continue: the peer has taken the buffered data."""

    @abstractmethod
    def on_end(self) -> None:
        """Clean up after the TCP connection is closed; called once, last."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]: ...


class StreamingConnection:
    """A Line over TCP; in chunks (RFC 9112 §7.1) if the peer speaks HTTP/1.1, so that the end is recognised as such."""

    __slots__ = ("_body", "_chunked", "_closing", "_ended", "_heard", "_hub", "_linger", "_outbox", "_reading", "_sock")

    def __init__(self, sock: socket.socket, hub: Any, body: StreamingBody, limits: Any, *, chunked: bool) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._hub = hub
        self._body = body
        self._chunked = chunked
        self._outbox = SendBuffer(sock, hub, self, limits)
        self._reading: Any = None
        self._linger: Any = None
        self._closing = self._ended = False
        self._heard = 0

    def start(self) -> None:
        """Start watching the socket, and start the body."""
        self._reading = self._hub.add(
            self._hub.READ, self._sock.fileno(), self._on_readable, lambda *_: self._end(), None
        )
        self._body.begin(self)

    # called by the body

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

    # called by the send buffer

    def on_sent(self) -> None:
        if self._closing:
            self._end()
        else:
            self._body.on_taken()

    def on_lost(self) -> None:
        self._end()

    def cut(self, reason: str) -> None:
        """Close the connection at once; data that was not taken is lost."""
        if not self._ended:
            # sends RST: otherwise the kernel would keep offering the data that the peer does not take
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end()

    def _on_readable(self, _fd: int) -> None:
        try:
            said = self._sock.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            said = b""
        # the client has nothing to send after its request; further data is discarded, up to a limit
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
