"""Encoding of messages between a tab and the server: ready-made frames out, strictly parsed packets in.

A message is one engine.io packet. `4` opens those that carry a socket.io packet: `42["set",{…}]` is an event, with an
acknowledgement id `4217["set",{…}]`, and `4317[{…}]` answers it. Parsing is strict: input that a stock client would not
send is a Violation, and the sender is disconnected.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from realtime_kv.core.messages import LARGE_BYTES

OPEN, CLOSE, PING, PONG, UPGRADE, NOOP = b"0", b"1", b"2", b"3", b"5", b"6"
CONNECT, DISCONNECT, EVENT = b"40", b"41", b"42"
BINARY_EVENT, BINARY_ACK = b"45", b"46"
PROBE, PROBE_ANSWER = b"2probe", b"3probe"
SEPARATOR = b"\x1e"

_SHORT_HEADERS = [bytes((0x81, length)) for length in range(126)]

# the longest ids that JSON and JavaScript keep exact; no client counts that far
ACK_DIGITS = 15


class Violation(Exception):
    """Input that no stock client sends; `code` closes a WebSocket (RFC 6455 §7.4)."""

    code = 1008


Buffer = bytes | memoryview


class NotText(Violation):
    """Bytes that are not UTF-8."""

    code = 1007


class Binary(Violation):
    """Binary data in place of text: no verb takes any."""

    code = 1003


class TooLong(Violation):
    """A message that exceeds its limit."""

    code = 1009


class Frame:
    """One ready-made message with its WebSocket frame: unmasked, as servers send, so the same bytes go to every tab.

    `wire` is the part of the frame that stands in one buffer; `rest` are the further buffers of a large frame, which
    are not copied, because each copy would hold the event loop.
    """

    __slots__ = ("_start", "rest", "wire")

    def __init__(self, payload: bytes, *rest: Buffer) -> None:
        header = text_header(len(payload) + sum(map(len, rest)) if rest else len(payload))
        self._start = len(header)
        self.wire = header + payload
        self.rest = rest

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """The whole frame, in order."""
        return (self.wire, *self.rest)

    @property
    def payload(self) -> bytes:
        """The message without its frame, as long-polling transmits it."""
        return b"".join(self.buffers)[self._start :]


def join_frames(frames: Sequence[Frame]) -> Sequence[Buffer]:
    """Return the buffers of all frames, joined into one if all frames are small."""
    for frame in frames:
        if frame.rest:
            return [buffer for frame in frames for buffer in frame.buffers]
    return (b"".join([frame.wire for frame in frames]),)


def event_frame(name: str, json: bytes) -> Frame:
    """Return the event `name` with one argument, which is already JSON."""
    if len(json) < LARGE_BYTES:
        return Frame(b'42["%b",%b]' % (name.encode(), json))
    return Frame(b'42["%b",' % name.encode(), json, b"]")


def ack_frame(ack_id: int, *json: Buffer) -> Frame:
    """Return the answer to the event with `ack_id`; an answer in several pieces is large."""
    if len(json) == 1 and isinstance(body := json[0], bytes) and len(body) < LARGE_BYTES:
        return Frame(b"43%d[%b]" % (ack_id, body))
    return Frame(b"43%d[" % ack_id, *json, b"]")


def opening(sid: str, transport: str, ping_interval: float, ping_timeout: float, max_payload: int) -> bytes:
    """Return the first message of a session; times in seconds."""
    data = {
        "sid": sid,
        "upgrades": ["websocket"] if transport == "polling" else [],
        "pingInterval": int(ping_interval * 1000),
        "pingTimeout": int(ping_timeout * 1000),
        "maxPayload": max_payload,
    }
    return OPEN + msgspec.json.encode(data)


def text_header(length: int) -> bytes:
    """Return the header of an unfragmented, unmasked text frame (RFC 6455 §5.2)."""
    if length < 126:
        return _SHORT_HEADERS[length]
    if length < 65536:
        return struct.pack("!BBH", 0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)


def read_event(message: bytes) -> tuple[int | None, bytes]:
    """Return the acknowledgement id and the JSON of an event (a message that starts with `42`), unparsed.

    Raises Violation for a namespace other than `/` and for an id that no client reaches.
    """
    start = message.find(b"[", 2, 3 + ACK_DIGITS)
    if start == 2:
        return None, message[2:]
    digits = message[2:start] if start > 0 else b""
    if digits.isdigit():
        return int(digits), message[start:]
    return _read_odd_event(message)


def read_connect(message: bytes) -> tuple[str, Any]:
    """Return the namespace and the `auth` of a CONNECT (a message that starts with `40`)."""
    namespace, body = _split_namespace(message[2:])
    auth = None
    if body:
        try:
            auth = msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise Violation("the auth of a CONNECT is not JSON") from error
    return namespace.decode(errors="replace"), auth


def no_such_namespace(namespace: str) -> str:
    """Return the CONNECT_ERROR that answers a CONNECT to a namespace other than `/`, without its first digit."""
    named = namespace.partition("?")[0]
    why = f"There is no namespace {named}; connect to / (the address without a path)."
    error = {"message": "not_found", "data": {"code": "not_found", "message": why}}
    return f"4{named}," + msgspec.json.encode(error).decode()


def read_disconnect(message: bytes) -> None:
    """Check that a DISCONNECT contains only its namespace, which must be `/`. Raises Violation."""
    if _strip_namespace(message[2:]):
        raise Violation("a DISCONNECT carries nothing")


def check_text(message: bytes) -> None:
    """Raise NotText unless `message` is UTF-8."""
    if not message.isascii():
        try:
            message.decode()
        except UnicodeDecodeError as error:
            raise NotText("not UTF-8") from error


def _read_odd_event(message: bytes) -> tuple[int | None, bytes]:
    # the array is missing: the sender gets an error answer if the id can be read
    body = _strip_namespace(message[2:])
    rest = body.lstrip(b"0123456789")
    digits = body[: len(body) - len(rest)]
    if len(digits) > ACK_DIGITS:
        raise Violation("an acknowledgement id without end")
    return int(digits) if digits else None, rest


def _strip_namespace(body: bytes) -> bytes:
    namespace, rest = _split_namespace(body)
    if namespace != b"/":
        raise Violation("there is no namespace but /")
    return rest


def _split_namespace(body: bytes) -> tuple[bytes, bytes]:
    if not body.startswith(b"/"):
        return b"/", body
    namespace, _, rest = body.partition(b",")
    if len(namespace) > 128:
        raise Violation("a namespace without end")
    return namespace, rest


def is_handshake(message: bytes) -> bool:
    """Return whether the message is a CONNECT or DISCONNECT, which takes time to process."""
    return message.startswith((CONNECT, DISCONNECT))
