"""The internals of other libraries that the transport relies on: a test fails if another version lacks one.

test_transport.py proves the behaviour; these tests name the changed internal.
"""

import inspect

import engineio
import pytest
import socketio
from eventlet import greenio, hubs, wsgi
from eventlet.hubs import epolls
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

SERVER = [
    "_handle_connect",
    "_handle_disconnect",
    "_handle_eio_connect",
    "_handle_eio_disconnect",
    "_handle_eio_message",
    "_send_packet",
    "_trigger_event",
    "disconnect",
    "environ",
    "eio",
    "manager",
    "packet_class",
]
ENGINE = ["_cors_allowed_origins", "_cors_headers", "_trigger_event", "generate_id", "handlers", "reason", "sockets"]
MANAGER = [
    "basic_disconnect",
    "basic_enter_room",
    "basic_leave_room",
    "callbacks",
    "connect",
    "eio_sid_from_sid",
    "pending_connect",
    "pending_disconnect",
    "set_server",
    "sid_from_eio_sid",
]


@pytest.fixture(scope="module")
def server():
    return socketio.Server(async_mode="eventlet")


@pytest.mark.parametrize("name", SERVER)
def test_python_socketio_server_has_each_required_attribute(server, name):
    assert hasattr(server, name)


@pytest.mark.parametrize("name", ENGINE)
def test_engineio_server_has_each_required_attribute(server, name):
    assert hasattr(server.eio, name)


@pytest.mark.parametrize("name", MANAGER)
def test_socketio_manager_has_each_required_attribute(server, name):
    assert hasattr(server.manager, name)


def test_python_socketio_calls_and_signatures_match_our_overrides(server):
    source = inspect.getsource(socketio.Server)
    assert "self.eio.send(eio_sid, " in source
    assert "self.eio.send_packet(eio_sid, " in source
    assert list(inspect.signature(server._handle_connect).parameters) == ["eio_sid", "namespace", "data"]
    assert list(inspect.signature(server._trigger_event).parameters) == ["event", "namespace", "args"]
    # the walk over the rooms of all tabs that Manager.basic_disconnect replaces
    assert "in self.rooms[namespace].copy().items()" in inspect.getsource(server.manager.basic_disconnect)


def test_engineio_logs_exceptions_of_event_handlers():
    assert "self.logger.exception(event + ' handler error')" in inspect.getsource(engineio.Server._trigger_event)


def test_eventlet_wsgi_server_hands_over_the_connection():
    assert "environ['eventlet.input']" in inspect.getsource(wsgi.HttpProtocol.handle_one_response).replace("self.", "")
    assert "WSGI_LOCAL.already_handled" in inspect.getsource(wsgi.HttpProtocol.handle_one_response)
    parameters = inspect.signature(wsgi.Input).parameters
    assert {"rfile", "content_length", "sock", "chunked_input"} <= set(parameters)
    for name in ("get_socket", "send_hundred_continue_response", "should_send_hundred_continue"):
        assert hasattr(wsgi.Input, name)
    for name in ("handle_one_request", "parse_request", "get_environ", "send_error", "finish"):
        assert hasattr(wsgi.HttpProtocol, name)
    assert hasattr(greenio.GreenSocket(), "fd")


def test_eventlet_hub_accepts_listeners_and_timers():
    hub = hubs.get_hub()
    assert list(inspect.signature(hub.add).parameters) == ["evtype", "fileno", "cb", "tb", "mac"]
    for name in ("READ", "WRITE", "remove", "schedule_call_global", "clock", "greenlet", "wait"):
        assert hasattr(hub, name)
    # the instance's `wait` is replaced by ours
    assert "self.wait(" in inspect.getsource(hubs.hub.BaseHub.run)
    assert "self.poll.poll(seconds)" in inspect.getsource(epolls.Hub.do_poll)


def test_websockets_library_parses_one_frame_at_a_time():
    protocol = ServerProtocol(state=OPEN, max_size=10)
    assert protocol.current_size is None
    protocol.receive_data(b"\x01\x82\0\0\0\0hi")
    assert protocol.current_size == 2
    assert [bytes(frame.data) for frame in protocol.events_received()] == [b"hi"]
    protocol.receive_data(b"\x80\x89\0\0\0\0too large")
    assert protocol.parser_exc is not None
    # a close frame with 1009, and the end of the connection
    assert protocol.data_to_send()[0][2:4] == b"\x03\xf1"
