"""Pauses of a WebSocket: it is not read from for as long as its owner demands, even after a whole time slice."""

import socket
from functools import partial
from types import SimpleNamespace

import pytest

from realtime_kv.realtime.engineio.websocket import WebSocket
from tests.realtime.tools import frame

LIMITS = SimpleNamespace(message_bytes=1024, waiting_bytes=1024, stall_seconds=10.0)
PAUSE_SECONDS = 3.0


class Hub:
    """Event loop under the test's control: records listeners and scheduled calls."""

    READ, WRITE = "read", "write"

    def __init__(self):
        self.listening = {}
        self.later = []

    def add(self, kind, fd, on_ready, *_):
        self.listening[kind] = on_ready
        return kind

    def remove(self, kind):
        del self.listening[kind]

    def schedule_call_global(self, seconds, fn, *arguments):
        self.later.append((seconds, partial(fn, *arguments)))


class Owner:
    """Gives slices of `seconds`; asks for a pause after each batch."""

    def __init__(self, seconds, pause):
        self.seconds, self.pause = seconds, pause
        self.heard, self.waits = [], 0

    def time_slice(self, _websocket):
        return self.seconds

    def used(self, _websocket, seconds):
        pass

    def wait(self, websocket):
        self.waits += 1
        self.go_on = websocket.go_on

    def on_message(self, _websocket, message):
        self.heard.append(message)
        return True

    def on_batch(self, _websocket, frames, empty, size):
        return self.pause


@pytest.fixture
def peer_of():
    ends = []

    def connect(hub, owner):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            far = socket.create_connection(listener.getsockname())
            near, _ = listener.accept()
        ends.extend((near, far))
        WebSocket(near, hub, owner, LIMITS).start()
        return far

    yield connect
    for end in ends:
        end.close()


def receive(hub, far, *messages):
    far.sendall(b"".join(frame(0x81, message) for message in messages))
    hub.listening["read"](0)


def reads(hub):
    """Return whether the WebSocket is read from; it stops listening only when data arrives."""
    if "read" in hub.listening:
        hub.listening["read"](0)
    return "read" in hub.listening


@pytest.mark.parametrize("seconds", [1e-9, 1000.0], ids=["after its whole turn", "within its turn"])
def test_paused_websocket_is_not_read_until_the_pause_ends(peer_of, seconds):
    hub, owner = Hub(), Owner(seconds, PAUSE_SECONDS)
    receive(hub, peer_of(hub, owner), b"6", b"6")
    assert owner.heard[0] == b"6"
    # it goes on after the pause and not at its next turn, which would come sooner
    heard = len(owner.heard)
    assert not reads(hub) and len(owner.heard) == heard and owner.waits == 0
    ((after, pause_is_over),) = hub.later
    assert after == PAUSE_SECONDS
    pause_is_over()
    assert not reads(hub) and owner.waits == 1
    owner.seconds, owner.pause = 1000.0, 0.0
    owner.go_on()
    assert owner.heard == [b"6", b"6"] and reads(hub)


def test_remaining_messages_wait_for_the_next_time_slice_without_a_pause(peer_of):
    hub, owner = Hub(), Owner(1e-9, 0.0)
    receive(hub, peer_of(hub, owner), b"6", b"6")
    assert owner.heard == [b"6"] and owner.waits == 1
    assert not reads(hub) and owner.heard == [b"6"] and hub.later == []
