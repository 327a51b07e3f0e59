"""A nearly full disk and a missed VACUUM: the server keeps working, gives the reason, and catches up."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.errors import Unavailable
from realtime_kv.maintenance.reports import PurgeReport
from tests.core.services import secret
from tests.running import ROOT
from tests.storage.sqlite.harness import on_disk
from tests.test_maintenance import DAY, Home

ALWAYS_LOW = 10**15


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "data", rate_limits=False)
    yield home
    for app in home.apps:
        app.extensions["realtime_kv"].stop()


def vacuum_due(home):
    return home.rows("SELECT value FROM meta WHERE name = 'vacuum_due'")


def trash(home, values, *, days=31):
    """Create a user with these values, deleted `days` days ago."""
    alice = home.person(home.sign_up("alice").token)
    for start in range(0, len(values), 100):
        alice.batch(*[("set", f"k{start + n}", value) for n, value in enumerate(values[start : start + 100])])
    alice.delete_prefix("")
    home.clock.now += days * DAY


# a process that is killed when it is about to rewrite the file
KILLED = """
import os, signal, sys
from pathlib import Path
from realtime_kv.app import create_app
from realtime_kv.config import Config

services = create_app(Config(data_dir=Path(sys.argv[1])), clock=lambda: int(sys.argv[2])).extensions["realtime_kv"]
services.store.writer.run_exclusive = lambda fn: os.kill(os.getpid(), signal.SIGKILL)
services.operations.purge()
"""


def kill_before_vacuum(home, folder):
    """Purge the same data in a process that dies between the removal and the rewrite."""
    home.services.stop()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder / "data"), str(home.clock.now)], cwd=ROOT, check=False
    )
    assert done.returncode == -9
    home.open(folder / "data", rate_limits=False)


def test_the_next_purge_runs_a_vacuum_that_a_kill_prevented(home, tmp_path):
    gone = [secret() for _ in range(300)]
    trash(home, gone)
    kill_before_vacuum(home, tmp_path)
    assert vacuum_due(home) == [("purge",)]
    done = home.wait(home.operations.purge(CLI))
    assert (done.keys, done.rewritten, done.clean) == (0, True, True)
    assert on_disk(tmp_path, gone) == []
    assert vacuum_due(home) == []
    # and afterwards nothing is left to do
    assert home.wait(home.operations.purge(CLI)).rewritten is False


def test_the_maintenance_check_runs_a_missed_vacuum_without_another_purge(home, tmp_path):
    gone = [secret() for _ in range(300)]
    trash(home, gone)
    kill_before_vacuum(home, tmp_path)
    # pretend that the last purge was a moment ago
    text = msgspec.json.encode(PurgeReport(at=home.clock.now)).decode()
    home.rows("INSERT INTO meta (name, value) VALUES ('last_purge', ?) RETURNING name", text)
    home.operations.look()
    assert vacuum_due(home) == []
    assert on_disk(tmp_path, gone) == []
    assert home.wait(home.operations.last_purge()).keys == 0


def test_the_next_purge_erases_a_trimmed_history_from_the_disk(tmp_path):
    home = Home(tmp_path / "data", rate_limits=False, history_bytes=100_000)
    alice = home.person(home.sign_up("alice").token)
    gone = [secret() for _ in range(300)]
    for value in gone:
        alice.set("k", value * 20)
        alice.list()
    assert vacuum_due(home) == [("trim",)]
    home.wait(home.operations.purge(CLI))
    # the kept portion may still hold the last trimmed values
    assert on_disk(tmp_path, gone[:150]) == []
    assert vacuum_due(home) == []
    home.services.stop()


def test_a_nearly_full_disk_starts_an_early_purge_but_not_again_soon(home):
    home.wait(home.operations.purge(CLI))
    trash_some(home)
    home.operations.look_for_room()
    assert home.rows("SELECT count(*) FROM entries") == [(1,)]
    home.store.reserve.setting = ALWAYS_LOW
    home.operations.look_for_room()
    state = home.wait(home.operations.state())
    assert (state.last_early_purge.keys, state.last_early_purge.early) == (1, True)
    at = state.last_early_purge.at
    home.operations.look_for_room()
    assert home.wait(home.operations.state()).last_early_purge.at == at


def test_early_purges_of_a_full_trash_leave_the_vacuum_to_the_next_full_purge(tmp_path, monkeypatch):
    monkeypatch.setattr("realtime_kv.maintenance.service.EARLY_AGAIN_SECONDS", 0)
    home = Home(tmp_path / "data", rate_limits=False, trash_bytes=100_000)
    trash(home, [secret() for _ in range(10)])
    assert home.wait(home.operations.purge(CLI)).rewritten
    bob = home.person(home.sign_up("bob").token)
    for n in range(3):
        bob.batch(*[("set", f"{n} {i}", "x" * 1000) for i in range(90)])
        bob.delete_prefix("")
        # a list brings the tables up to date
        bob.list()
        home.operations.look()
        last = home.wait(home.operations.state()).last_early_purge
        assert (last.keys > 30, last.rewritten, last.needs) == (True, False, 0)
        # nor does the next check
        home.operations.look()
        assert vacuum_due(home) == [("purge",)]
    assert home.wait(home.operations.purge(CLI)).rewritten
    assert vacuum_due(home) == []
    home.services.stop()


def trash_some(home):
    """Create something for a purge to remove, although the last purge was a moment ago."""
    bob = home.person(home.sign_up("bob").token)
    bob.set("k", 1)
    bob.delete("k")
    home.rows("UPDATE entries SET deleted_at = 1 RETURNING key")


def test_a_nearly_full_disk_is_reported_and_sign_in_and_maintenance_still_work(home, tmp_path):
    token = home.sign_up("alice").token
    alice = home.person(token)
    alice.set("k", 1)
    home.store.reserve.setting = ALWAYS_LOW
    client = home.apps[0].test_client()
    ready = client.get("/readyz")
    assert (ready.status_code, "disk is nearly full" in ready.text) == (503, True)
    assert client.get("/healthz").status_code == 200
    with pytest.raises(Unavailable, match="nearly full"):
        home.sign_up("bob")
    again = home.sign_in("alice").token
    assert home.person(again).get("k")["value"] == 1
    home.wait(home.accounts.access.sign_out(again))
    assert home.wait(home.operations.purge(CLI)).clean
    assert Path(home.wait(home.operations.backup(tmp_path / "elsewhere.db", CLI)).file).stat().st_size > 0
    assert len(home.audit("backup_made")) == 1
    assert alice.delete("k")["existed"] is True
    home.store.reserve.setting = 0
    assert client.get("/readyz").status_code in (200, 503)
    assert home.sign_up("bob")
