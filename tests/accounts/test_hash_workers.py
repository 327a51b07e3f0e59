"""The worker processes that hash passwords."""

import os
import signal
from pathlib import Path

import pytest

from realtime_kv.accounts.credentials import passwords
from realtime_kv.accounts.credentials.hash_workers import NICENESS, InProcessHasher, SubprocessHasher
from realtime_kv.errors import InvalidPassword, Unavailable

PASSWORD = 'correct "horse"\n battery ✓'


@pytest.fixture
def process():
    process = SubprocessHasher()
    yield process
    process.close()


def test_worker_process_hashes_match_in_process_hashes(process):
    for made in (
        process.digest(PASSWORD),
        process.judge_and_digest(PASSWORD, "alice"),
        InProcessHasher().digest(PASSWORD),
    ):
        assert passwords.matches(made, PASSWORD)
        assert process.matches(made, PASSWORD) is True
        assert process.matches(made, PASSWORD + " ") is False


def test_worker_process_refuses_weak_passwords_with_the_in_process_error(process):
    refusals = []
    for where in (process, InProcessHasher()):
        with pytest.raises(InvalidPassword) as refused:
            where.judge_and_digest("alicealice", "alice")
        refusals.append(refused.value.body())
    assert refusals[0] == refusals[1]
    assert process.judge_and_digest(PASSWORD, "alice")


def test_one_low_priority_process_serves_all_requests(process):
    process.digest(PASSWORD)
    pid = process._process.pid
    process.digest(PASSWORD)
    assert process._process.pid == pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


def test_killed_worker_process_is_replaced_transparently(process):
    made = process.digest(PASSWORD)
    first = process._process.pid
    process._process.kill()
    assert process.matches(made, PASSWORD)
    assert process._process.pid != first


def test_worker_process_that_cannot_start_raises_unavailable(process, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Unavailable):
        process.digest(PASSWORD)


def test_worker_process_ignores_sigint_and_sigterm_until_the_server_closes_it(process):
    made = process.digest(PASSWORD)
    pid = process._process.pid
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert process.matches(made, PASSWORD) and process._process.pid == pid
    process.close()
    assert not Path(f"/proc/{pid}").exists()


def test_password_is_absent_from_the_command_line_and_the_environment(process):
    process.digest(PASSWORD)
    about = Path(f"/proc/{process._process.pid}")
    assert b"horse" not in (about / "cmdline").read_bytes() + (about / "environ").read_bytes()
