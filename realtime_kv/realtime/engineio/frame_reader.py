"""Frames of a WebSocket, read from a buffer without I/O.

The common frame (unfragmented, masked, text) is parsed here, from large blocks, and so are pings and pongs; all others
go through the `websockets` library, which implements the rest of RFC 6455: fragments, limits, the closing handshake.
Extensions are never negotiated.
"""

import logging
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from realtime_kv.realtime.engineio.packets import Binary, TooLong, check_text

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

# a fragment of at least so many bytes is part of a message; a smaller one also counts as a frame that completes none
FRAGMENT_BYTES = 1024
WHOLE_TEXT, PING, PONG = 0x81, 0x89, 0x8A

# `next_message` returns these for a frame that completes no message
NOTHING = b"nothing"
FRAGMENT = b"fragment"


class FrameReader:
    """The received bytes of one WebSocket, and the frames in them."""

    __slots__ = (
        "_library",
        "_max_bytes",
        "_partial",
        "_pinged",
        "_position",
        "inbox",
        "message_bytes",
        "over",
        "replies",
    )

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` is the longest message that is ever accepted."""
        self._max_bytes = max_bytes
        # the longest message that is accepted now
        self.message_bytes = max_bytes
        self.inbox = bytearray()
        self._position = 0
        # the last ping since `take_pong`: its mask and its masked payload
        self._pinged: bytearray | None = None
        self._library: ServerProtocol | None = None
        self._partial: bytearray | None = None
        # set by a frame that completes no message: frames to send, and why the connection is over
        self.replies: list[bytes] | None = None
        self.over: str | None = None

    def next_message(self) -> bytes | None:
        """Return the message that the next frame completes, `NOTHING` or `FRAGMENT`; None without a whole frame.

        Raises Violation.
        """
        inbox, start = self.inbox, self._position
        have = len(inbox) - start
        if have < 2:
            return None
        head, second = inbox[start], inbox[start + 1]
        length, body = second & 127, start + 6
        if length > 125:
            body += 2 if length == 126 else 8
            if len(inbox) < body:
                return None
            length = int.from_bytes(inbox[start + 2 : body - 4], "big")
        end = body + length
        masked = second > 127
        if masked and length > self.message_bytes:
            raise TooLong(f"a message may have at most {self.message_bytes} bytes")
        if masked and end > len(inbox):
            return None
        if masked and head == WHOLE_TEXT and (self._library is None or self._library.current_size is None):
            self._position = end
            message: bytes = apply_mask(inbox[body:end], inbox[body - 4 : body])
        elif masked and length <= 125 and head in (PING, PONG):
            self._position = end
            if head == PING:
                # only the last of several is answered (RFC 6455 §5.5.3)
                self._pinged = inbox[body - 4 : end]
            return NOTHING
        else:
            self._position = end = end if masked else len(inbox)
            message = self._read_by_library(bytes(inbox[start:end]))
            if message is NOTHING:
                return FRAGMENT if head & 15 < 3 and length >= FRAGMENT_BYTES else NOTHING
        check_text(message)
        return message

    def discard_read(self) -> int:
        """Remove the bytes of the frames that have been read; return their number."""
        size, self._position = self._position, 0
        del self.inbox[:size]
        return size

    def clear(self) -> None:
        """Drop everything that was received."""
        self.inbox = bytearray()
        self._position = 0
        self._partial = None

    def take_pong(self) -> bytes | None:
        """Return the answer to the last ping, if one has come since the last call."""
        if self._pinged is None:
            return None
        pinged, self._pinged = self._pinged, None
        payload = apply_mask(bytes(pinged[4:]), bytes(pinged[:4]))
        return bytes((PONG, len(payload))) + payload

    def close_frame(self, code: int, explanation: str) -> bytes:
        """Return the frame that begins the closing handshake; empty if it has begun."""
        library = self._protocol()
        if library.state is not OPEN:
            return b""
        library.send_close(code, explanation)
        return b"".join(library.data_to_send())

    def _read_by_library(self, data: bytes) -> bytes:
        library = self._protocol()
        library.receive_data(data)
        message = NOTHING
        # one frame went in, so at most one message comes out
        for frame in library.events_received():
            message = self._collect(frame)
        for reply in library.data_to_send():
            if reply:
                self.replies = [*(self.replies or ()), reply]
            else:
                self.over = "transport close" if library.parser_exc is None else "transport error"
        return message

    def _collect(self, frame: Any) -> bytes:
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.BINARY:
            raise Binary("binary messages are not accepted; send JSON text")
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if self._partial is None:
                self._partial = bytearray()
            self._partial += frame.data
            if len(self._partial) > self.message_bytes:
                raise TooLong(f"a message may have at most {self.message_bytes} bytes")
            if frame.fin:
                message, self._partial = bytes(self._partial), None
                return message
        return NOTHING

    def _protocol(self) -> ServerProtocol:
        if self._library is None:
            self._library = ServerProtocol(state=OPEN, max_size=self._max_bytes, logger=_quiet)
        return self._library


# errors of peers are no reason for a warning
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.CRITICAL)
