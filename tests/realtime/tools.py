"""Tools for tests of the transport: a server process, bounded waiting, and a client that may misbehave."""

import base64
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import requests
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE = 20
MASK = b"\x01\x02\x03\x04"


def eventually(look: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Return the result of `look` as soon as it is true; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.01)
    return seen


class EchoServer:
    """`echo_server.py` in a process of its own."""

    def __init__(self, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.realtime.echo_server", json.dumps(options)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self.errors.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        self.port = int(self._process.stdout.readline() or 0)
        assert self.port, "".join(self.errors)
        self.url = f"http://127.0.0.1:{self.port}"
        self.visitors: list[Hostile | Polling] = []

    def ask(self, path: str = "/stats", **arguments: int) -> dict[str, Any]:
        return requests.get(f"{self.url}{path}", params=arguments, timeout=DEADLINE).json()

    def received(self) -> list[Any]:
        """Return all events of the last tab that sent any."""
        return (self.ask()["received"] or [[]])[-1]

    def is_empty(self) -> bool:
        stats = self.ask()
        return stats["count"] == stats["open_websockets"] == stats["tabs"] == 0

    def see_all_off(self) -> None:
        """Close and forget all clients that a test has opened."""
        for visitor in self.visitors:
            visitor.close()
        self.visitors.clear()
        eventually(self.is_empty)
        self.ask("/reset")

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Suspend the server, so that all data sent meanwhile has arrived when it continues."""
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


class Hostile:
    """A TCP connection that can send any bytes; a library parses the WebSocket frames."""

    def __init__(self, server: EchoServer) -> None:
        server.visitors.append(self)
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        self._protocol = Protocol(CLIENT, state=OPEN, max_size=None)
        self._frames: list[Frame] = []

    def say(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def request(self, line: str, *headers: str, body: bytes = b"") -> Self:
        return self.say("\r\n".join([f"{line} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin-1") + body)

    def stop_saying(self) -> Self:
        """Close the sending side; the server may have disconnected before."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        return self

    def answer(self) -> bytes:
        """Return all bytes that come until the server closes."""
        collected = b""
        while data := self._receive():
            collected += data
        return collected

    def upgrade(self, query: str = "EIO=4&transport=websocket", *headers: str, behind: bytes = b"") -> Self:
        """Do a correct opening handshake; `behind` is sent together with it."""
        key = base64.b64encode(os.urandom(16)).decode()
        self.request(
            f"GET /socket.io/?{query}",
            "Connection: keep-alive, Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *headers,
            body=behind,
        )
        head = b""
        while b"\r\n\r\n" not in head:
            data = self._receive()
            assert data, head
            head += data
        self.head, _, rest = head.partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101"), head
        self._feed(rest)
        return self

    def join(self, auth: str = "") -> Self:
        """Open and connect a tab by WebSocket."""
        self.upgrade()
        assert self.hear().startswith("0{")
        self.text("40" + auth)
        assert self.hear().startswith("40{")
        return self

    def text(self, message: str | bytes) -> Self:
        data = message.encode() if isinstance(message, str) else message
        return self.say(frame(0x81, data))

    def hear(self) -> str:
        """Return the next text message; answer and skip pings of WebSocket and of Engine.IO."""
        while True:
            heard = self.next_frame()
            assert heard is not None and heard.opcode is Opcode.TEXT, heard
            message = bytes(heard.data).decode()
            if message != "2":
                return message
            self.text("3")

    def hear_answer(self) -> str:
        """Return the next text message; skip the answers to WebSocket pings."""
        while True:
            heard = self.next_frame()
            assert heard is not None
            if heard.opcode is Opcode.TEXT:
                return bytes(heard.data).decode()

    def next_frame(self) -> Frame | None:
        """Return the next frame, or None if the connection has ended."""
        while not self._frames:
            data = self._receive()
            if not data:
                return None
            self._feed(data)
        return self._frames.pop(0)

    def close_code(self) -> int | None:
        """Return the code with which the server closes, and skip its earlier messages."""
        while heard := self.next_frame():
            if heard.opcode is Opcode.CLOSE:
                return int.from_bytes(bytes(heard.data)[:2], "big")
        return None

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionError:
            return b""

    def _feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._frames += self._protocol.events_received()


def frame(head: int, data: bytes) -> bytes:
    """Return a masked WebSocket frame with any first byte."""
    length = len(data)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65536:
        size = struct.pack("!BH", 0x80 | 126, length)
    else:
        size = struct.pack("!BQ", 0x80 | 127, length)
    masked = bytes(byte ^ MASK[index & 3] for index, byte in enumerate(data))
    return bytes([head]) + size + MASK + masked


class Polling:
    """A long-polling session that sends and reads raw packets."""

    def __init__(self, server: EchoServer) -> None:
        server.visitors.append(self)
        self._http = requests.Session()
        self.url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        opening = self._http.get(self.url, timeout=DEADLINE).text
        self.sid = json.loads(opening[1:])["sid"]
        self.url += f"&sid={self.sid}"

    def join(self) -> Self:
        assert self.post("40").status_code == 200
        assert self.poll().text.startswith("40{")
        return self

    def post(self, *messages: str) -> requests.Response:
        return self.post_raw("\x1e".join(messages).encode())

    def post_raw(self, body: bytes) -> requests.Response:
        return requests.post(self.url, data=body, timeout=DEADLINE)

    def poll(self) -> requests.Response:
        return self._http.get(self.url, timeout=DEADLINE)

    def close(self) -> None:
        self.post("1")
        self._http.close()
