"""Send buffer: bounded, sent on when the peer takes more; a peer that takes nothing is disconnected."""

import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from realtime_kv.realtime.engineio.packets import Buffer

# bytes that the kernel may hold unsent, so that a peer that stops reading is noticed early
UNSENT = 128 * 1024


class Sender(Protocol):
    """The owner of a send buffer. Everything is called on the event loop."""

    def on_sent(self) -> None:
        """The buffer is empty again."""

    def on_lost(self) -> None:
        """The TCP connection is lost."""

    def cut(self, reason: str) -> None:
        """Close the connection: the peer is too slow."""


class SendBuffer:
    """Sends at once as much as the kernel takes, and keeps the rest."""

    __slots__ = ("_behind", "_hub", "_limits", "_progress", "_sender", "_sock", "_stall", "_waiting", "_writing")

    def __init__(self, sock: socket.socket, hub: Any, sender: Sender, limits: Any) -> None:
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        self._sock = sock
        self._hub = hub
        self._sender: Sender | None = sender
        self._limits = limits
        # whole writes, each in one or more buffers; the first is in flight, `_behind` counts the bytes of the others
        self._waiting: deque[Sequence[Buffer]] | None = None
        self._behind = 0
        self._progress = 0.0
        self._writing: Any = None
        self._stall: Any = None

    @property
    def empty(self) -> bool:
        return not self._waiting

    def put(self, *data: Buffer) -> None:
        """Send these buffers as one write, or keep them; once closed, drop them. May call any method of the sender."""
        if self._sender is None:
            return
        if self._waiting:
            # one write can be larger than the bound, and must still get through
            if self._behind > self._limits.waiting_bytes:
                self._sender.cut("too slow")
                return
            self._behind += sum(map(len, data))
            self._waiting.append(data)
            return
        left = self._try_send(data)
        if left:
            self._waiting = deque((left,))
            self._progress = self._hub.clock()
            self._writing = self._hub.add(
                self._hub.WRITE, self._sock.fileno(), self._on_writable, self._on_obsolete, None
            )
            self._watch_for_stall()

    def close(self) -> None:
        """Drop the kept bytes, and stop watching the socket."""
        # breaks the reference cycle, so that the garbage collector has nothing to do
        self._sender = None
        self._waiting = None
        self._stop_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _on_writable(self, _fd: int) -> None:
        while self._waiting:
            data = self._waiting[0]
            left = self._try_send(data)
            if left is None:
                return
            if left is not data:
                self._progress = self._hub.clock()
            if left:
                self._waiting[0] = left
                return
            self._waiting.popleft()
            if self._waiting:
                self._behind -= sum(map(len, self._waiting[0]))
        if self._sender is not None:
            self._stop_writing()
            self._waiting = None
            self._sender.on_sent()

    def _try_send(self, data: Sequence[Buffer]) -> Sequence[Buffer] | None:
        """Return what the kernel did not take: `data` itself if it took nothing; None if the connection is lost."""
        try:
            if len(data) > 1:
                return _behind(data, self._sock.sendmsg(data))
            sent = self._sock.send(data[0])
            return () if sent == len(data[0]) else _behind(data, sent)
        except (BlockingIOError, InterruptedError):
            return data
        except OSError:
            if self._sender is not None:
                self._sender.on_lost()
            return None

    def _watch_for_stall(self) -> None:
        if self._stall is None:
            wait = self._progress + self._limits.stall_seconds - self._hub.clock()
            self._stall = self._hub.schedule_call_global(max(0.0, wait), self._on_stall)

    def _on_stall(self) -> None:
        self._stall = None
        if self._waiting and self._sender is not None:
            if self._hub.clock() - self._progress >= self._limits.stall_seconds:
                self._sender.cut("too slow")
            else:
                self._watch_for_stall()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._hub.remove(self._writing)
            self._writing = None

    def _on_obsolete(self, *_: object) -> None:
        # the event loop saw our file descriptor reused: somebody closed it under us
        if self._sender is not None:
            self._sender.on_lost()


def _behind(data: Sequence[Buffer], sent: int) -> Sequence[Buffer]:
    """Return the data after the first `sent` bytes."""
    if not sent and any(data):
        return data
    for index, buffer in enumerate(data):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *data[index + 1 :]]
        sent -= len(buffer)
    return ()
