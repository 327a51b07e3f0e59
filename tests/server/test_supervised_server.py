"""The real server under the supervisor.

It has one worker, because one process at a time uses a SQLite database; while a worker is replaced, nothing is written.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests

from realtime_kv.server import control_socket
from tests.live_server import DEADLINE, ROOT, Server
from tests.realtime.tools import eventually
from tests.server.test_workers import runs

LAUNCHER = """
import sys

from realtime_kv.cli import main as cli
from realtime_kv.config import Config
from realtime_kv.server.workers import supervisor

options = cli.parse(sys.argv[1:])
config = Config.from_environ(port=options.port, data_dir=options.data_dir)
sys.exit(supervisor.main(config, [sys.executable, "-P", "-m", "realtime_kv.cli", *sys.argv[1:], "--worker"]))
"""


@pytest.fixture
def server(tmp_path):
    launcher = tmp_path / "launcher.py"
    launcher.write_text(LAUNCHER)
    server = Server(tmp_path / "data", launcher=launcher).start()
    server.wait_for("Worker 1 is process")
    yield server
    server.close()
    eventually(lambda: not any(runs(pid) for pid in pids(server)), DEADLINE)


def pids(server):
    return [int(line.split()[-1]) for line in server.output if re.match(r"Worker \d+ is process", line)]


def command(server, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "realtime_kv.cli", *arguments, f"--data-dir={server.data_dir}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_find_the_worker_and_its_figures_have_its_number(server):
    alice = server.sign_up("alice")
    tab = alice.open_tab(["polling"])
    assert tab.call("set", key="a", value=1)["revision"] == 1
    assert tab.client.eio.sid.startswith("1-")
    tab.close()
    listed = command(server, "users")
    assert listed.returncode == 0 and "alice" in listed.stdout, listed
    # by the control socket, since the folder is locked
    assert (server.data_dir / "control-1.sock").exists() and not (server.data_dir / "control.sock").exists()
    assert control_socket.ask(server.data_dir, "known", {"name": "alice"}, lambda _: None) == {"known": True}
    figures = requests.get(f"{server.url}/metrics", timeout=DEADLINE).text
    assert re.search(r'^rkv_tabs\{worker="1"\} 0.0$', figures, re.MULTILINE)
    assert server.stop() == 0
    assert not any(runs(pid) for pid in pids(server))
    assert not any("ERROR" in line for line in server.output), server.output


def test_a_killed_worker_is_replaced_and_has_every_acknowledged_write(server):
    alice = server.sign_up("alice")
    assert alice.http("set", key="a", value=1).status_code == 200
    os.kill(pids(server)[0], signal.SIGKILL)
    # the connection waits for the next worker
    assert alice.http("get", key="a").json()["entry"]["value"] == 1
    assert len(pids(server)) == 2
    # only the first worker prints the addresses
    assert sum("Ready on" in line for line in server.output) == 1


def test_sighup_replaces_the_worker_without_a_failed_request(server):
    alice = server.sign_up("alice")
    tab = alice.open_tab(["websocket"])
    (old,) = pids(server)
    server.process.send_signal(signal.SIGHUP)
    count = 0
    with requests.Session() as session:
        end = time.monotonic() + DEADLINE
        while runs(old) and time.monotonic() < end:
            assert session.get(f"{server.url}/healthz", timeout=DEADLINE).text == "ok\n"
            assert requests.get(f"{server.url}/healthz", timeout=DEADLINE).text == "ok\n"
            count += 1
    assert not runs(old) and count > 10
    assert tab.next("notice")["kind"] == "restart"
    tab.next("disconnect")
    again = alice.open_tab(["polling"])
    assert again.client.eio.sid.startswith("2-")
    again.close()
    assert not any("ERROR" in line for line in server.output), server.output
    assert list(server.data_dir.glob("control*.sock")) == [server.data_dir / "control-2.sock"]
    # as a killed worker leaves it
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(server.data_dir / "control-1.sock"))
    listed = command(server, "users")
    assert listed.returncode == 0 and "alice" in listed.stdout, listed


def test_a_server_that_cannot_start_exits_with_the_reason(tmp_path, server):
    launcher = tmp_path / "launcher.py"
    second = Server(server.data_dir, launcher=launcher)
    with pytest.raises(AssertionError, match="already uses the data folder"):
        second.start()
    assert second.process.wait(DEADLINE) == 1
    damaged = Server(tmp_path / "other", launcher=launcher)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "realtime_kv.db").write_bytes(b"no database" * 100)
    with pytest.raises(AssertionError, match="is damaged"):
        damaged.start()
    assert damaged.process.wait(DEADLINE) == 1
