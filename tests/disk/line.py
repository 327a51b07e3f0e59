"""A WebSocket tab that spends as little as possible on a call, so that the server is the bottleneck, not the client."""

import json
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

from tests.live_server import DEADLINE, Account

_REQUEST = """\
GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r
Host: {host}\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
Sec-WebSocket-Version: 13\r
\r
"""


class Line:
    """One tab of `account`; pushes are read and ignored."""

    def __init__(self, account: Account) -> None:
        host = urlsplit(account.server.url).netloc
        name, port = host.split(":")
        self._socket = socket.create_connection((name, int(port)), timeout=DEADLINE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_REQUEST.format(host=host).encode())
        self._buffer = bytearray()
        self._calls = 0
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        del self._buffer[: end + 4]
        self._receive()
        self._send(b"40" + json.dumps({"token": account.token}).encode())
        assert self._receive().startswith(b"40")

    def call(self, verb: str, **payload: Any) -> dict[str, Any]:
        self._calls += 1
        self._send(f"42{self._calls}{json.dumps([verb, payload])}".encode())
        start = f"43{self._calls}[".encode()
        while not (packet := self._receive()).startswith(start):
            if packet == b"2":
                self._send(b"3")
        answer: dict[str, Any] = json.loads(packet[len(start) - 1 :])[0]
        return answer

    def close(self) -> None:
        self._socket.close()

    def _send(self, packet: bytes) -> None:
        size = len(packet)
        if size < 126:
            head = struct.pack("!BB", 0x81, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
        # masking with zeros changes nothing
        self._socket.sendall(head + bytes(4) + packet)

    def _receive(self) -> bytes:
        self._need(2)
        start, size = 2, self._buffer[1] & 0x7F
        if size == 126:
            self._need(4)
            start, size = 4, struct.unpack_from("!H", self._buffer, 2)[0]
        elif size == 127:
            self._need(10)
            start, size = 10, struct.unpack_from("!Q", self._buffer, 2)[0]
        self._need(start + size)
        packet = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return packet

    def _need(self, size: int) -> None:
        while len(self._buffer) < size:
            self._fill()

    def _fill(self) -> None:
        part = self._socket.recv(1 << 20)
        assert part, "the server has closed the connection"
        self._buffer += part
