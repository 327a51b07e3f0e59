"""A minimal Socket.IO tab, as cheap as Python allows: a non-blocking socket, large reads, no JSON parsing.

The load must cost far less than the server that it measures. So this implements just the parts of WebSocket, Engine.IO
and Socket.IO that the servers of the benchmark need, and nothing else should use it: everything else uses
`realtime_kv_client`. With the framing and decoding of that client, the load takes 1.5 to 3 times the processor time for
each write, which would show in the measured rates.
"""

import errno
import json
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from websockets.speedups import apply_mask

_READ = 1 << 18
_PING = b"\x81\x012"


class Tab:
    """One connection. `on_ack(id, payload, start)` and `on_event(payload)` are called with the bytes as received.

    `on_open()` is called once connected; `on_close(reason)` when the connection is lost, by default an error.
    """

    def __init__(self, selector: selectors.BaseSelector, port: int, auth: dict[str, Any]) -> None:
        self.on_ack: Callable[[int, bytes, int], None] = lambda *_: None
        self.on_event: Callable[[bytes], None] = lambda _: None
        self.on_open: Callable[[], None] = lambda: None
        self.on_close: Callable[[str], None] = _must_not_close
        self.is_open = False
        self.is_lost = False
        self.counted = 0
        self.pings = 0
        self.next_id = 0
        self._selector = selector
        self._auth = json.dumps(auth, separators=(",", ":"))
        self._mask = secrets.token_bytes(4)
        self._unread = b""
        self._unsent = bytearray()
        self._waiting_to_write = False
        self._upgraded = False
        self._counting: bytes | None = None
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect_ex(("127.0.0.1", port))
        selector.register(self._socket, selectors.EVENT_READ, self)
        self._write(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "\r\n".encode()
        )

    def call(self, event: str, payload: str) -> int:
        """Send one event; return the id of its acknowledgement."""
        number = self.take_id()
        self.send([f'42{number}["{event}",{payload}]'])
        return number

    def take_id(self) -> int:
        """Return the next acknowledgement id."""
        self.next_id += 1
        return self.next_id

    def send(self, packets: list[str]) -> None:
        """Send these packets, a frame each, in one write."""
        self._write(b"".join([self._frame(packet.encode()) for packet in packets]))

    def ready(self, events: int) -> None:
        """Handle a readable or writable socket."""
        try:
            if events & selectors.EVENT_WRITE and not self.is_lost:
                self._write(b"")
            if events & selectors.EVENT_READ and not self.is_lost:
                self._receive(self._socket.recv(_READ))
        except OSError as error:
            self._lose(str(error))

    def count(self, pattern: bytes) -> None:
        """From now on only count occurrences of this pattern in `counted`: cheaper than parsing frames."""
        self._counting = pattern

    def close(self) -> None:
        """Close the connection."""
        if not self.is_lost:
            self.is_lost = True
            self.is_open = False
            self._selector.unregister(self._socket)
            self._socket.close()

    def _lose(self, reason: str) -> None:
        self.close()
        self.on_close(reason)

    def _receive(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError("the server closed a tab")
        if self._counting is None:
            self._read(self._unread + data if self._unread else data)
            return
        # rejoins a match split between two reads; keeps too few bytes to count a whole one twice
        seen = max(0, len(self._unread) - len(_PING) + 1)
        data = self._unread + data
        if data.find(_PING, seen) >= 0:
            self.send(["3"])
        self.counted += data.count(self._counting)
        self._unread = data[-len(self._counting) + 1 :]

    def _read(self, data: bytes) -> None:
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._unread = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise ConnectionRefusedError(f"no WebSocket: {head[:80]!r} {data[:200]!r}")
            self._upgraded = True
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(data[at + 2 : start])
            elif length == 127:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start])
            end_of_frame = start + length
            if size < start or size < end_of_frame:
                break
            self._packet(data[at] & 15, data[start:end_of_frame])
            at = end_of_frame
        self._unread = data[at:]

    def _packet(self, opcode: int, payload: bytes) -> None:
        kind = payload[:2]
        if opcode != 1:
            raise ConnectionError(f"the server closed a tab: {payload!r}")
        if kind == b"43":
            bracket = payload.index(b"[", 2)
            self.on_ack(int(payload[2:bracket]), payload, bracket + 1)
        elif kind == b"42":
            self.on_event(payload)
        elif kind == b"2":
            self.pings += 1
            self.send(["3"])
        elif kind[:1] == b"0":
            self.send([f"40{self._auth}"])
        elif kind == b"40":
            self.is_open = True
            self.on_open()
        elif kind in {b"44", b"41", b"1"}:
            raise ConnectionError(f"the server refused a tab: {payload!r}")

    def _frame(self, payload: bytes) -> bytes:
        size = len(payload)
        if size < 126:
            head = bytes((0x81, 0x80 | size))
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x81, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x81, 0xFF, size)
        return b"".join((head, self._mask, apply_mask(payload, self._mask)))

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            data = bytes(self._unsent)
            self._unsent.clear()
        try:
            sent = self._socket.send(data)
        except OSError as error:
            # not connected yet: Linux reports that it would block, other systems that there is no connection
            if error.errno not in {errno.EAGAIN, errno.ENOTCONN}:
                self._lose(str(error))
                return
            sent = 0
        if sent < len(data):
            self._unsent += data[sent:]
        if self._waiting_to_write != bool(self._unsent):
            self._waiting_to_write = not self._waiting_to_write
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._waiting_to_write else 0)
            self._selector.modify(self._socket, events, self)


class Loop:
    """Runs tabs until a condition holds."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def open(self, port: int, auths: list[dict[str, Any]], *, at_once: int = 32, seconds: float = 20) -> list[Tab]:
        """Connect a tab for each of these, `at_once` handshakes at a time, each group within `seconds`."""
        tabs: list[Tab] = []
        for start in range(0, len(auths), at_once):
            opening = [Tab(self.selector, port, auth) for auth in auths[start : start + at_once]]
            self._until_open(opening, seconds)
            tabs += opening
        return tabs

    def sync(self, tabs: list[Tab]) -> None:
        """Sync each tab, as a client does after it has connected; wait for the first page."""
        answered: list[int] = []
        for tab in tabs:
            tab.on_ack = lambda number, *_: answered.append(number)
            tab.call("sync", "{}")
        self.run(lambda: len(answered) == len(tabs), 20, "the answers of sync")

    def run(self, until: Callable[[], bool], seconds: float, what: str) -> None:
        """Serve the tabs until the condition holds. Raises TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            self.step(min(left, 0.1))

    def step(self, timeout: float) -> None:
        """Serve ready sockets, waiting up to `timeout` for one."""
        for key, events in self.selector.select(timeout):
            key.data.ready(events)

    def _until_open(self, tabs: list[Tab], seconds: float) -> None:
        self.run(lambda: all(tab.is_open for tab in tabs), seconds, "the tabs to be connected")


def _must_not_close(reason: str) -> None:
    raise ConnectionError(f"the server closed a tab: {reason}")
