"""WebSocket frames and opening handshakes, from valid to invalid."""

import struct

from tests.fuzz import packets
from tests.fuzz.case import SID, Case
from tests.fuzz.randomness import Randomness, mangle

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CLOSES = (
    *(
        b"",
        b"\x03",
        b"\x03\xe8",
        b"\x03\xe8bye",
        b"\x03\xe9",
        b"\x03\xed",
        b"\x03\xee",
        b"\x03\xf7",
        b"\0\0",
        b"\xff\xff",
    ),
    *(b"\x0b\xb8", b"\x03\xe7", b"\x13\x88", b"\x03\xe8\xff\xfe", b"\x03\xe8" + b"x" * 123),
)
VERSION, KEY = b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (b"Host: 127.0.0.1", b"Connection: Upgrade", b"Upgrade: websocket", VERSION, KEY)
ODD_HEADERS = (
    b"Sec-WebSocket-Version: 8",
    b"Sec-WebSocket-Version: 13, 8",
    b"Sec-WebSocket-Version:",
    b"Sec-WebSocket-Key: x",
    b"Sec-WebSocket-Key: \xff\xff",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
    b"Sec-WebSocket-Key: " + b"A" * 5000,
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
    b"Sec-WebSocket-Extensions: " + b"x;" * 1000,
    b"Sec-WebSocket-Protocol: chat, \0",
    b"Connection: keep-alive, Upgrade, close",
    b"Connection: close",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
    b"Origin: http://evil.example",
    b"Origin: null",
    b"Origin: \xff",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
)
QUERIES = (
    *b"EIO=4&transport=websocket EIO=3&transport=websocket".split(b" "),
    *b"transport=websocket EIO=4 EIO=4&transport=webtransport".split(b" "),
    *b"EIO=4&EIO=4&transport=websocket".split(b" "),
    *b"EIO=4&transport=websocket&sid= EIO=4&transport=websocket&sid=unknown".split(b" "),
    *b"EIO=4&transport=websocket&j=0 EIO=4&transport=websocket&t=%ff%00 EIO=4&transport=polling&b64=1".split(b" "),
    b"EIO=4&transport=websocket&" + b"a=1&" * 30,
    b"EIO=4&transport=websocket&sid=" + SID,
)


def frame(rng: Randomness, opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """Return one frame; now and then it violates RFC 6455."""
    rsv = rng.one((1, 2, 4, 7)) << 4 if rng.chance(0.005) else 0
    mask = rng.randbytes(4)
    masked = not rng.chance(0.005)
    length = (
        len(data)
        if not rng.chance(0.005)
        else rng.one((0, 125, 126, 127, 65535, 65536, 2**20, 2**20 + 1, 2**63, 2**64 - 1))
    )
    if rng.chance(0.03):
        # a length field longer than necessary
        size = struct.pack("!BH", 126, length & 65535) if rng.chance(0.5) else struct.pack("!BQ", 127, length)
    elif length < 126:
        size = bytes([length])
    elif length < 65536:
        size = struct.pack("!BH", 126, length)
    else:
        size = struct.pack("!BQ", 127, length)
    head = bytes([(fin << 7) | rsv | opcode, size[0] | (masked << 7)]) + size[1:]
    if not masked:
        return head + data
    key = int.from_bytes((mask * (len(data) // 4 + 1))[: len(data)])
    return head + mask + (int.from_bytes(data) ^ key).to_bytes(len(data))


def frames(rng: Randomness) -> Case:
    """Return a tab that sends fragments, interleaves control frames, and breaks rules."""
    said: list[bytes] = []
    for _ in range(1 + rng.below(16)):
        roll = rng.random()
        if roll < 0.45:
            said.append(frame(rng, TEXT, packets.event(rng)))
        elif roll < 0.75:
            said += _fragments(rng)
        elif roll < 0.95:
            said.append(
                frame(rng, rng.one((PING, PONG)), rng.randbytes(rng.one((0, 1, 125) if rng.chance(0.95) else (126,))))
            )
        else:
            said.append(_wrong(rng))
    stream = b"".join(said)
    if rng.chance(0.1):
        stream = mangle(rng, stream)
    return Case("frames", tuple(rng.pieces(stream, 6)), len(said), who=rng.one(packets.WHO))


def handshake(rng: Randomness) -> Case:
    """Return an opening handshake of a WebSocket, with frames right after it."""
    query = QUERIES[0] if rng.chance(0.5) else rng.one(QUERIES)
    headers = list(HANDSHAKE)
    for _ in range(rng.below(3)):
        match rng.below(4):
            case 0:
                headers.pop(rng.below(len(headers)))
            case 1:
                headers.append(rng.one(headers))
            case 2:
                headers.insert(rng.below(len(headers) + 1), rng.one(ODD_HEADERS))
            case _:
                headers[rng.below(len(headers))] = mangle(rng, rng.one(headers))
    method = b"GET" if rng.chance(0.95) else rng.one((b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"get"))
    head = b"\r\n".join([method + b" /socket.io/?" + query + b" HTTP/1.1", *headers, b"", b""])
    behind = [frame(rng, TEXT, rng.one((b"40", packets.odd(rng)))) for _ in range(rng.below(3))]
    if rng.chance(0.2):
        head = mangle(rng, head)
    return Case(
        "raw",
        tuple(rng.pieces(head + b"".join(behind), 4)),
        1 + len(behind),
        "half" if rng.chance(0.9) else "reset",
    )


def _fragments(rng: Randomness) -> list[bytes]:
    parts = rng.pieces(packets.event(rng), 6)
    said = []
    for index, part in enumerate(parts):
        said.append(frame(rng, TEXT if index == 0 else CONT, part, fin=index == len(parts) - 1))
        if rng.chance(0.2):
            said.append(frame(rng, PING, b"between"))
        if rng.chance(0.1):
            said.append(frame(rng, CONT, b"", fin=False))
    return said


def _wrong(rng: Randomness) -> bytes:
    match rng.below(8):
        case 0:
            return frame(rng, CONT, b"of nothing")
        case 1:
            return frame(rng, BINARY, rng.randbytes(20))
        case 2:
            return frame(rng, CLOSE, rng.one(CLOSES))
        case 3:
            return frame(rng, rng.one((3, 7, 11, 15)), b"reserved")
        case 4:
            return frame(rng, rng.one((CLOSE, PING)), b"in parts", fin=False)
        case 5:
            return frame(rng, TEXT, packets.odd(rng))
        case 6:
            return frame(rng, TEXT, b"42", fin=False) + frame(rng, TEXT, b"again")
        case _:
            return rng.randbytes(2 + rng.below(30))
