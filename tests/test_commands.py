"""The commands on a data folder, with and without a running server."""

import json
import os
import socket
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from realtime_kv.server import control_socket
from tests import prefork
from tests.core.services import secret
from tests.realtime.events import Listener
from tests.running import DEADLINE, PASSWORD, ROOT, Server
from tests.storage.sqlite.harness import on_disk

DAY = 24 * 60 * 60 * 1000


def run(folder: Path, *arguments: str, typed: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
    command, *rest = arguments
    return prefork.run([command, f"--data-dir={folder}", *rest], cwd=ROOT, env={**environ, **settings}, typed=typed)


def answer(folder: Path, *arguments: str, typed: str = "") -> Any:
    done = run(folder, *arguments, "--json", typed=typed)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def own(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


def test_command_line_changes_reach_the_running_server_and_its_tabs_at_once(own):
    alice = own.sign_up("Alice")
    tab = alice.open_tab()
    made = answer(own.data_dir, "create-admin", "alice")
    assert made == {"name": "Alice", "created": False}
    assert tab.next("signed_out") == {"reason": "ended"}
    (shown,) = answer(own.data_dir, "users")["users"]
    assert (shown["name"], shown["is_admin"], shown["status"]) == ("Alice", True, "active")
    link = answer(own.data_dir, "reset-link", "Alice")["link"]
    assert link.startswith(f"{own.url}/recover/")
    assert requests.get(link, timeout=DEADLINE).status_code == 200
    assert stat.S_IMODE((own.data_dir / control_socket.NAME).stat().st_mode) == 0o600
    alice.close()


def test_superuser_created_before_the_first_start_can_sign_in(tmp_path):
    folder = tmp_path / "data"
    made = answer(folder, "create-admin", "Alice", "--password-stdin", typed=f"{PASSWORD}\n")
    assert made == {"name": "Alice", "created": True}
    linked = answer(folder, "create-admin", "Charlie", "--link")
    assert "/recover/" in linked["link"]
    server = Server(folder).start()
    try:
        signed_in = requests.post(
            f"{server.url}/api/v1/sign_in", json={"username": "alice", "password": PASSWORD}, timeout=DEADLINE
        )
        assert signed_in.json()["user"]["is_admin"] is True
        assert "/setup/" not in "".join(server.output)
    finally:
        server.close()


def test_failed_commands_say_what_to_do_and_return_an_exit_code(tmp_path, own):
    for folder in (own.data_dir, tmp_path / "another"):
        for arguments, code, words in (
            (("create-admin", "Nobody", "--password-stdin"), 1, "password"),
            (("reset-link", "Nobody"), 1, "no such user"),
            (("restore", str(tmp_path / "missing.db"), "--yes"), 1, "There is no file"),
            # the user answers the question with no
            (("restore", str(tmp_path / "missing.db")), 1, "Nothing was"),
        ):
            done = run(folder, *arguments, typed="\n")
            assert done.returncode == code, arguments
            assert done.stdout.endswith("Go on? [y/N] ") or not done.stdout
            assert words.lower() in done.stderr.lower(), done.stderr
            assert "Traceback" not in done.stderr
    empty = run(tmp_path / "empty", "backup", str(tmp_path / "b.db"))
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "--data-dir" in empty.stderr


def test_setup_link_is_printed_at_each_start_until_a_superuser_exists(tmp_path):
    server = Server(tmp_path / "data").start()
    first = _setup(server)
    assert first.startswith(f"{server.url}/setup/")
    assert requests.get(first, timeout=DEADLINE).status_code == 200
    server.stop()
    server.output.clear()
    server.start()
    assert _setup(server) not in {None, first}
    answer(server.data_dir, "create-admin", "Alice", "--password-stdin", typed=f"{PASSWORD}\n")
    server.stop()
    server.output.clear()
    server.start()
    server.stop()
    assert _setup(server) is None


def _setup(server: Server) -> str | None:
    """Return the set-up line, which follows `Ready on …` on a line of its own."""
    for _ in range(DEADLINE * 20):
        lines = [line.strip() for line in server.output]
        found = [line for line in lines if "/setup/" in line]
        if found or server.process.poll() is not None:
            return found[0] if found else None
        threading.Event().wait(0.05)
    return None


def test_purge_command_leaves_no_deleted_byte_on_disk_while_the_server_runs(tmp_path):
    server = Server(tmp_path / "data").start()
    alice = server.sign_up("Alice")
    gone = [secret() for _ in range(1000)]
    for start in range(0, 1000, 100):
        ops = [{"op": "set", "key": f"k{n}", "value": gone[n]} for n in range(start, start + 100)]
        assert alice.http("batch", ops=ops).ok
        assert alice.http("batch", ops=[{"op": "delete", "key": op["key"]} for op in ops]).ok
    alice.http("set", key="stays", value="here")
    server.stop()
    # a month goes by
    with closing(sqlite3.connect(server.data_dir / "realtime_kv.db")) as db:
        db.execute("UPDATE entries SET deleted_at = deleted_at - ?", (31 * DAY,))
        db.commit()
    server.start()
    try:
        assert len(on_disk(server.data_dir, gone)) == 1000
        tab = alice.open_tab()
        before = tab.call("sync")
        done = answer(server.data_dir, "purge")
        assert (done["keys"], done["ops"], done["clean"]) == (1000, 2000, True)
        assert on_disk(server.data_dir, gone) == []
        assert tab.call("sync") == before
        assert tab.call("sync", epoch=before["epoch"], since=19)["reset"] is True
        assert tab.call("set", key="more", value=1)["ok"]
        alice.close()
    finally:
        server.close()


@pytest.mark.parametrize("alive", [True, False], ids=["running", "stopped"])
def test_restore_resets_tabs_that_were_ahead_of_the_backup(own, tmp_path, alive):
    alice = own.sign_up("Alice")
    tab = alice.open_tab()
    tab.call("set", key="a", value="before")
    file = tmp_path / "copy.db"
    made = answer(own.data_dir, "backup", str(file))
    assert made["bytes"] == file.stat().st_size
    tab.call("set", key="a", value="after")
    ahead = tab.call("sync")
    if not alive:
        own.stop()
    done = answer(own.data_dir, "restore", str(file), "--yes")
    assert tab.next("disconnect")
    if not alive:
        own.start()
    back = alice.open_tab()
    synced = back.call("sync", epoch=ahead["epoch"], since=ahead["revision"])
    assert (synced["reset"], synced["revision"]) == (True, 1)
    assert back.call("get", key="a")["entry"]["value"] == "before"
    assert back.call("set", key="b", value=1)["revision"] == 2
    assert Path(done["before"]).is_file()
    alice.close()


def test_restore_ends_every_stream_and_resets_it_on_reconnect(own, tmp_path):
    alice = own.sign_up("Alice")
    alice.http("set", key="a", value="before")
    answer(own.data_dir, "backup", str(tmp_path / "copy.db"))
    alice.http("set", key="a", value="after")
    stream = Listener(alice)
    assert stream.next().data["revision"] == 2
    answer(own.data_dir, "restore", str(tmp_path / "copy.db"), "--yes")
    *_, last = stream
    assert (last.name, last.data["kind"]) == ("notice", "restart")
    assert stream.last is not None and stream.last.endswith(":2")
    back = Listener(alice, stream.last)
    page = back.next().data
    assert (page["reset"], page["revision"], page["epoch"]) == (True, 1, alice.http("sync").json()["epoch"])
    assert alice.http("set", key="b", value=1).json()["revision"] == 2
    assert next(event for event in back if event.name == "change").data["from"] == 1
    for each in (stream, back):
        each.close()


def test_a_restore_replaces_a_database_that_cannot_be_opened(own, tmp_path):
    alice = own.sign_up("Alice")
    alice.http("set", key="a", value=1)
    answer(own.data_dir, "backup", str(tmp_path / "copy.db"))
    own.kill()
    (own.data_dir / "realtime_kv.db").write_bytes(b"rubbish" * 10_000)
    done = run(own.data_dir, "restore", str(tmp_path / "copy.db"), "--yes")
    assert done.returncode == 0, done.stderr
    assert "is kept in" in done.stderr
    own.start()
    # the damaged database cannot confirm that a session was still active
    assert alice.http("get", key="a").status_code == 401


def test_control_socket_works_with_a_long_path_and_a_stale_socket_file(tmp_path):
    server = Server(tmp_path / ("deep" * 20) / ("er" * 40) / "data").start()
    try:
        assert answer(server.data_dir, "users") == {"users": []}
        server.kill()
        assert (server.data_dir / control_socket.NAME).exists()
        assert answer(server.data_dir, "users") == {"users": []}
        server.start()
        assert answer(server.data_dir, "users") == {"users": []}
        server.stop()
        assert not (server.data_dir / control_socket.NAME).exists()
    finally:
        server.close()


def test_malformed_control_requests_get_an_error_and_the_server_keeps_running(own):
    lines = [
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
        b"x" * 200_000 + b"\n",
        b'{"order":"__class__"}\n',
        b'{"order":"users","arguments":{"nonsense":1}}\n',
        b'{"order":"users","arguments":{"search":"x"},"more":1}\n',
        b'{"order":"backup","arguments":{"file":"/"}}\n',
        b'{"order":"reset-link","arguments":{"name":{"a":1}}}\n',
        b'{"order":"create-admin","arguments":{"name":"x","password":5}}\n',
        b'{"order":"backup","arguments":{"file":"a\\u0000b"}}\n',
    ]
    for line in lines:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(own.data_dir / control_socket.NAME))
            try:
                connection.sendall(line)
                answered = connection.makefile("rb").read()
            except OSError:
                # the server cut off an overlong line midway
                continue
            words = json.loads(answered.splitlines()[-1])
            assert words["ok"] is False, line
            assert words["error"]["code"] != "internal", line
    assert answer(own.data_dir, "users") == {"users": []}
    assert "Traceback" not in "".join(own.output)


@pytest.mark.parametrize("alive", [True, False], ids=["running", "stopped"])
def test_invite_command_creates_a_usable_invitation(tmp_path, alive):
    server = Server(tmp_path / "data", RKV_SIGNUPS="invite").start()
    try:
        if not alive:
            server.stop()
        made = answer(server.data_dir, "invite", "--note", "For Dora")
        if not alive:
            server.start()
        secret = made["link"].rpartition("/invite/")[2]
        form = {"username": "Dora", "password": PASSWORD, "invitation": secret}
        url = f"{server.url}/api/v1/sign_up"
        assert made["note"] == "For Dora" and made["expires_at"].endswith("Z")
        assert requests.post(url, json={**form, "invitation": "x"}, timeout=DEADLINE).status_code == 410
        assert requests.post(url, json=form, timeout=DEADLINE).status_code == 201
    finally:
        server.close()
