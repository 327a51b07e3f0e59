"""Engine.IO, revision 4, the client's half, without I/O: packets, and their framing by each transport.

A packet is a text whose first character is its type. WebSocket carries one in each text message; long-polling carries
several in one body, separated by U+001E. The server sends the pings.

Source: https://socket.io/docs/v4/engine-io-protocol/
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN as IS_OPEN
from websockets.uri import parse_uri

from realtime_kv_client.errors import ConnectionLost

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
PATH = "/socket.io/?EIO=4&transport="
# a change holds at most about 512 KiB and one more write, which has up to 8 MiB of keys and values
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_SEPARATOR = "\x1e"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the server declares when it opens a session; times are in seconds."""

    sid: str
    ping_interval: float
    ping_timeout: float
    max_payload_bytes: int

    @classmethod
    def from_packet(cls, packet: str) -> "Handshake":
        """Decode the OPEN packet. Raises ConnectionLost if it is none."""
        try:
            if packet[:1] != OPEN:
                raise ValueError
            fields = json.loads(packet[1:])
            return cls(fields["sid"], fields["pingInterval"] / 1000, fields["pingTimeout"] / 1000, fields["maxPayload"])
        except (ValueError, TypeError, KeyError):
            raise ConnectionLost(f"the server opened no session: {packet[:200]}") from None


class EngineIOProtocol:
    """One session: received packets become messages, and messages become packets to send."""

    def __init__(self) -> None:
        self.handshake: Handshake | None = None
        self.is_closed = False
        self._outgoing: list[str] = []

    def send(self, message: str) -> None:
        """Queue a message."""
        self._outgoing.append(MESSAGE + message)

    def receive(self, packet: str) -> str | None:
        """Take a packet; return its message if it has one. Queues the answer to a ping. Raises ConnectionLost."""
        kind = packet[:1]
        if kind == MESSAGE:
            return packet[1:]
        if kind == PING:
            self._outgoing.append(PONG)
        elif kind == OPEN:
            self.handshake = Handshake.from_packet(packet)
        elif kind == CLOSE:
            raise ConnectionLost("the server closed the connection")
        return None

    def take_packets(self) -> list[str]:
        """Return the queued packets and empty the queue. The client may send them once the session is open."""
        if self.handshake is None:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing


def join_payload(packets: Iterable[str]) -> bytes:
    """Encode packets as the body of a poll."""
    return _SEPARATOR.join(packets).encode()


def split_payload(body: bytes) -> list[str]:
    """Decode the body of a poll. Raises ConnectionLost."""
    return _decode(body).split(_SEPARATOR)


class WebSocketFraming:
    """One WebSocket connection to `url`: bytes received become packets, and packets become bytes to send."""

    def __init__(self, url: str) -> None:
        self._protocol = ClientProtocol(parse_uri(f"ws{url[4:]}{PATH}websocket"), max_size=MAX_MESSAGE_BYTES)
        self._protocol.send_request(self._protocol.connect())
        self._partial = b""

    def send(self, packets: Sequence[str]) -> None:
        """Queue packets. Raises ConnectionLost after the server has closed."""
        if self._protocol.state is not IS_OPEN:
            raise ConnectionLost("the server closed the connection")
        for packet in packets:
            self._protocol.send_text(packet.encode())

    def receive(self, data: bytes) -> list[str]:
        """Take received bytes; return the packets that are complete. Raises ConnectionLost if the server refuses."""
        self._protocol.receive_data(data)
        if self._protocol.handshake_exc is not None:
            raise ConnectionLost(f"no WebSocket: {self._protocol.handshake_exc}")
        frames = (event for event in self._protocol.events_received() if isinstance(event, Frame))
        return [packet for frame in frames if (packet := self._collect(frame)) is not None]

    def close(self) -> None:
        """Queue a close frame."""
        if self._protocol.state is IS_OPEN:
            self._protocol.send_close()

    def take_bytes(self) -> bytes:
        """Return the bytes to send, including answers to pings and to a close, and empty the queue."""
        return b"".join(self._protocol.data_to_send())

    def _collect(self, frame: Frame) -> str | None:
        if frame.opcode not in {Opcode.TEXT, Opcode.CONT}:
            return None
        self._partial += frame.data
        if not frame.fin:
            return None
        message, self._partial = self._partial, b""
        return _decode(message)


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ConnectionLost("the server sent what is not UTF-8") from None
