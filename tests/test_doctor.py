"""`python3 run.py doctor`: it passes a sound server, fails a sabotaged one, and explains when there is no server."""

import itertools
import os
import re
import sqlite3
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from realtime_kv.doctor import simulated_tab
from realtime_kv.doctor.command import main
from realtime_kv.doctor.results import Results
from tests import fork_server
from tests.live_server import DEADLINE, PASSWORD, ROOT, Server

NOBODY = "http://127.0.0.1:9"


def begin(*arguments, **settings):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
    return fork_server.Forked(["doctor", *arguments], cwd=ROOT, env={**environ, **settings})


def doctor(*arguments, **settings):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
    return fork_server.run(["doctor", *arguments], cwd=ROOT, env={**environ, **settings})


def sabotaged(tmp_path, code):
    """Create a real server whose gateway has one fault."""
    launcher = tmp_path / "sabotaged.py"
    head = """
        import sys
        from realtime_kv.cli import main as cli
        from realtime_kv.errors import Unavailable
        from realtime_kv.realtime import gateway

        turn = iter(range(1, 1 << 60))
    """
    launcher.write_text("\n".join(map(textwrap.dedent, (head, code, "sys.exit(cli.main(sys.argv[1:]))\n"))))
    return Server(tmp_path / "data", launcher=launcher)


DROPS = """
    push = gateway.Gateway.push
    gateway.Gateway.push = lambda self, committed: None if next(turn) % 10 == 0 else push(self, committed)
"""
WRONG_DIGEST = """
    from realtime_kv.storage.sqlite import reads
    space = reads.space_of
    def wrong(db, user_id):
        *right, digest = space(db, user_id)
        return *right, digest ^ 1
    reads.space_of = wrong
"""
ACKNOWLEDGES_EARLY = """
    acknowledge = gateway.Gateway._acknowledge
    def first(self, tab, ack_id, body):
        acknowledge(self, tab, ack_id, body)
        tab.outgoing.reverse()
    gateway.Gateway._acknowledge = first
"""


def test_doctor_passes_a_healthy_server_and_cleans_up(server):
    done = doctor(server.url, "--seconds", "2", "--tabs", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[\d ]+ changes, 0 missed, digests equal\.$", done.stdout, re.MULTILINE)
    assert "4 digests at the end" in done.stdout
    assert "no keys left, and the account is deleted" in done.stdout
    assert "Not checked" in done.stdout
    (name,) = set(re.findall(r"doctor-[0-9a-f]{8}", done.stdout))
    # the account is still registered, and its session is no longer valid
    taken = requests.post(
        f"{server.url}/api/v1/sign_up", json={"username": name, "password": "something-Else-entirely"}, timeout=DEADLINE
    )
    assert taken.json()["code"] == "name_taken"


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (DROPS, "was told what follows"),
        (WRONG_DIGEST, "what its digest says"),
        (ACKNOWLEDGES_EARLY, "before it was told of it"),
    ],
    ids=["drops pushes", "wrong digest", "acknowledges before it tells"],
)
def test_doctor_detects_a_sabotaged_server(tmp_path, code, finding):
    server = sabotaged(tmp_path, code).start()
    try:
        done = doctor(server.url, "--seconds", "3", "--tabs", "3")
    finally:
        server.close()
    assert done.returncode == 1
    assert finding in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("end", [Server.kill, Server.stop], ids=["killed", "stopped"])
def test_doctor_passes_a_server_that_restarts_during_the_check(tmp_path, end):
    server = Server(tmp_path / "data").start()
    try:
        examination = begin(server.url, "--seconds", "6", "--tabs", "4")
        # the doctor prints the first line when it has a user, the second when tabs have written for some time
        assert "Examining" in examination.stdout.readline()
        assert "changes" in examination.stdout.readline()
        end(server)
        server.start()
        said = examination.stdout.read()
        assert examination.wait(DEADLINE) == 0, said
    finally:
        server.close()
    assert "0 missed, digests equal" in said


def test_doctor_reports_a_server_that_does_not_come_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(simulated_tab, "AWAY_SECONDS", 0.5)
    server = Server(tmp_path / "data").start()

    def kill_under_way():
        with closing(sqlite3.connect(f"file:{server.data_dir}/realtime_kv.db?mode=ro", uri=True)) as db:
            while db.execute("SELECT count(*) FROM log").fetchone()[0] < 10:
                time.sleep(0.01)
        server.kill()

    killer = threading.Thread(target=kill_under_way)
    killer.start()
    try:
        # longer than the kill takes
        assert main(server.url, 60, 2) == 1
    finally:
        server.close()
        killer.join()
    said = capsys.readouterr().err
    assert "was lost for good" in said
    assert "could not be cleaned up" in said


def test_doctor_suggests_the_start_command_if_no_server_answers():
    done = doctor(NOBODY)
    assert done.returncode == 1
    assert "No server answers at http://127.0.0.1:9" in done.stderr
    assert "python3 run.py" in done.stderr


def test_doctor_uses_the_configured_address_by_default(server):
    done = doctor("--seconds", "0.5", RKV_PORT=str(server.port))
    assert f"Examining {server.url}" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("url", ["localhost:5000", "ftp://kv.example.org", "http://", "http://host:x"])
def test_doctor_rejects_an_invalid_address(url):
    done = doctor(url)
    assert done.returncode == 1
    assert "is not an address" in done.stderr


def test_doctor_reports_a_refused_sign_up_with_the_servers_error(tmp_path):
    server = Server(tmp_path / "data", RKV_RATE_LIMITS="on").start()
    used, over = threading.Event(), threading.Event()

    def use_up(worker):
        """Use up the budget until the doctor has been refused: it refills while the doctor starts."""
        with requests.Session() as session:
            for n in itertools.count():
                if over.is_set():
                    return
                account = {"username": f"scratch-{worker}-{n}", "password": PASSWORD}
                if session.post(f"{server.url}/api/v1/sign_up", json=account, timeout=DEADLINE).status_code == 429:
                    used.set()

    with ThreadPoolExecutor(2) as pool:
        for worker in range(2):
            pool.submit(use_up, worker)
        try:
            assert used.wait(DEADLINE)
            # the doctor can be the first to ask after a refill, but not several times in a row
            done = next((done for _ in range(4) if (done := doctor(server.url)).returncode), None)
        finally:
            over.set()
            server.close()
    assert done is not None
    assert done.returncode == 1
    assert "rate_limited" in done.stderr
    assert "Wait, and run it again" in done.stderr


def test_the_ledger_detects_lost_duplicate_and_unknown_writes():
    ledger = Results()
    ledger.acknowledged(1, [{"op": "set", "key": "a", "value": 1}])
    ledger.acknowledged(3, [{"op": "delete", "key": "a"}])
    ledger.acknowledged(3, [{"op": "set", "key": "b", "value": 1}])
    assert any("two writes" in problem for problem in ledger.problems)
    ledger.check_revisions(2)
    assert any("no acknowledged write (2)" in problem for problem in ledger.problems)
    assert any("missing from the space" in problem for problem in ledger.problems)


def test_the_ledger_computes_the_entries_that_every_replica_must_hold():
    ledger = Results()
    ledger.acknowledged(3, [{"op": "delete", "key": "a"}, {"op": "set", "key": "b", "value": 2}])
    ledger.acknowledged(1, [{"op": "set", "key": "a", "value": 1}])
    ledger.acknowledged(2, [{"op": "set", "key": "b", "value": 1}])
    assert ledger.expected() == {"b": (3, 2)}
