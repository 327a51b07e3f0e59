"""A tab's connection: WebSocket or long-polling implemented here, packet by packet in the order of arrival.

No client library stands between the server and the record, so the record is exactly what was sent. It also implements
the ways in which connections end badly: cut in the middle of a frame, paused, abandoned without a word.
"""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

# small enough for the server to notice after a few frames that a tab stops reading
SMALL = 4096
LARGE = 1 << 18
SECONDS = 60
SEPARATOR = b"\x1e"

# an acknowledgement's id or an event's name, and the JSON that came with it
Heard = tuple[int | str, bytes]


class Gone(Exception):
    """The connection is over; the message says how."""


class Wire(Protocol):
    """One connection of a tab. `receive` raises Gone, once; calls on a connection that is gone do nothing."""

    async def receive(self) -> list[Heard]: ...

    def call(self, id: int, verb: str, payload: bytes) -> None: ...

    def cut(self, *, halfway: bool = False) -> None:
        """Close at once; with `halfway`, after one half of a packet."""

    def abandon(self) -> None:
        """Stop reading, writing and answering, and leave the connection open."""


class WebSocketWire:
    """Frames use an all-zero mask, so that they need no masking."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unread = b""
        self._early: list[bytes] = []

    @classmethod
    async def open(cls, port: int, token: str, *, small: bool = False) -> "WebSocketWire":
        """Open a tab that the server has accepted, with a `small` receive buffer if asked. Raises Gone."""
        reader, writer = await _connect(port, small=small)
        wire = cls(reader, writer)
        try:
            writer.write(
                f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            head = await _within(reader.readuntil(b"\r\n\r\n"))
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise Gone(f"no WebSocket: {head[:80]!r}")
            opening, *wire._early = await _within(wire.packets())
            if not opening.startswith(b"0"):
                raise Gone(f"no opening: {opening!r}")
            wire._early = await _join(wire, token)
        except BaseException:
            wire.cut()
            raise
        return wire

    async def receive(self) -> list[Heard]:
        return _heard(await self.packets(), self._send)

    async def packets(self) -> list[bytes]:
        """Return at least one engine.io packet."""
        if self._early:
            early, self._early = self._early, []
            return early
        while True:
            data = await _reading(self._reader.read(1 << 18))
            if not data:
                raise Gone("closed by the server")
            if packets := self._split(self._unread + data):
                return packets

    def call(self, id: int, verb: str, payload: bytes) -> None:
        self._send(b'42%d["%b",%b]' % (id, verb.encode(), payload))

    def cut(self, *, halfway: bool = False) -> None:
        if halfway and not self._writer.is_closing():
            self._writer.write(_frame(b'4299999["set",{"key":"never","value":1}]')[:-9])
        self._writer.transport.abort()

    def abandon(self) -> None:
        _ABANDONED.append(self._writer)

    def _send(self, packet: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(_frame(packet))

    def _split(self, data: bytes) -> list[bytes]:
        packets, at = [], 0
        while len(data) - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : start])
            if len(data) < start + length:
                break
            payload = data[start : start + length]
            if data[at] != 0x81:
                raise Gone(f"closed by the server: {payload!r}")
            packets.append(payload)
            at = start + length
        self._unread = data[at:]
        return packets


class PollingWire:
    """Two HTTP connections: one for the waiting poll, one for sending, one POST at a time."""

    def __init__(self, port: int) -> None:
        self._url = "/socket.io/?EIO=4&transport=polling"
        self._poll = _Http(port)
        self._post = _Http(port)
        self._outgoing: list[bytes] = []
        self._early: list[bytes] = []
        self._posting: asyncio.Task[None] | None = None
        self._failure: str | None = None

    @classmethod
    async def open(cls, port: int, token: str) -> "PollingWire":
        """Open a tab that the server has accepted. Raises Gone."""
        wire = cls(port)
        try:
            (opening,) = await wire.packets()
            wire._url += f"&sid={json.loads(opening[1:])['sid']}"
            wire._early = await _join(wire, token)
        except BaseException:
            wire.cut()
            raise
        return wire

    async def receive(self) -> list[Heard]:
        return _heard(await self.packets(), self._send)

    async def packets(self) -> list[bytes]:
        if self._early:
            early, self._early = self._early, []
            return early
        body = await self._poll.request("GET", self._url, b"")
        if self._failure:
            raise Gone(self._failure)
        return body.split(SEPARATOR)

    def call(self, id: int, verb: str, payload: bytes) -> None:
        self._send(b'42%d["%b",%b]' % (id, verb.encode(), payload))

    def cut(self, *, halfway: bool = False) -> None:
        if self._posting is not None:
            self._posting.cancel()
        self._failure = "cut"
        self._post.cut(b"POST %b HTTP/1.1\r\nContent-Length: 50\r\n\r\n42" % self._url.encode() if halfway else b"")
        self._poll.cut()

    def abandon(self) -> None:
        self._failure = "abandoned"
        self._post.abandon()
        self._poll.abandon()

    def _send(self, packet: bytes) -> None:
        self._outgoing.append(packet)
        if self._posting is None or self._posting.done():
            self._posting = asyncio.ensure_future(self._post_all())

    async def _post_all(self) -> None:
        try:
            while self._outgoing and self._failure is None:
                packets, self._outgoing = self._outgoing, []
                await self._post.request("POST", self._url, SEPARATOR.join(packets))
        except Gone as gone:
            # the tab waits for the poll, so the poll has to report the failure
            self._failure = str(gone)
            self._poll.cut()


class _Http:
    """A keep-alive connection for one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, url: str, body: bytes) -> bytes:
        if self._streams is None:
            self._streams = await _connect(self._port)
        reader, writer = self._streams
        writer.write(
            f"{method} {url} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await _reading(reader.readuntil(b"\r\n\r\n"))
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        answer = await _reading(reader.readexactly(int(length[1]) if length else 0))
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise Gone(f"{method}: {head[:40]!r} {answer[:80]!r}")
        if b"connection: close" in head.lower():
            self.cut()
        return answer

    def cut(self, last: bytes = b"") -> None:
        if self._streams is not None:
            if last:
                self._streams[1].write(last)
            self._streams[1].transport.abort()
            self._streams = None

    def abandon(self) -> None:
        if self._streams is not None:
            _ABANDONED.append(self._streams[1])


# half-open connections stay open until the process ends
_ABANDONED: list[asyncio.StreamWriter] = []


async def _connect(port: int, *, small: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await asyncio.open_connection(sock=sock, limit=SMALL if small else LARGE)
    except OSError as error:
        sock.close()
        raise Gone(f"cannot connect: {error}") from None


async def _join(wire: "WebSocketWire | PollingWire", token: str) -> list[bytes]:
    """Identify this tab; return the packets that came along with the welcome."""
    wire._send(b"40" + json.dumps({"token": token}).encode())
    welcome, *early = await _within(wire.packets())
    if not welcome.startswith(b"40"):
        raise Gone(f"refused: {welcome!r}")
    return early


def _heard(packets: list[bytes], send: Callable[[bytes], None]) -> list[Heard]:
    heard: list[Heard] = []
    for packet in packets:
        if packet.startswith(b"43"):
            bracket = packet.index(b"[")
            heard.append((int(packet[2:bracket]), packet[bracket + 1 : -1]))
        elif packet.startswith(b"42"):
            name, _, data = packet[4:-1].partition(b'",')
            heard.append((name.decode(), data))
        elif packet == b"2":
            send(b"3")
        elif packet in {b"1", b"41"}:
            raise Gone("closed by the server")
        elif packet != b"6":
            raise Gone(f"an unknown packet: {packet[:80]!r}")
    return heard


def _frame(packet: bytes) -> bytes:
    size = len(packet)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 1 << 16:
        head = b"\x81\xfe" + size.to_bytes(2)
    else:
        head = b"\x81\xff" + size.to_bytes(8)
    return head + bytes(4) + packet


async def _reading(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise Gone(f"closed by the server: {error!r}") from None


async def _within(reading: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(SECONDS):
            return await _reading(reading)
    except TimeoutError:
        raise Gone("no answer to the handshake") from None
