"""Replacement of engine.io's server, fast and bounded; the only module that knows the internals of python-engineio.

(The internals of python-socketio are known in socketio_bridge.py and socketio_manager.py.)

    engine = EngineIOServer(socketio.server, receiver, Limits(…), runtime)

`receiver` (the gateway; a MessageHandler) receives every event of every connected tab of the namespace `/`:

    receive(eio_sid, ack_id, body)   body: the bytes of the JSON array, in arrival order; must not wait
    flush()                          after everything that arrived together
    busy(eio_sid) -> bool            True: the tab is not read until engine.resume(eio_sid); False if it has not joined

and calls, always on the event loop's thread:

    engine.send(eio_sid, [event_frame("change", json), ack_frame(17, json)])   together; never waits, never raises
    engine.resume(eio_sid), engine.disconnect(eio_sid)
    engine.connected(eio_sid), engine.count

Connects and disconnects stay python-socketio's: `server.on("connect", fn(sid, environ, auth))` runs in its own
greenlet, may wait and raises `socketio.exceptions.ConnectionRefusedError` to refuse (any other exception is logged and
refuses as well); `server.on("disconnect", fn(sid, reason))` must not wait. `manager.eio_sid_from_sid(sid, "/")` returns
the `eio_sid`. No event of a client ever reaches these handlers.

`socketio.test_client` has no engine.io connection: its events reach the receiver inside the call, and messages to it
are sent by `server._send_packet`, which it has replaced.

Written for python-engineio 4.15, python-socketio 5.18 and eventlet 0.41; tests/realtime/test_library_versions.py fails
if another version lacks something that is used here.

Longer than 320 lines: the methods of engine.io's server that are replaced belong to one class.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import engineio
import eventlet
import socketio
from engineio.packet import Packet as EnginePacket
from eventlet import hubs
from eventlet.wsgi import WSGI_LOCAL

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.realtime.engineio import budgets, packets
from realtime_kv.realtime.engineio import handshake as requests
from realtime_kv.realtime.engineio.handshake import HandshakeError, HttpResponse
from realtime_kv.realtime.engineio.interfaces import MessageHandler
from realtime_kv.realtime.engineio.packets import Frame, Violation, ack_frame, event_frame
from realtime_kv.realtime.engineio.session import EngineIOSession
from realtime_kv.realtime.engineio.sessions import MESSAGE_BYTES, Closing, Limits, SessionRegistry, TooMany
from realtime_kv.realtime.engineio.socketio_bridge import SocketIOBridge
from realtime_kv.realtime.engineio.socketio_manager import StrictPacket
from realtime_kv.realtime.engineio.websocket import BLOCK, WebSocket
from realtime_kv.realtime.sse.streaming_response import StreamingBody, StreamingConnection
from realtime_kv.request.authentication import NOBODY, RECOGNISED

__all__ = [
    "MESSAGE_BYTES",
    "EngineIOServer",
    "Frame",
    "Limits",
    "MessageHandler",
    "ack_frame",
    "event_frame",
    "streaming_middleware",
]

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def streaming_middleware(app: Wsgi, limits: Limits) -> Wsgi:
    """Wrap `app`: take the connections of streaming responses from the WSGI server once their headers are sent."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        write: Callable[[bytes], None]

        def start(*said: Any) -> Any:
            nonlocal write
            write = start_response(*said)
            return write

        body = app(environ, start)
        if not (isinstance(body, StreamingBody) and "eventlet.input" in environ):
            return body
        write(body.opening)
        hub, sock = hubs.get_hub(), _take_socket(environ)[0]
        line = StreamingConnection(sock, hub, body, limits, chunked=environ["SERVER_PROTOCOL"] == "HTTP/1.1")
        # scheduled on the event loop: a listener keeps alive the greenlet in which it was created
        hub.schedule_call_global(0, line.start)
        WSGI_LOCAL.already_handled = True
        return []

    return wsgi


def _take_socket(environ: dict[str, Any]) -> tuple[socket.socket, bytes]:
    """Take the TCP connection of a request, whose greenlet will end, and the data that followed the request."""
    request = environ["eventlet.input"]
    green = request.get_socket()
    # so that reading the buffered data does not wait for more
    green.settimeout(0)
    try:
        early = request.rfile.read1(BLOCK) or b""
    except OSError:
        early = b""
    inner = green.fd
    family, kind, protocol = inner.family, inner.type, inner.proto
    return socket.socket(family, kind, protocol, fileno=inner.detach()), early


class EngineIOServer(engineio.Server):  # type: ignore[misc]
    """engine.io's server with everything that it does for a connection replaced."""

    def __init__(
        self,
        server: socketio.Server,
        receiver: MessageHandler,
        limits: Limits,
        runtime: Runtime,
        worker: int | None = None,
    ) -> None:
        """Replace the engine.io of `server`; once, before the first request.

        Of the server's settings for engine.io only `cors_allowed_origins` and `cors_credentials` are used. `worker` is
        the number of this process, if the server has several.
        """
        super().__init__(
            async_mode="eventlet",
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            max_http_buffer_size=limits.message_bytes,
            http_compression=False,
            monitor_clients=False,
            cors_allowed_origins=server.eio.cors_allowed_origins,
            cors_credentials=server.eio.cors_credentials,
        )
        self._server = server
        self._receiver = receiver
        self._limits = limits
        self._bridge = SocketIOBridge(server, self, receiver)
        self._sid_prefix = "" if worker is None else requests.sid_prefix(worker)
        self._connections = SessionRegistry(
            limits, receiver, runtime, spawn=eventlet.spawn_n, work=self._bridge.join_or_leave, left=self._on_left
        )
        self._joined = self._connections.joined
        self.sockets = self._connections.by_sid
        self._bridge.attach(self._connections)

    # called by the gateway

    @property
    def count(self) -> int:
        """The number of connections, joined or not."""
        return len(self.sockets)

    @property
    def open_websockets(self) -> int:
        """The number of WebSockets whose TCP connection is open, including those that are being closed."""
        return self._connections.open_websockets

    def connected(self, eio_sid: str) -> bool:
        """Return True for a tab: its CONNECT has been accepted, and it has not left."""
        return eio_sid in self._joined

    def send(self, eio_sid: str, data: Sequence[Frame] | str) -> None:
        """Send frames; or, for python-socketio, the text of one packet. Does nothing if the connection is gone."""
        if isinstance(data, str):
            self._connections.send(eio_sid, [Frame(b"4" + data.encode())])
        elif not self._connections.send(eio_sid, data) and eio_sid in self._joined:
            # a joined tab without a connection is socketio.test_client, which has registered itself
            for frame in data:
                self._server._send_packet(eio_sid, StrictPacket(encoded_packet=frame.payload[1:].decode()))

    def resume(self, eio_sid: str) -> None:
        """Resume reading, after `receiver.busy` returned True."""
        self._connections.resume(eio_sid)

    def disconnect(self, eio_sid: str | None = None) -> None:
        """Close after the queued messages, and tell the client's socket.io not to reconnect by itself."""
        if eio_sid is None:
            self.close_all()
        elif eio_sid in self.sockets:
            self.sockets[eio_sid].close(self.reason.SERVER_DISCONNECT, deliberate=True)
        elif (sid := self._server.manager.sid_from_eio_sid(eio_sid, "/")) is not None:
            self._server.disconnect(sid)

    def close_all_for_reconnect(self) -> None:
        """Close every connection after its queued messages; the clients reconnect by themselves, even at once."""
        self._connections.close_all_for_reconnect(self.reason.SERVER_DISCONNECT)

    def close_all(self) -> None:
        """Close every connection after its queued messages, and accept no more; the clients reconnect by themselves."""
        self._connections.close_all(self.reason.SERVER_DISCONNECT)

    # called by the WSGI server

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        try:
            answer = self._answer(environ)
        except (HandshakeError, Violation) as error:
            answer = requests.refusal(error)
        except Exception:
            log.exception("a request could not be served")
            answer = HttpResponse("500 Internal Server Error", b'"internal"')
        if answer is None:
            # the TCP connection is now a WebSocket and no longer belongs to the WSGI server
            WSGI_LOCAL.already_handled = True
            return []
        start_response(answer.status, [*requests.HEADERS, *answer.headers, *self._cors_headers(environ)])
        # the answer to HEAD has no body (RFC 9110 §9.3.2)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _answer(self, environ: dict[str, Any]) -> HttpResponse | None:
        origin, origins = environ.get("HTTP_ORIGIN"), self._cors_allowed_origins(environ)
        if origin is not None and origins is not None and origin not in origins:
            raise HandshakeError(self._limits.refuse_origin(environ))
        method = environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return HttpResponse("200 OK", b"ok")
        if method not in {"GET", "POST"}:
            raise HandshakeError("Only GET and POST are allowed.", "405 Method Not Allowed")
        query = requests.read_query(environ)
        if query.sid is None:
            return self._open(environ, method, query.transport)
        connection = self.sockets.get(query.sid)
        environ[RECOGNISED] = NOBODY
        if connection is None:
            raise HandshakeError("Session ID unknown.")
        if connection.joined:
            environ[RECOGNISED] = query.sid, self._receiver.account(query.sid)
        if query.transport == "websocket":
            self._upgrade(environ, connection)
            return None
        return self._serve_polling(environ, method, connection)

    def _open(self, environ: dict[str, Any], method: str, transport: str) -> HttpResponse | None:
        if method != "GET":
            raise HandshakeError("A session begins with a GET.")
        switching = requests.handshake(environ) if transport == "websocket" else b""
        sid = self.generate_id()
        try:
            connection = self._connections.open(sid, environ)
        except TooMany:
            raise HandshakeError("Too many connections from your address.", "429 Too Many Requests") from None
        except Closing:
            raise HandshakeError("The server restarts; try again in a moment.", "503 Service Unavailable") from None
        self._trigger_event("connect", sid, requests.lasting(environ), run_async=False)
        opening = Frame(
            packets.opening(
                sid, transport, self._limits.ping_interval, self._limits.ping_timeout, self._limits.message_bytes
            )
        )
        if not switching:
            return HttpResponse("200 OK", opening.payload)
        websocket, begin = self._take_websocket(environ, connection)
        websocket.frames.message_bytes = connection.message_bytes
        connection.websocket = websocket
        begin(switching + opening.wire)
        return None

    def _upgrade(self, environ: dict[str, Any], connection: EngineIOSession) -> None:
        switching = requests.handshake(environ)
        if connection.websocket is not None or connection.probe is not None or connection.closed:
            raise HandshakeError("This session has been upgraded to WebSocket.")
        connection.spend(budgets.HANDSHAKE_FRAMES)
        websocket, begin = self._take_websocket(environ, connection)
        self._connections.begin_upgrade(connection, websocket)
        begin(switching)

    def _serve_polling(self, environ: dict[str, Any], method: str, connection: EngineIOSession) -> HttpResponse:
        if connection.websocket is not None:
            raise HandshakeError("This session has been upgraded to WebSocket.")
        try:
            if method == "GET":
                answer = connection.polling.poll(connection)
            else:
                connection.polling.post(connection, requests.read_body(environ, connection.message_bytes))
                answer = b"ok"
        except Exception:
            # a POST that was handled in part must not be followed by more
            connection.close_discarding(self.reason.TRANSPORT_ERROR)
            raise
        if not answer:
            raise HandshakeError("Session ID unknown.")
        return HttpResponse("200 OK", answer)

    def _take_websocket(
        self, environ: dict[str, Any], connection: EngineIOSession
    ) -> tuple[WebSocket, Callable[[bytes], None]]:
        """Take the TCP connection from the WSGI server: its greenlet ends, because an idle tab needs none.

        The returned function sends the WebSocket's first bytes and starts reading, once `connection` refers to it.
        """
        hub = hubs.get_hub()
        sock, early = _take_socket(environ)
        websocket = WebSocket(sock, hub, connection, self._limits)
        self._connections.open_websockets += 1

        def begin(first: bytes) -> None:
            websocket.send(first)
            # scheduled on the event loop: a listener keeps alive the greenlet in which it was created
            hub.schedule_call_global(0, websocket.start, early)

        return websocket, begin

    # called by python-socketio

    def generate_id(self) -> str:
        return self._sid_prefix + str(super().generate_id())

    def send_packet(self, eio_sid: str, packet: EnginePacket) -> None:
        self._connections.send(eio_sid, [Frame(packet.encode().encode())])

    def get_session(self, eio_sid: str) -> dict[str, Any]:
        connection = self.sockets[eio_sid]
        if connection.session is None:
            connection.session = {}
        return connection.session

    def save_session(self, eio_sid: str, session: dict[str, Any]) -> None:
        self.sockets[eio_sid].session = session

    def transport(self, eio_sid: str) -> str:
        return "polling" if self.sockets[eio_sid].websocket is None else "websocket"

    def _on_left(self, eio_sid: str, reason: str) -> None:
        self._trigger_event("disconnect", eio_sid, reason, run_async=False)
