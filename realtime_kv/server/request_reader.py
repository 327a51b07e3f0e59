"""Reading a request: header lines within bounds, and a pause for clients that send a few bytes at a time."""

import io
from collections.abc import Callable
from typing import Any

MAX_LINE_BYTES = 16 * 1024
MAX_HEADER_BYTES = 64 * 1024

# a read of fewer bytes is short; after SHORT_READS of them in one request, each further one is followed by a pause
SHORT_READ_BYTES = 512
SHORT_READS = 32
PAUSE_SECONDS = 0.02


class HeadersTooLong(Exception):
    """The header block of a request exceeds its bounds; the message says which."""


class HeaderLines:
    """The lines of a header block, as `http.server` reads them; they are kept in `lines`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._size = 0
        self.lines: list[bytes] = []

    def readline(self, _size: int = -1) -> bytes:
        line: bytes = self._file.readline(MAX_LINE_BYTES + 1)
        self._size += len(line)
        if len(line) > MAX_LINE_BYTES:
            raise HeadersTooLong(
                f"A header line may have at most {MAX_LINE_BYTES} bytes. In a browser, delete this site's cookies."
            )
        if self._size > MAX_HEADER_BYTES:
            raise HeadersTooLong(f"The headers may have at most {MAX_HEADER_BYTES} bytes.")
        self.lines.append(line)
        return line


class RequestReader(io.RawIOBase):
    """A connection's bytes. A read of one byte costs the server as much as a block, so short reads are slowed."""

    def __init__(self, raw: Any, sleep: Callable[[float], None], early: bytes = b"") -> None:
        """`early` has been read from the connection before, and comes first."""
        self._raw = raw
        self._sleep = sleep
        self._early = early
        self._short = 0

    def begin(self) -> None:
        """Start counting short reads for a new request."""
        self._short = 0

    def unread(self, data: bytes) -> None:
        """Put back data that was read from here; the next read returns it."""
        self._early = data + self._early

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._early:
            early, self._early = self._early[: len(buffer)], self._early[len(buffer) :]
            buffer[: len(early)] = early
            return len(early)
        size: int | None = self._raw.readinto(buffer)
        if size and size < SHORT_READ_BYTES:
            self._short += 1
            if self._short > SHORT_READS:
                self._sleep(PAUSE_SECONDS)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
