"""A whole server on PostgreSQL: what people and programs do with it, over the network."""

import json
import subprocess
import sys
import time

import psycopg
import pytest
import requests

from tests.live_server import DEADLINE, ROOT, Server, fresh_name


@pytest.fixture(scope="module")
def url(cluster):
    return cluster.create(empty=True)


@pytest.fixture(scope="module")
def server(url, tmp_path_factory):
    """A server on an empty database, whose tables it creates."""
    server = Server(tmp_path_factory.mktemp("data"), RKV_DATABASE_URL=url).start()
    yield server
    server.close()


@pytest.fixture
def alice(server):
    account = server.sign_up(fresh_name("alice"))
    yield account
    account.close()


def run_cli(server, *arguments, **more):
    environ = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **server._settings}
    command = [sys.executable, "-m", "realtime_kv.cli", *arguments]
    if arguments[0] != "doctor":
        command += ["--data-dir", str(server.data_dir)]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE, **more)


def test_a_write_reaches_the_other_tabs_and_survives_a_kill(server, alice):
    first, second = alice.open_tab(), alice.open_tab()
    assert first.call("sync")["ok"] and second.call("sync")["ok"]
    written = first.call("set", key="note", value={"text": "a\u0000b 😀"})
    assert second.next("change")["writes"][0]["ops"][0]["key"] == "note"
    server.kill()
    server.start()
    entry = alice.http("get", key="note").json()["entry"]
    assert (entry["value"], entry["revision"]) == ({"text": "a\u0000b 😀"}, written["revision"])


def test_signing_out_ends_the_session_for_writes(server, alice):
    assert alice.http("set", key="k", value=1).status_code == 200
    other = server.sign_in(alice.username)
    assert other.http("set", key="k", value=2).status_code == 200
    assert requests.post(f"{server.url}/api/v1/sign_out", headers=other.headers, timeout=DEADLINE).ok
    assert other.http("set", key="k", value=3).status_code == 401
    assert alice.http("get", key="k").json()["entry"]["value"] == 2


def test_api_tokens_keep_to_their_prefix(server, alice):
    token = requests.post(
        f"{server.url}/api/v1/create_token",
        json={"name": "job", "prefix": "job/"},
        headers=alice.headers,
        timeout=DEADLINE,
    ).json()
    limited = {"Authorization": f"Bearer {token['token']}"}

    def set_key(key):
        return requests.post(
            f"{server.url}/api/v1/set", json={"key": key, "value": 1}, headers=limited, timeout=DEADLINE
        )

    assert set_key("job/1").status_code == 200
    assert set_key("other").status_code == 403


def test_a_stream_gets_changes(server, alice):
    with requests.get(f"{server.url}/api/v1/stream", headers=alice.headers, stream=True, timeout=DEADLINE) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        alice.http("set", key="streamed", value=1)
        assert any("streamed" in line for line in lines)


def test_an_export_can_be_imported_by_another_user(server, alice):
    for n in range(300):
        alice.http("set", key=f"export/{n:03}", value=n)
    exported = requests.get(f"{server.url}/api/v1/export?format=json", headers=alice.headers, timeout=DEADLINE)
    assert len(exported.json()["entries"]) == 300
    charlie = server.sign_up(fresh_name("charlie"))
    answer = requests.post(
        f"{server.url}/api/v1/import",
        data=exported.content,
        headers={**charlie.headers, "Content-Type": "application/json"},
        timeout=DEADLINE,
    )
    assert answer.ok, answer.text
    wanted = alice.http("list", prefix="export/", limit=1000).json()["entries"]
    end = time.monotonic() + DEADLINE
    while (found := charlie.http("list", prefix="export/", limit=1000).json()["entries"]) != wanted:
        if [entry["value"] for entry in found] == [entry["value"] for entry in wanted]:
            return
        assert time.monotonic() < end


def test_superusers_and_the_audit_log(server, alice):
    done = run_cli(server, "create-admin", alice.username, "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(run_cli(server, "users", "--json").stdout)
    assert alice.username in [user["name"] for user in listed["users"]]
    assert run_cli(server, "purge").returncode == 0


def test_the_audit_log_cannot_be_changed(url, alice):
    with psycopg.connect(url, autocommit=True) as db:
        for sql in ("UPDATE audit SET at = 0", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(psycopg.errors.RaiseException):
                db.execute(sql)


def test_backup_and_restore_point_to_the_tools_of_postgresql(server, tmp_path):
    done = run_cli(server, "backup", str(tmp_path / "copy.db"))
    assert done.returncode == 1
    assert "pg_dump" in done.stderr
    done = run_cli(server, "restore", str(tmp_path / "copy.db"), "--yes")
    assert done.returncode == 1
    assert "PostgreSQL" in done.stderr


def test_a_second_server_on_the_same_database_does_not_start(server, url, tmp_path):
    with pytest.raises(AssertionError, match="Another server process uses this database"):
        Server(tmp_path, RKV_DATABASE_URL=url).start()


def test_a_password_is_not_shown(tmp_path):
    secret = "hunter2-and-more"
    with pytest.raises(AssertionError) as failed:
        Server(tmp_path, RKV_DATABASE_URL=f"postgresql://kv:{secret}@127.0.0.1:1/kv").start()
    assert "Cannot start" in str(failed.value)
    assert secret not in str(failed.value)


def test_the_doctor_finds_nothing(server):
    done = run_cli(server, "doctor", "--seconds", "3", "--tabs", "3", server.url)
    assert done.returncode == 0, done.stdout + done.stderr


def test_writes_go_on_after_the_connections_were_lost(server, url, alice):
    assert alice.http("set", key="before", value=1).status_code == 200
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
            "datname = current_database()"
        )
    end = time.monotonic() + DEADLINE
    while (answer := alice.http("set", key="after", value=2, op_id="once")).status_code != 200:
        assert answer.status_code in (401, 503), answer.text
        assert time.monotonic() < end
        time.sleep(0.1)
    while (answer := alice.http("get", key="after")).status_code != 200:
        assert answer.status_code in (401, 503), answer.text
        assert time.monotonic() < end
        time.sleep(0.1)
    assert answer.json()["entry"]["value"] == 2
