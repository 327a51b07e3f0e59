"""Engine.IO transports over blocking sockets: WebSocket and long-polling, either of which can be cut at any moment.

One thread sends and receives; `cut` may be called from any other and simulates a lost network.
"""

import contextlib
import http.client
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from realtime_kv_client.engineio import CLOSE, PATH, Handshake, WebSocketFraming, join_payload, split_payload
from realtime_kv_client.errors import ConnectionLost
from realtime_kv_client.http import HttpClient

_READ_BYTES = 256 * 1024


class EngineIOTransport(Protocol):
    """A transport of Engine.IO packets, opened by the constructor. Raises ConnectionLost."""

    def send(self, packets: Sequence[str]) -> None:
        """Send these packets in order. Raises ConnectionLost."""

    def receive(self) -> list[str]:
        """Wait for the next packets and return them. Raises ConnectionLost."""

    def cut(self) -> None:
        """Cut the connection without telling the server. May be called from any thread."""

    def close(self) -> None:
        """Close the connection."""


class WebSocketTransport:
    """A WebSocket, without a polling phase before it."""

    def __init__(self, server: HttpClient) -> None:
        self._framing = WebSocketFraming(server.url)
        try:
            self._sock = server.open_socket()
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        try:
            self._send_bytes()
            self._waiting = self._read()
        except BaseException:
            self._sock.close()
            raise

    def send(self, packets: Sequence[str]) -> None:
        self._framing.send(packets)
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
            self._framing.close()
            self._send_bytes()
        self._sock.close()

    def _read(self) -> list[str]:
        try:
            data = self._sock.recv(_READ_BYTES)
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        if not data:
            raise ConnectionLost("the connection was closed")
        packets = self._framing.receive(data)
        # answers to pings and to a close; if they cannot be sent, the next read fails, and these packets are not lost
        with contextlib.suppress(ConnectionLost):
            self._send_bytes()
        return packets

    def _send_bytes(self) -> None:
        try:
            self._sock.sendall(self._framing.take_bytes())
        except OSError as error:
            raise ConnectionLost(str(error)) from None


class PollingTransport:
    """Long-polling: one pending GET to receive, and a POST for each send."""

    def __init__(self, server: HttpClient) -> None:
        self._path = f"{PATH}polling"
        self._down, self._up, self._last = (server.http_connection() for _ in range(3))
        self._is_cut = False
        self._waiting = split_payload(self._ask(self._down, "GET"))
        self._path += f"&sid={Handshake.from_packet(self._waiting[0]).sid}"

    def send(self, packets: Sequence[str]) -> None:
        if packets:
            self._ask(self._up, "POST", join_payload(packets))

    def receive(self) -> list[str]:
        packets = self._waiting or split_payload(self._ask(self._down, "GET"))
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
            self._ask(self._last, "POST", CLOSE.encode())
        for connection in (self._down, self._up, self._last):
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, method: str, body: bytes | None = None) -> bytes:
        try:
            connection.request(method, self._path, body)
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_cut:
                raise ConnectionLost("the connection was cut")
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionLost(str(error)) from None
        if response.status != 200:
            raise ConnectionLost(f"polling was answered {response.status}: {answer[:200].decode(errors='replace')}")
        return answer


TRANSPORTS: dict[str, Callable[[HttpClient], EngineIOTransport]] = {
    "websocket": WebSocketTransport,
    "polling": PollingTransport,
}


def _cut(sock: socket.socket) -> None:
    # with this option, closing sends a RST instead of a normal close
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
