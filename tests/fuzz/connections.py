"""Connections that send anything; the server has to answer correctly, so answers are parsed strictly."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from tests.fuzz import oracles
from tests.fuzz.case import Wrong

DEADLINE = 30
BLOCK = 1 << 16
OPEN_WEBSOCKET = (
    b"GET /socket.io/?EIO=4&transport=websocket%b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Ended(Exception):
    """The server has closed the connection."""


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def last(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


class Connection:
    """One TCP connection. Every received byte is searched for forbidden content."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unread = b""
        self._tail = b""

    @classmethod
    async def open(cls, port: int) -> "Connection":
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), DEADLINE)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    def send(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)

    async def send_all(self, pieces: tuple[bytes, ...]) -> None:
        """Send each piece in a separate segment, as far as the kernel permits."""
        for piece in pieces:
            self.send(piece)
            await asyncio.sleep(0)

    def send_eof(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def receive(self) -> bytes:
        """Return some bytes. Raises Ended."""
        if self._unread:
            received, self._unread = self._unread, b""
            return received
        try:
            async with asyncio.timeout(DEADLINE):
                received = await self._reader.read(BLOCK)
        except TimeoutError:
            raise Wrong(f"neither a word nor an end within {DEADLINE} s") from None
        except OSError:
            received = b""
        if not received:
            raise Ended
        oracles.check_bytes(self._tail + received)
        self._tail = received[-64:]
        return received

    async def receive_until(self, end: bytes) -> bytes:
        received = b""
        while end not in received:
            received += await self.receive()
        received, end, self._unread = received.partition(end)
        return received + end

    async def receive_exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            received += await self.receive()
        self._unread = bytes(received[size:])
        return bytes(received[:size])

    async def receive_all(self) -> bytes:
        """Read until the server closes."""
        received = bytearray()
        try:
            while True:
                received += await self.receive()
        except Ended:
            return bytes(received)

    async def response(self) -> Response:
        """Read one HTTP response to a request that was not a HEAD. Raises Ended."""
        return await self.rest_of(await self.head())

    async def head(self) -> Response:
        """Read a response up to the end of its headers; the body is still to come. Raises Ended."""
        head = await self.receive_until(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        version, _, status = first.partition(b" ")
        if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not status[:3].isdigit():
            raise Wrong(f"not a response: {head[:200]!r}")
        oracles.check_status(status[:3])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        return Response(int(status[:3]), headers, b"")

    async def rest_of(self, head: Response) -> Response:
        """Read the body, however its end is marked."""
        if head.status in {204, 304}:
            body = b""
        elif (length := head.headers.get(b"content-length", b"")).isdigit():
            body = await self.receive_exactly(int(length))
        elif head.headers.get(b"transfer-encoding") == b"chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        else:
            raise Wrong(f"a response without a length: {head}")
        return replace(head, body=body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a body, one by one."""
        while True:
            size = (await self.receive_until(b"\r\n"))[:-2]
            chunk = await self.receive_exactly(int(size, 16) + 2)
            if not chunk.endswith(b"\r\n"):
                raise Wrong(f"not a chunk: {size!r} {chunk[-100:]!r}")
            if len(chunk) == 2:
                return
            yield chunk[:-2]

    def close_discarding(self) -> None:
        self._writer.transport.abort()


class WebSocketConnection:
    """A correctly opened WebSocket; `packets` are the server's messages on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._unread = b""

    @classmethod
    async def open(cls, port: int, sid: str | None = None) -> "WebSocketConnection":
        """Open a WebSocket. Raises Ended if the server refuses it."""
        connection = await Connection.open(port)
        connection.send(OPEN_WEBSOCKET % (b"" if sid is None else f"&sid={sid}".encode()))
        try:
            head = await connection.receive_until(b"\r\n\r\n")
        except BaseException:
            connection.close_discarding()
            raise
        if not head.startswith(b"HTTP/1.1 101 "):
            oracles.statuses(head)
            connection.close_discarding()
            raise Ended
        return cls(connection)

    def send(self, packet: bytes) -> None:
        self.connection.send(text_frame(packet))

    async def packets(self) -> list[bytes]:
        """Return one or more packets. Raises Ended, also for a close frame."""
        while True:
            found, closed = self._split(self._unread + await self.connection.receive())
            if found:
                return found
            if closed:
                raise Ended

    def _split(self, data: bytes) -> tuple[list[bytes], bool]:
        found, at = [], 0
        while len(data) - at >= 2:
            head, length, start = data[at], data[at + 1], at + 2
            if length > 127 or head not in {0x81, 0x88, 0x89, 0x8A}:
                raise Wrong(f"not a frame that a server sends: {data[at : at + 100]!r}")
            if length >= 126:
                start += 2 if length == 126 else 8
                if len(data) < start:
                    break
                length = int.from_bytes(data[at + 2 : start])
            if len(data) < start + length:
                break
            at = start + length
            if head == 0x81:
                found.append(data[start:at])
            elif head == 0x88:
                self._unread = data[at:]
                if found:
                    # keep the close frame, so that the next call reports the end
                    self._unread = data[start - 2 :]
                return found, True
        self._unread = data[at:]
        return found, False


def text_frame(packet: bytes) -> bytes:
    """Return a frame with an all-zero mask, so that it needs no masking."""
    size = len(packet)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 1 << 16:
        head = b"\x81\xfe" + size.to_bytes(2)
    else:
        head = b"\x81\xff" + size.to_bytes(8)
    return head + bytes(4) + packet
