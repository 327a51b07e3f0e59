"""HTTP server: eventlet's WSGI server, hardened by deadlines, bounded bodies, strict parsing and fair admission.

Longer than 320 lines: the steps of a request share the state of its connection.
"""

import contextlib
import io
import logging
import socket
from collections.abc import Collection, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

import eventlet
from eventlet import greenio, hubs, wsgi

from realtime_kv.errors import BadRequest, Refusal
from realtime_kv.request.addresses import network_of
from realtime_kv.request.authentication import ACCOUNT_CHANGE, HUNG_UP, RECOGNISED, TOO_MUCH
from realtime_kv.server import error_response, strict_parsing
from realtime_kv.server.admission import Admission, Ticket
from realtime_kv.server.chunked_body import PIECE_BYTES, ArrivingBody, InvalidChunk, read_chunks
from realtime_kv.server.processor_time import PROCESSOR_TIME
from realtime_kv.server.request_reader import PAUSE_SECONDS, HeaderLines, HeadersTooLong, RequestReader
from realtime_kv.server.workers.hand_over import HandOver

log = logging.getLogger(__name__)

BODY_BYTES = 1024 * 1024
HEADER_SECONDS = 30
BODY_SECONDS = 60
ACCEPTS_A_ROUND = 2
# paths with longer bodies: the app reads them as a stream, after it has identified the sender
STREAMED = frozenset({"/api/v1/import"})
PIECE_SECONDS = 30
# bytes read and discarded at full speed after a refused request; further ones are read with pauses
DISCARDED_BYTES = 1024 * 1024


class Listener(greenio.GreenSocket):  # type: ignore[misc]
    """Listening socket that goes on after an error of accept(); eventlet's server ends at the first one."""

    _in_a_row = 0

    def accept(self) -> tuple[Any, Any]:
        while True:
            try:
                client, address = super().accept()
                # Nagle's algorithm makes a small frame wait 40 ms for the peer's acknowledgement of the one before
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._in_a_row += 1
                if self._in_a_row % ACCEPTS_A_ROUND == 0:
                    # after a restart all tabs reconnect at once; connected ones are served in between
                    eventlet.sleep(0)
                return client, address
            except OSError as error:
                if self.fd.fileno() < 0:
                    raise
                # the client has gone, or file descriptors have run out: other connections may close in the meantime
                log.info("a connection could not be accepted: %s", error)
                eventlet.sleep(0.05)


def start(
    source: Any, app: Any, limiter: "ConnectionLimiter", *, max_connections: int, keep_alive_seconds: int
) -> eventlet.greenthread.GreenThread:
    """Serve `app` on the connections that `source.accept()` returns, in a greenlet of its own."""
    return eventlet.spawn(
        wsgi.server,
        source,
        app,
        protocol=limiter.open,
        max_size=max_connections,
        socket_timeout=30,
        keepalive=keep_alive_seconds,
        url_length_limit=8192,
        debug=False,
        log_output=False,
    )


class ConnectionLimiter:
    """Connection limiter: serves connections as `admission` allows; a WebSocket no longer counts as one of them."""

    def __init__(self, admission: Admission, origins: Collection[str] = (), hand_over: HandOver | None = None) -> None:
        """Pages of these `origins` may read the error responses. With several workers, `hand_over` connects them."""
        self._admission = admission
        self._origins = origins
        self._hand_over = hand_over

    def open(self, conn_state: list[Any], server: wsgi.Server) -> None:
        network = network_of(str(conn_state[0][0]))
        if not self._admission.connect(network):
            return
        try:
            HttpProtocol(conn_state, server, self._admission, network, self._origins, self._hand_over)
        except OSError as error:
            log.debug("a connection was lost: %s", error)
        except Exception:
            log.exception("a connection failed")
        finally:
            self._admission.disconnect(network)


class HttpProtocol(wsgi.HttpProtocol):  # type: ignore[misc]
    """HTTP with a deadline for the headers and one for the body, which is read whole before the app is called.

    The app therefore never sees a body that arrives slowly, breaks off or ends in the wrong place. A body over 1 MiB
    is not read: the app sees its length and refuses it with its own message. On paths with longer bodies the app reads
    them, and the connection is closed after such a request. Requests are parsed strictly (RFC 9112): a request that two
    servers could interpret differently is refused, and the connection is closed.
    """

    rfile: Any
    # headers of the last request whose header was read
    headers: Any = None
    _deadline: Any = None
    _ticket: Ticket | None = None
    _unread = False
    # its greenlet while it waits for a request, if it may be handed over
    _waiting: Any = None
    # its request counts as one in progress
    _counted = False

    def __init__(
        self,
        conn_state: list[Any],
        server: wsgi.Server,
        admission: Admission,
        network: str,
        origins: Collection[str],
        hand_over: HandOver | None,
    ) -> None:
        self._admission = admission
        self._network = network
        self._origins = origins
        self._hand_over = hand_over
        super().__init__(conn_state, server)

    def setup(self) -> None:
        super().setup()
        # another worker has read the beginning of a connection that it handed over
        early = getattr(self.connection, "early", b"")
        self._reads = RequestReader(self.rfile.detach(), eventlet.sleep, early)
        # holds all of it, so that one read takes everything that is not in the socket
        self._buffer_bytes = max(io.DEFAULT_BUFFER_SIZE, len(early))
        self.rfile = io.BufferedReader(self._reads, self._buffer_bytes)

    def end_idle(self) -> None:
        # a request that has already arrived is still answered
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)

    def move_idle(self) -> None:
        hubs.get_hub().schedule_call_global(0, self._interrupt, self._waiting)

    def handle_one_request(self) -> None:
        self.headers = None
        # until the headers have been read, closing the connection leaves bytes unread
        self._unread = True
        self.environ: dict[str, Any] = {}
        try:
            super().handle_one_request()
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            if self._counted and self._hand_over is not None:
                self._counted = False
                self._hand_over.requests -= 1
            if self._ticket is not None:
                ticket, self._ticket = self._ticket, None
                self._admission.done(
                    ticket,
                    self.environ.get(RECOGNISED),
                    too_much=TOO_MUCH in self.environ,
                    account_change=ACCOUNT_CHANGE in self.environ,
                    seconds=self.environ.get(PROCESSOR_TIME, 0.0),
                )

    def _read_request_line(self) -> bytes:
        self._admission.idle(self, self._network)
        try:
            if self._hand_over is not None and not self._wait_or_move(self._hand_over):
                return b""
            self.connection.settimeout(self.server.keepalive)
            if not self.rfile.peek(1):
                return b""
        except OSError:
            # no request has begun, so no answer is due
            return b""
        finally:
            self._admission.busy(self)
        self._reads.begin()
        self._deadline = eventlet.Timeout(HEADER_SECONDS, TimeoutError("the headers did not arrive in time"))
        line: bytes = super()._read_request_line()
        if len(line) >= self.server.url_length_limit:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, strict_parsing.ADDRESS)
            return b""
        if self._hand_over is not None:
            target = self._hand_over.target(line)
            if target is not None and self._move(self._hand_over, target, line):
                return b""
            if not self._hand_over.is_own(line):
                self._counted = True
                self._hand_over.requests += 1
        return line

    def parse_request(self) -> bool:
        # replaces eventlet's own limits, which it enforces without an explanation
        self.rfile = lines = HeaderLines(self.rfile.fp)
        try:
            if not super().parse_request():
                return False
        except HeadersTooLong as error:
            self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, BadRequest(str(error)))
            return False
        problem = strict_parsing.problem(self.request_version, lines.lines, self.headers)
        if problem is not None:
            self.send_error(*problem)
        return problem is None

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        self._deadline.cancel()
        self._unread = False
        # refers to the socket, not to this connection, which would be a cycle for the garbage collector
        environ[HUNG_UP] = partial(has_hung_up, self.connection.fd)
        self._ticket = ticket = self._admit(environ)
        # an unused hook that refers to this connection: its buffers would wait for the garbage collector
        environ.pop("eventlet.set_idle", None)
        if "content-type" not in self.headers:
            # eventlet reports text/plain for a request without a type
            environ["CONTENT_TYPE"] = ""
        # the client's own version, which tells whether it supports chunks: eventlet reports 1.0 for all
        environ["SERVER_PROTOCOL"] = self.request_version
        source = environ["wsgi.input"]
        body, length = b"", source.content_length or 0
        if environ["PATH_INFO"] in STREAMED and (source.chunked_input or length > BODY_BYTES):
            self._leave_unread()
            environ["wsgi.input"] = ArrivingBody(self._stream(source))
            return environ
        if source.chunked_input or 0 < length <= BODY_BYTES:
            self._reserve(ticket, length)
            with eventlet.Timeout(BODY_SECONDS, TimeoutError("the body did not arrive in time")):
                body = self._read_chunks(source, ticket) if source.chunked_input else source.read(length)
            if not self._unread and len(body) < length:
                raise ConnectionError("the body is incomplete")
            length = BODY_BYTES + 1 if self._unread else len(body)
        elif length:
            self._leave_unread()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(length)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        status = HTTPStatus(code if code < 500 else HTTPStatus.BAD_REQUEST)
        # a message of the standard library may quote the request
        fallback = (
            strict_parsing.HEADERS if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE else strict_parsing.UNCLEAR
        )
        self._answer(status, BadRequest(message if message in strict_parsing.SENTENCES else fallback))

    def _admit(self, environ: dict[str, Any]) -> Ticket:
        try:
            return self._admission.admit(environ)
        except Refusal as refusal:
            self._answer(HTTPStatus(refusal.status), refusal)
            raise _Refused from None

    def _reserve(self, ticket: Ticket, size: int) -> None:
        try:
            self._admission.reserve(ticket, size)
        except Refusal as refusal:
            self._answer(HTTPStatus(refusal.status), refusal)
            raise _Refused from None

    def _answer(self, status: HTTPStatus, refusal: Refusal) -> None:
        """Refuse a request without calling the app, in the app's format (protocol §5), and close the connection."""
        self._leave_unread()
        origin = self.headers.get("origin") if self.headers is not None else None
        self.wfile.write(error_response.encode(status, refusal, origin if origin in self._origins else None))

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def finish(self) -> None:
        if self._unread:
            # a socket closed with unread bytes makes the kernel send RST, and our answer could be lost
            with contextlib.suppress(OSError), eventlet.Timeout(2, False):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                discarded = 0
                while data := self.connection.recv(65536):
                    discarded += len(data)
                    # bytes that have already arrived are read without waiting
                    eventlet.sleep(0 if discarded <= DISCARDED_BYTES else PAUSE_SECONDS)
        # fails if the peer has gone; eventlet would then leave the reading side open, and with it the socket
        with contextlib.suppress(OSError):
            self.wfile.close()
        super().finish()

    def _wait_or_move(self, hand_over: HandOver) -> bool:
        """Wait for the next request; return False if this worker retires, and its successor takes the connection."""
        try:
            if hand_over.successor is None:
                self.connection.settimeout(0)
                if not self.rfile.peek(1):
                    self._waiting = eventlet.getcurrent()
                    hubs.trampoline(
                        self.connection, read=True, timeout=self.server.keepalive, timeout_exc=TimeoutError("idle")
                    )
        except _Moved:
            pass
        finally:
            self._waiting = None
        successor = hand_over.successor
        return successor is None or not self._move(hand_over, successor)

    def _interrupt(self, waiting: Any) -> None:
        # it may have gone on in the meantime
        if waiting is not None and waiting is self._waiting:
            waiting.throw(_Moved())

    def _move(self, hand_over: HandOver, target: int, line: bytes = b"") -> bool:
        """Hand the connection over to the worker `target`; return False if it stays."""
        # what has arrived is read without waiting for more
        self.connection.settimeout(0)
        try:
            early = self.rfile.read1(self._buffer_bytes) or b""
        except OSError:
            early = b""
        if hand_over.send(self.connection, line + early, target):
            self._unread = False
            return True
        self._reads.unread(early)
        self.connection.settimeout(self.server.socket_timeout)
        return False

    def _leave_unread(self) -> None:
        self._unread = True
        self.close_connection = True

    def _stream(self, source: wsgi.Input) -> Iterator[bytes]:
        """Yield the pieces of a long body; each piece has its own deadline."""
        pieces = self._chunks(source) if source.chunked_input else self._pieces(source)
        while True:
            with eventlet.Timeout(PIECE_SECONDS, TimeoutError("the body did not arrive in time")):
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
            raise ConnectionError("the body is incomplete")

    def _read_chunks(self, source: wsgi.Input, ticket: Ticket) -> bytes:
        body = bytearray()
        reserved = 0
        try:
            for piece in self._chunks(source):
                body += piece
                while reserved < min(len(body), BODY_BYTES):
                    self._reserve(ticket, PIECE_BYTES)
                    reserved += PIECE_BYTES
                if len(body) > BODY_BYTES:
                    self._leave_unread()
                    return b""
        except InvalidChunk:
            self.send_error(HTTPStatus.BAD_REQUEST, strict_parsing.CHUNKS)
            raise
        source.chunk_length = 0
        return bytes(body)

    def _chunks(self, source: wsgi.Input) -> Iterator[bytes]:
        if source.should_send_hundred_continue:
            source.send_hundred_continue_response()
            source.is_hundred_continue_response_sent = True
        return read_chunks(self.rfile, eventlet.sleep)


def has_hung_up(sock: socket.socket) -> bool:
    """Return True if the peer has closed its side of the connection; nothing is read.

    A peer that only closes its sending side after a request counts as gone, as with other servers.
    """
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class _Moved(Exception):
    """The connection goes on in another worker."""


class _Refused(ConnectionError):
    """The request was refused before the app was called."""
