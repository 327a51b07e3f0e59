"""The serving process: how it starts, how it fails to start, and how it stops."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from functools import partial

import pytest
import requests
import socketio

from realtime_kv.server.serve import _warn_of_root
from tests import fork_server
from tests.live_server import DEADLINE, ROOT, Server, Tab


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


def serve(*arguments):
    """Start a server that is expected not to start."""
    return fork_server.run(["serve", *arguments], cwd=ROOT, env=dict(os.environ))


def test_a_second_server_on_the_same_data_folder_exits_with_a_clear_error(server):
    second = serve("--port=0", f"--data-dir={server.data_dir}")
    assert second.returncode == 1
    assert second.stderr.startswith(f"Another server (process {server.process.pid}) already uses the data folder")
    assert second.stdout == ""
    # and the first server is unaffected
    assert requests.get(f"{server.url}/readyz", timeout=DEADLINE).status_code == 200


def test_a_taken_port_is_reported_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = serve(f"--port={port}", f"--data-dir={tmp_path}")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"Cannot listen on 127.0.0.1, port {port}: ")
    assert len(answer.stderr.splitlines()) == 1


def test_a_data_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    answer = serve("--port=0", f"--data-dir={tmp_path / 'file' / 'data'}")
    assert answer.returncode == 1
    assert answer.stderr.startswith("Cannot use the data folder ")
    assert len(answer.stderr.splitlines()) == 1


def test_the_data_folder_is_accessible_only_to_its_owner(server):
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700


def test_files_in_a_world_readable_data_folder_are_private_to_the_owner(tmp_path):
    (tmp_path / "data").mkdir(mode=0o755)
    server = Server(tmp_path / "data").start()
    try:
        server.sign_up("alice")
        assert (tmp_path / "data" / "realtime_kv.db").exists()
        for file in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    finally:
        server.close()


def test_a_server_that_runs_as_root_prints_a_warning(server):
    server.stop()
    warned = any("Warning: The server runs as root" in line for line in server.output)
    assert warned is (os.geteuid() == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_server_that_does_not_run_as_root_prints_no_warning(capsys):
    _warn_of_root()
    assert "runs as root" in capsys.readouterr().err
    os.seteuid(65_534)
    try:
        _warn_of_root()
    finally:
        os.seteuid(0)
    assert capsys.readouterr().err == ""


def test_an_idle_connection_is_kept_for_the_configured_time(tmp_path):
    server = Server(tmp_path / "data", RKV_KEEP_ALIVE_SECONDS="3").start()
    try:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while piece := idle.recv(4096):
                answer += piece
        # the server closes the connection, and not before the timeout
        assert time.monotonic() - began >= 3
        assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" not in answer
    finally:
        server.close()


def test_only_the_requested_host_and_port_count_as_the_same_origin(server):
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{server.port}/socket.io/?EIO=4&transport=polling"
        for origin, status in (
            (f"http://{host}:{server.port}", 200),
            (f"http://{host}:1", 400),
            ("http://x.example", 400),
        ):
            assert requests.get(url, headers={"Origin": origin}, timeout=DEADLINE).status_code == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_notifies_the_tabs_and_loses_no_acknowledged_write(server, number):
    alice = server.sign_up("alice")
    tabs = [Tab(alice, ["websocket"]), Tab(alice, ["polling"])]
    answers = {}
    for n in range(500):
        # a refusal (the store is closed) may come before the answer to an earlier write
        tabs[0].client.emit("set", {"key": f"k{n}", "value": n}, callback=partial(answers.__setitem__, n))
    tabs[0].next("change")
    server.process.send_signal(number)
    for tab in tabs:
        assert tab.next("notice")["kind"] == "restart"
        tab.next("disconnect")
    assert server.process.wait(timeout=10) == 0
    acknowledged = [n for n, answer in answers.items() if answer["ok"]]
    assert acknowledged
    server.start()
    for n in acknowledged:
        assert alice.http("get", key=f"k{n}").json()["entry"]["value"] == n
    assert not [line for line in server.output if "Traceback" in line or "ERROR" in line]


def test_stock_clients_reconnect_by_themselves_after_a_restart(server):
    alice = server.sign_up("alice")
    client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.1)
    client.connect(server.url, auth={"token": alice.token}, wait_timeout=DEADLINE)
    assert server.stop() == 0
    server.start()
    while not client.connected:
        client.sleep(0.05)
    assert client.call("set", {"key": "k", "value": 1}, timeout=DEADLINE)["ok"]
    client.disconnect()


def test_a_failing_storage_ends_the_process_at_once():
    script = (
        "from realtime_kv import config; from realtime_kv.server import serve; "
        "serve.fail_stop(config.Config(), OSError('fsync failed'))"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "fsync failed" in answer.stderr
