"""Engine.IO transports over own sockets: WebSocket or long-polling, which can be cut at any moment.

One thread sends and receives; `cut` may be called from any other and simulates a lost network.
"""

import contextlib
import http.client
import socket
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from realtime_kv.doctor.site import HttpClient

BLOCK = 256 * 1024
# a change holds at most about 512 KiB and one more write, which has up to 8 MiB of keys and values
MESSAGE_BYTES = 16 * 1024 * 1024
PATH = "/socket.io/?EIO=4&transport="


class ConnectionLost(Exception):
    """The connection is lost; packets in transit may have arrived or not."""


class EngineIOTransport(Protocol):
    """A transport of Engine.IO packets."""

    def send(self, packets: Sequence[str]) -> None:
        """Send these packets in order. Raises Lost."""

    def receive(self) -> list[str]:
        """Wait for the next packets and return them. Raises Lost."""

    def cut(self) -> None:
        """Cut the connection without telling the server. May be called from any thread."""

    def close(self) -> None:
        """Close the connection."""


class WebSocketTransport:
    """A WebSocket, without a polling phase before it."""

    def __init__(self, site: HttpClient) -> None:
        self._protocol = ClientProtocol(parse_uri(f"ws{site.url[4:]}{PATH}websocket"), max_size=MESSAGE_BYTES)
        self._partial = b""
        try:
            self._sock = site.connect()
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        try:
            self._protocol.send_request(self._protocol.connect())
            self._send_bytes()
            self._waiting = self._read()
            if self._protocol.handshake_exc is not None:
                raise ConnectionLost(f"no WebSocket: {self._protocol.handshake_exc}")
        except BaseException:
            self._sock.close()
            raise

    def send(self, packets: Sequence[str]) -> None:
        if self._protocol.state is not OPEN:
            raise ConnectionLost("the server closed the connection")
        for packet in packets:
            self._protocol.send_text(packet.encode())
        self._send_bytes()

    def receive(self) -> list[str]:
        while not self._waiting:
            self._waiting = self._read()
        packets, self._waiting = self._waiting, []
        return packets

    def cut(self) -> None:
        _cut(self._sock)

    def close(self) -> None:
        with contextlib.suppress(ConnectionLost):
            if self._protocol.state is OPEN:
                self._protocol.send_close()
            self._send_bytes()
        self._sock.close()

    def _read(self) -> list[str]:
        try:
            data = self._sock.recv(BLOCK)
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        if not data:
            raise ConnectionLost("the connection was closed")
        self._protocol.receive_data(data)
        # pongs, and the answer to a close
        self._send_bytes()
        return [text for event in self._protocol.events_received() if (text := self._collect(event)) is not None]

    def _collect(self, event: Any) -> str | None:
        if not isinstance(event, Frame) or event.opcode not in {Opcode.TEXT, Opcode.CONT}:
            return None
        self._partial += event.data
        if not event.fin:
            return None
        message, self._partial = self._partial, b""
        return message.decode()

    def _send_bytes(self) -> None:
        try:
            self._sock.sendall(b"".join(self._protocol.data_to_send()))
        except OSError as error:
            raise ConnectionLost(str(error)) from None


class PollingTransport:
    """Long-polling: one pending GET to receive, and a POST for each send."""

    def __init__(self, site: HttpClient) -> None:
        self._path = f"{PATH}polling"
        self._down, self._up, self._last = site.http(), site.http(), site.http()
        self._is_cut = False
        self._waiting = self._ask(self._down, "GET").split("\x1e")
        sid = self._waiting[0].partition('"sid":"')[2].partition('"')[0]
        self._path += f"&sid={sid}"

    def send(self, packets: Sequence[str]) -> None:
        if packets:
            self._ask(self._up, "POST", "\x1e".join(packets))

    def receive(self) -> list[str]:
        packets = self._waiting or self._ask(self._down, "GET").split("\x1e")
        self._waiting = []
        return packets

    def cut(self) -> None:
        self._is_cut = True
        for connection in (self._down, self._up):
            sock = connection.sock
            if sock is not None:
                _cut(sock)

    def close(self) -> None:
        self._is_cut = False
        # the server cannot see that a poller left: it would keep the session until its ping times out
        with contextlib.suppress(ConnectionLost):
            self._ask(self._last, "POST", "1")
        for connection in (self._down, self._up, self._last):
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, method: str, body: str | None = None) -> str:
        try:
            connection.request(method, self._path, None if body is None else body.encode())
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_cut:
                raise ConnectionLost("the connection was cut")
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionLost(str(error)) from None
        if response.status != 200:
            raise ConnectionLost(f"polling was answered {response.status}: {text[:200]}")
        return text


def _cut(sock: socket.socket) -> None:
    # with this option, closing sends a RST instead of a normal close
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
