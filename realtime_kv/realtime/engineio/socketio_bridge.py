"""Bridge to python-socketio: its server object gets our transport, rooms and packets, and handles connects only."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from realtime_kv.realtime.engineio import packets
from realtime_kv.realtime.engineio.interfaces import MessageHandler
from realtime_kv.realtime.engineio.packets import Violation
from realtime_kv.realtime.engineio.sessions import SessionRegistry
from realtime_kv.realtime.engineio.socketio_manager import SocketIOManager, StrictPacket

log = logging.getLogger(__name__)


class Engine(Protocol):
    """The engine.io server."""

    def on(self, event: str, handler: Callable[..., Any]) -> Any: ...
    def connected(self, eio_sid: str) -> bool: ...
    def send(self, eio_sid: str, data: str) -> None: ...
    def disconnect(self, eio_sid: str) -> None: ...


class SocketIOBridge:
    """Processes the CONNECTs and DISCONNECTs of connections, and the messages of `socketio.test_client`."""

    def __init__(self, server: socketio.Server, engine: Engine, receiver: MessageHandler) -> None:
        self._server = server
        self._engine = engine
        self._receiver = receiver

    def attach(self, connections: SessionRegistry) -> None:
        """Put our parts in place of the server's own."""
        server, engine = self._server, self._engine
        server.eio = engine
        server.packet_class = StrictPacket
        server.manager = SocketIOManager(connections.join, connections.leave)
        server.manager.set_server(server)
        server._handle_eio_message = self._on_text
        server._trigger_event = _guard(server._trigger_event)
        engine.on("connect", server._handle_eio_connect)
        engine.on("message", server._handle_eio_message)
        engine.on("disconnect", server._handle_eio_disconnect)

    def join_or_leave(self, eio_sid: str, message: bytes) -> None:
        """Process a CONNECT or DISCONNECT; may wait. Raises Violation."""
        if message.startswith(packets.CONNECT):
            namespace, auth = packets.read_connect(message)
            if namespace != "/":
                self._engine.send(eio_sid, packets.no_such_namespace(namespace))
                return
            self._server._handle_connect(eio_sid, namespace, auth)
        elif message.startswith(packets.DISCONNECT):
            packets.read_disconnect(message)
            self._server._handle_disconnect(eio_sid, "/")
        else:
            raise Violation("a packet that clients do not send")

    def _on_text(self, eio_sid: str, text: str) -> None:
        """Handle a message of `socketio.test_client`, which has no connection."""
        try:
            message = b"4" + text.encode()
            if not message.startswith(packets.EVENT):
                self.join_or_leave(eio_sid, message)
            elif self._engine.connected(eio_sid):
                self._receiver.receive(eio_sid, *packets.read_event(message))
                self._receiver.flush()
        except (Violation, UnicodeEncodeError) as error:
            log.info("a test client is disconnected: %s", error)
            self._engine.disconnect(eio_sid)


def _guard(trigger: Callable[..., Any]) -> Callable[..., Any]:
    """Log the errors of event handlers; an error of the connect handler refuses the connection."""

    def trigger_event(event: str, namespace: str, *args: Any) -> Any:
        try:
            return trigger(event, namespace, *args)
        except (Refused, ConnectionRefusedError):
            raise
        except Exception:
            log.exception("the %s handler failed", event)
            if event == "connect":
                # python-socketio takes a TypeError for a handler without `auth`, and would call it again without it
                raise Refused("internal") from None
            return None

    return trigger_event
