"""A part of the catalogue, by counts and outcomes: the attacker is held back, and no other user is refused."""

import json
import subprocess
import sys
import threading
import time

import pytest

from tests.fairness import catalogue, connections, data
from tests.fairness.catalogue import Context
from tests.live_server import ROOT, Server

SECONDS = 2.0
# one of each kind: frames, handshakes, requests, reads, writes, account calls, a token
SHARE = [
    "WebSocket pings, 10 sockets",
    "empty fragments",
    "CONNECT with a bad token",
    "sign-ins",
    "sync",
    "history",
    "batch of 900 KB",
    "undo of a large move, dry run",
    "dismiss_notice",
    "get by a public token",
]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return data.make(tmp_path_factory.mktemp("fairness") / "template", keys=6_000)


@pytest.fixture
def server(template, tmp_path):
    server = Server(template.copy(tmp_path / "data"), RKV_RATE_LIMITS="on").start()
    yield server
    server.close()


@pytest.mark.parametrize("name", SHARE)
def test_attacker_is_throttled_and_other_users_are_not(template, server, name):
    bystander = template.people[-1]
    tab = connections.websocket(server.port, "", bystander.token)
    assert tab is not None
    lines = catalogue.BY_NAME[name].lines(Context.of(template, server.port))
    counts: list[connections.Counts] = []
    attack = threading.Thread(target=lambda: counts.append(connections.flood(lines, time.monotonic() + SECONDS)))
    attack.start()
    done = 0
    while attack.is_alive():
        tab.sendall(connections.event("set", {"key": "v/a", "value": done}, 100 + done))
        assert b'"ok":true' in _answer(tab, b"43%d[" % (100 + done))
        done += 1
    attack.join()
    tab.close()
    assert done > 0
    assert counts[0].held_back > 0, counts
    # the owner of the attacked account can end that session, and it stays ended
    attacked = template.people[0]
    ended = connections.connect(server.port)
    body = json.dumps({"id": attacked.session}).encode()
    ended.sendall(connections.request("POST", "/api/v1/end_session", server.port, attacked.owner, body))
    assert ended.recv(4096).startswith(b"HTTP/1.1 204")
    ended.sendall(connections.request("GET", "/api/v1/me", server.port, attacked.token))
    assert ended.recv(4096).startswith(b"HTTP/1.1 401")
    ended.close()


def test_attack_catalogue_is_complete_and_its_names_are_unique():
    assert len(catalogue.ATTACKS) >= 40
    assert len(catalogue.BY_NAME) == len(catalogue.ATTACKS)
    assert set(SHARE) <= set(catalogue.BY_NAME)
    listed = subprocess.run(
        [sys.executable, "-m", "tests.fairness", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert listed.splitlines() == [attack.name for attack in catalogue.ATTACKS]


def _answer(tab, start: bytes) -> bytes:
    """Return the bytes up to and including the acknowledgement that begins with `start`."""
    heard = b""
    tab.settimeout(90)
    while start not in heard or not heard.endswith(b"]"):
        piece = tab.recv(1 << 16)
        assert piece, heard[-200:]
        heard += piece
    return heard
