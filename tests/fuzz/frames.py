"""WebSocket frames and opening handshakes, from valid to invalid."""

import struct

from tests.fuzz import packets
from tests.fuzz.case import SID, Case
from tests.fuzz.dice import Dice, mangle

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


def frame(dice: Dice, opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """Return one frame; now and then it violates RFC 6455."""
    rsv = dice.one((1, 2, 4, 7)) << 4 if dice.chance(0.005) else 0
    mask = dice.randbytes(4)
    masked = not dice.chance(0.005)
    length = (
        len(data)
        if not dice.chance(0.005)
        else dice.one((0, 125, 126, 127, 65535, 65536, 2**20, 2**20 + 1, 2**63, 2**64 - 1))
    )
    if dice.chance(0.03):
        # a length field longer than necessary
        size = struct.pack("!BH", 126, length & 65535) if dice.chance(0.5) else struct.pack("!BQ", 127, length)
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


def frames(dice: Dice) -> Case:
    """Return a tab that sends fragments, interleaves control frames, and breaks rules."""
    said: list[bytes] = []
    for _ in range(1 + dice.below(16)):
        roll = dice.random()
        if roll < 0.45:
            said.append(frame(dice, TEXT, packets.event(dice)))
        elif roll < 0.75:
            said += _fragments(dice)
        elif roll < 0.95:
            said.append(
                frame(
                    dice, dice.one((PING, PONG)), dice.randbytes(dice.one((0, 1, 125) if dice.chance(0.95) else (126,)))
                )
            )
        else:
            said.append(_wrong(dice))
    stream = b"".join(said)
    if dice.chance(0.1):
        stream = mangle(dice, stream)
    return Case("frames", tuple(dice.pieces(stream, 6)), len(said), who=dice.one(packets.WHO))


def handshake(dice: Dice) -> Case:
    """Return an opening handshake of a WebSocket, with frames right after it."""
    query = QUERIES[0] if dice.chance(0.5) else dice.one(QUERIES)
    headers = list(HANDSHAKE)
    for _ in range(dice.below(3)):
        match dice.below(4):
            case 0:
                headers.pop(dice.below(len(headers)))
            case 1:
                headers.append(dice.one(headers))
            case 2:
                headers.insert(dice.below(len(headers) + 1), dice.one(ODD_HEADERS))
            case _:
                headers[dice.below(len(headers))] = mangle(dice, dice.one(headers))
    method = b"GET" if dice.chance(0.95) else dice.one((b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"get"))
    head = b"\r\n".join([method + b" /socket.io/?" + query + b" HTTP/1.1", *headers, b"", b""])
    behind = [frame(dice, TEXT, dice.one((b"40", packets.odd(dice)))) for _ in range(dice.below(3))]
    if dice.chance(0.2):
        head = mangle(dice, head)
    return Case(
        "raw",
        tuple(dice.pieces(head + b"".join(behind), 4)),
        1 + len(behind),
        "half" if dice.chance(0.9) else "reset",
    )


def _fragments(dice: Dice) -> list[bytes]:
    parts = dice.pieces(packets.event(dice), 6)
    said = []
    for index, part in enumerate(parts):
        said.append(frame(dice, TEXT if index == 0 else CONT, part, fin=index == len(parts) - 1))
        if dice.chance(0.2):
            said.append(frame(dice, PING, b"between"))
        if dice.chance(0.1):
            said.append(frame(dice, CONT, b"", fin=False))
    return said


def _wrong(dice: Dice) -> bytes:
    match dice.below(8):
        case 0:
            return frame(dice, CONT, b"of nothing")
        case 1:
            return frame(dice, BINARY, dice.randbytes(20))
        case 2:
            return frame(dice, CLOSE, dice.one(CLOSES))
        case 3:
            return frame(dice, dice.one((3, 7, 11, 15)), b"reserved")
        case 4:
            return frame(dice, dice.one((CLOSE, PING)), b"in parts", fin=False)
        case 5:
            return frame(dice, TEXT, packets.odd(dice))
        case 6:
            return frame(dice, TEXT, b"42", fin=False) + frame(dice, TEXT, b"again")
        case _:
            return dice.randbytes(2 + dice.below(30))
