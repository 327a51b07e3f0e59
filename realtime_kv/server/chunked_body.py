"""Request bodies: the chunked encoding, strictly parsed, and bodies that are still arriving."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from realtime_kv.server import strict_parsing

PIECE_BYTES = 64 * 1024
# chunks read before other connections are served; they have at least CHUNK_BYTES on average
CHUNKS_A_TURN = 256
CHUNK_BYTES = 16
MAX_TRAILERS = 64
TRAILER_BYTES = 1024

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class InvalidChunk(ConnectionError):
    """The chunked encoding of a body is malformed."""


class ArrivingBody:
    """A body that is still arriving: WSGI's `read(n)` returns at most `n` bytes, and nothing at the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, most: int) -> bytes:
        held = self._held or next(self._pieces, b"")
        piece, self._held = held[:most], held[most:]
        return piece


def read_chunks(file: Any, sleep: Callable[[float], None]) -> Iterator[bytes]:
    """Yield the content of a chunked body in pieces, and read its trailers. Raises InvalidChunk.

    `sleep(0)` serves other connections.
    """
    count = total = 0
    while size := _read_chunk_size(file):
        count, total = count + 1, total + size
        if count % CHUNKS_A_TURN == 0:
            # one read can contain many chunks
            sleep(0)
            if total < count * CHUNK_BYTES:
                raise InvalidChunk("many chunks with little in them")
        while size:
            piece = file.read(min(size, PIECE_BYTES))
            if not piece:
                raise ConnectionError("a chunk is incomplete")
            size -= len(piece)
            yield piece
        if file.read(2) != b"\r\n":
            raise InvalidChunk("a chunk without its end")
    for _ in range(MAX_TRAILERS):
        line = file.readline(TRAILER_BYTES)
        if line in {b"\r\n", b""}:
            return
        # a line over the limit is read in part, and its rest would count as another line
        if not strict_parsing.is_field(line):
            break
    raise InvalidChunk("no end of the trailers")


def _read_chunk_size(file: Any) -> int:
    match = _CHUNK.fullmatch(file.readline(256))
    if match is None:
        raise InvalidChunk("not a chunk")
    return int(match[1], 16)
