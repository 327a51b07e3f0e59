"""The attacker's sockets: raw TCP from any loopback address, with ready-made bytes sent as fast as they are taken."""

import contextlib
import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CHUNK = 1 << 18
TIMEOUT_SECONDS = 10

Open = Callable[[], "socket.socket | None"]


@dataclass
class Counts:
    """The requests of an attack, and the answers."""

    sent_bytes: int = 0
    answers: int = 0
    refusals: int = 0
    opened: int = 0
    closed: int = 0
    not_opened: int = 0
    asked: float = 0.0

    @property
    def held_back(self) -> int:
        """The number of refusals, closed connections and unanswered questions."""
        waiting = max(0, round(self.asked) - self.answers - self.refusals)
        return self.refusals + self.closed + self.not_opened + waiting


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True, mask: bytes = b"\0\0\0\0") -> bytes:
    """A masked WebSocket frame."""
    first, length = (0x80 if fin else 0) | opcode, len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65_536:
        head = bytes([first, 0xFE]) + struct.pack(">H", length)
    else:
        head = bytes([first, 0xFF]) + struct.pack(">Q", length)
    return head + mask + payload


def event(verb: str, payload: object, ack: int | None = 7) -> bytes:
    """A verb as a frame; `payload` is JSON already, or is encoded."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return frame(b'42%b["%b",%b]' % (b"" if ack is None else b"%d" % ack, verb.encode(), body))


def request(method: str, path: str, port: int, token: str = "", body: bytes | None = None, **headers: str) -> bytes:
    """One HTTP request on a connection that is kept alive."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def handshake(port: int) -> bytes:
    return (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def connect(port: int, address: str = "") -> socket.socket:
    """A TCP connection from `address`, a loopback one."""
    sock = socket.socket()
    sock.settimeout(TIMEOUT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address:
        sock.bind((address, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def websocket(port: int, address: str = "", token: str | None = None) -> socket.socket | None:
    """A WebSocket, joined with `token`, or with None not joined at all; None when the server does not want it."""
    sock = None
    try:
        sock = connect(port, address)
        sock.sendall(handshake(port))
        heard = b""
        while b'0{"sid"' not in heard:
            piece = sock.recv(CHUNK)
            if not piece:
                raise OSError
            heard += piece
        if token is not None:
            sock.sendall(frame(b"40" + json.dumps({"token": token}).encode()))
            while b"40{" not in heard:
                piece = sock.recv(CHUNK)
                if not piece or b"44{" in piece:
                    raise OSError
                heard += piece
    except OSError:
        if sock is not None:
            sock.close()
        return None
    return sock


@dataclass
class Line:
    """One connection of an attack: `blob` is sent again and again; a closed one is opened again after a pause."""

    open: Open
    blob: bytes
    # sends it once and then only listens, until the server closes it
    once: bool = False
    # opens again by itself at once: the opening is the attack
    churn: bool = False
    # closes as soon as this has come
    until: bytes = b""
    # never reads
    deaf: bool = False
    sock: socket.socket | None = None
    at: int = 0
    again_at: float = 0.0
    sent: int = 0
    tail: bytes = field(default=b"", repr=False)
    finished: bool = False

    @property
    def questions(self) -> int:
        """The number of requests in `blob` that expect an answer."""
        return max(self.blob.count(b'427["'), self.blob.count(b" HTTP/1.1\r\n"))


REOPEN_SECONDS = 0.2


def flood(lines: Sequence[Line], until: float) -> Counts:
    """Send everything at full speed until `until` (monotonic), and count the answers."""
    counts, selector = Counts(), selectors.DefaultSelector()
    share = {id(line): line.questions / max(1, len(line.blob)) for line in lines}
    while (now := time.monotonic()) < until:
        for line in lines:
            if line.sock is None and now >= line.again_at:
                _open(line, counts, selector, now)
        for key, events in selector.select(0.02):
            line = key.data
            before = counts.sent_bytes
            alive = _read(line, counts) if events & selectors.EVENT_READ else _write(line, counts, selector)
            counts.asked += (counts.sent_bytes - before) * share[id(line)]
            if not alive:
                _close(line, counts, selector, time.monotonic())
    for line in lines:
        if line.sock is not None:
            line.sock.close()
    selector.close()
    return counts


def _open(line: Line, counts: Counts, selector: selectors.BaseSelector, now: float) -> None:
    sock = line.open()
    if sock is None:
        counts.not_opened += 1
        line.again_at = now + (0.0 if line.churn else REOPEN_SECONDS)
        return
    counts.opened += 1
    sock.setblocking(False)
    line.sock, line.at, line.sent = sock, 0, 0
    interest = (0 if line.deaf else selectors.EVENT_READ) | (selectors.EVENT_WRITE if line.blob else 0)
    if interest:
        selector.register(sock, interest, line)
    if line.churn and not line.blob:
        _forget(line, selector)


def _read(line: Line, counts: Counts) -> bool:
    assert line.sock is not None
    try:
        data = line.sock.recv(CHUNK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    if not data:
        return False
    text = line.tail + data
    counts.answers += text.count(b'"ok":true') + text.count(b"HTTP/1.1 2")
    counts.refusals += text.count(b'"ok":false') + text.count(b"HTTP/1.1 4") + text.count(b"HTTP/1.1 5")
    line.tail = data[-9:]
    # the tail is searched again with the next data
    counts.answers -= line.tail.count(b'"ok":true')
    line.finished = bool(line.until) and line.until in text
    return not line.finished


def _write(line: Line, counts: Counts, selector: selectors.BaseSelector) -> bool:
    assert line.sock is not None
    try:
        sent = line.sock.send(line.blob[line.at : line.at + CHUNK])
    except BlockingIOError:
        return True
    except OSError:
        return False
    counts.sent_bytes += sent
    line.at += sent
    if line.at >= len(line.blob):
        line.at = 0
        if line.once:
            selector.modify(line.sock, selectors.EVENT_READ, line)
        elif line.churn:
            _forget(line, selector)
    return True


def _forget(line: Line, selector: selectors.BaseSelector) -> None:
    assert line.sock is not None
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(line.sock)
    line.sock.close()
    line.sock, line.again_at = None, 0.0


def _close(line: Line, counts: Counts, selector: selectors.BaseSelector, now: float) -> None:
    counts.closed += not line.finished
    line.finished = False
    _forget(line, selector)
    line.again_at = now + (0.0 if line.churn else REOPEN_SECONDS)


def cpu_seconds() -> float:
    """Processor time of this process so far."""
    times = os.times()
    return times.user + times.system
