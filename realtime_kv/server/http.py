"""eventlet's WSGI server, hardened: nobody keeps a connection by saying nothing, or everything very slowly."""

import contextlib
import io
import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import eventlet
from eventlet import greenio, wsgi

from realtime_kv.accounts.addresses import network_of

log = logging.getLogger(__name__)

BODY_BYTES = 1024 * 1024
HEADER_SECONDS = 30
BODY_SECONDS = 60
ACCEPTS_A_ROUND = 2
# whose bodies may be longer: the app reads them as they come, once it knows who sends them
STREAMED = frozenset({"/api/v1/import"})
PIECE_BYTES = 64 * 1024
PIECE_SECONDS = 30

_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class Listener(greenio.GreenSocket):  # type: ignore[misc]
    """Accepts whatever happens: eventlet's server ends at the first error of accept()."""

    _in_a_row = 0

    def accept(self) -> tuple[Any, Any]:
        while True:
            try:
                client, address = super().accept()
                # Nagle's algorithm makes a small frame wait 40 ms for the peer's acknowledgement of the one before
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._in_a_row += 1
                if self._in_a_row % ACCEPTS_A_ROUND == 0:
                    # all tabs at once come back after a restart: those who are in already get their turns in between
                    eventlet.sleep(0)
                return client, address
            except OSError as error:
                if self.fd.fileno() < 0:
                    raise
                # gone already, or we are out of files: others may close theirs in the meantime
                log.info("a connection could not be accepted: %s", error)
                eventlet.sleep(0.05)


class Door:
    """Opens to so many HTTP connections of one address at a time; a WebSocket is no longer one of them."""

    def __init__(self, cap: int | None) -> None:
        self._cap = cap
        self._open: Counter[str] = Counter()

    def open(self, conn_state: list[Any], server: wsgi.Server) -> None:
        address = network_of(str(conn_state[0][0]))
        if self._cap is not None and self._open[address] >= self._cap:
            return
        self._open[address] += 1
        try:
            Http(conn_state, server)
        except OSError as error:
            log.debug("a connection was lost: %s", error)
        except Exception:
            log.exception("a connection failed")
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


class Http(wsgi.HttpProtocol):  # type: ignore[misc]
    """HTTP with a deadline for the headers and one for the body, which is read whole before the app is asked.

    So the app never meets a body that drips, breaks off or ends where it should not. A body over 1 MiB is not read: the
    app sees its length, and refuses it in its own words. Where it may be longer, the app reads it, and after such a
    request the connection is closed.
    """

    _deadline: Any = None
    _unread = False

    def handle_one_request(self) -> None:
        self._deadline = eventlet.Timeout(HEADER_SECONDS, TimeoutError("the headers did not come"))
        # until the headers have been read, whatever closes the connection leaves something unread
        self._unread = True
        try:
            super().handle_one_request()
        finally:
            self._deadline.cancel()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        lengths = self.headers.get_all("content-length", [])
        codings = [coding.lower() for coding in self.headers.get_all("transfer-encoding", [])]
        # two readings of where a request ends are how another one is smuggled in behind it
        if len(lengths + codings) > 1 or codings not in ([], ["chunked"]) or not all(map(_LENGTH.fullmatch, lengths)):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return True

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        self._deadline.cancel()
        self._unread = False
        # a hook that nobody uses, and a way back to this connection: its buffers would wait for the garbage collector
        environ.pop("eventlet.set_idle", None)
        if "content-type" not in self.headers:
            # eventlet would say text/plain for a request that says nothing
            environ["CONTENT_TYPE"] = ""
        # the client's own version, which says whether it knows chunks: eventlet would say 1.0 to all
        environ["SERVER_PROTOCOL"] = self.request_version
        source = environ["wsgi.input"]
        body, length = b"", source.content_length or 0
        if environ["PATH_INFO"] in STREAMED and (source.chunked_input or length > BODY_BYTES):
            self._leave_unread()
            environ["wsgi.input"] = _Coming(self._stream(source))
            return environ
        if source.chunked_input or 0 < length <= BODY_BYTES:
            with eventlet.Timeout(BODY_SECONDS, TimeoutError("the body did not come")):
                body = self._read_chunks(source) if source.chunked_input else source.read(length)
            if not self._unread and len(body) < length:
                raise ConnectionError("the body broke off")
            length = BODY_BYTES + 1 if self._unread else len(body)
        elif length:
            self._leave_unread()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(length)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        status = HTTPStatus(code if code < 500 else HTTPStatus.BAD_REQUEST)
        self._leave_unread()
        self.wfile.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        )

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def finish(self) -> None:
        if self._unread:
            # closed with unread bytes, the kernel would send RST, and our answer could be lost on its way
            with contextlib.suppress(OSError), eventlet.Timeout(2, False):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                while self.connection.recv(65536):
                    pass
        # fails when the peer has gone; in eventlet's hands the reading side would then stay open, and so the socket
        with contextlib.suppress(OSError):
            self.wfile.close()
        super().finish()

    def _leave_unread(self) -> None:
        self._unread = True
        self.close_connection = True

    def _stream(self, source: wsgi.Input) -> Iterator[bytes]:
        """The pieces of a long body; each of them has its deadline."""
        pieces = self._chunks(source) if source.chunked_input else self._pieces(source)
        while True:
            with eventlet.Timeout(PIECE_SECONDS, TimeoutError("the body did not come")):
                piece = next(pieces, b"")
            if not piece or source.position == source.content_length:
                self._unread = False
            if not piece:
                return
            yield piece

    def _pieces(self, source: wsgi.Input) -> Iterator[bytes]:
        while piece := source.read(PIECE_BYTES):
            yield piece
        if source.position < source.content_length:
            raise ConnectionError("the body broke off")

    def _read_chunks(self, source: wsgi.Input) -> bytes:
        body = bytearray()
        try:
            for piece in self._chunks(source):
                body += piece
                if len(body) > BODY_BYTES:
                    self._leave_unread()
                    return b""
        except _NotAChunk:
            self.send_error(HTTPStatus.BAD_REQUEST)
            raise
        source.chunk_length = 0
        return bytes(body)

    def _chunks(self, source: wsgi.Input) -> Iterator[bytes]:
        if source.should_send_hundred_continue:
            source.send_hundred_continue_response()
            source.is_hundred_continue_response_sent = True
        while size := self._read_chunk_size():
            while size:
                piece = self.rfile.read(min(size, PIECE_BYTES))
                if not piece:
                    raise ConnectionError("a chunk broke off")
                size -= len(piece)
                yield piece
            if self.rfile.read(2) != b"\r\n":
                raise ConnectionError("a chunk broke off")
        while self.rfile.readline(1024) not in {b"\r\n", b""}:
            pass

    def _read_chunk_size(self) -> int:
        match = _CHUNK.fullmatch(self.rfile.readline(256))
        if match is None:
            raise _NotAChunk("not a chunk")
        return int(match[1], 16)


class _NotAChunk(ConnectionError):
    """What should be the size of a chunk is not."""


class _Coming:
    """A body on its way, as WSGI has it: `read(n)` gives some of it, at most `n` bytes, and nothing at its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, most: int) -> bytes:
        held = self._held or next(self._pieces, b"")
        piece, self._held = held[:most], held[most:]
        return piece
