"""The server's process gives memory back after its users have gone."""

import contextlib
import socket
import subprocess
import sys

import pytest

from tests.live_server import Server

NOTHING_THERE = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
# refused by the database's thread: the exception comes through a future
NOT_SIGNED_IN = b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer rks_%b\r\n\r\n" % (b"x" * 43)

# objects that are old when they become garbage: only a full collection finds them
AGING = """
from collections import deque
from realtime_kv.server import serve as server

class NoTimers:
    def call_later(self, seconds, fn):
        pass

class Cycle:
    alive = 0

    def __init__(self):
        self.itself = self
        Cycle.alive += 1

    def __del__(self):
        Cycle.alive -= 1

server._tune_gc(NoTimers())
under_way = deque(maxlen=40_000)
for _ in range(1_500_000):
    under_way.append(Cycle())
print(Cycle.alive)
"""

AT_ONCE = 200
ROUNDS = 30


def come_and_go(server, request):
    """Open AT_ONCE connections; each sends the request, is answered, and only then closes."""
    with contextlib.ExitStack() as open_ones:
        connections = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            for _ in range(AT_ONCE)
        ]
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("request_", [NOTHING_THERE, NOT_SIGNED_IN], ids=["nothing there", "not signed in"])
def test_closed_connections_leak_no_memory(tmp_path, request_):
    server = Server(tmp_path / "data", RKV_RATE_LIMITS="off").start()
    try:
        for _ in range(3):
            come_and_go(server, request_)
        before = server.status("VmRSS")
        for _ in range(ROUNDS):
            come_and_go(server, request_)
        after = server.status("VmRSS")
        assert after < before + 22 * 1024
    finally:
        server.close()


def test_old_garbage_is_collected_before_it_accumulates():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", AGING], capture_output=True, text=True, check=True)
    assert 40_000 <= int(done.stdout) < 1_000_000
