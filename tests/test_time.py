"""Clocks that are set back or forward while an application runs, and between two runs."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.core.retention.clock_guard import EXPIRY_HOLD, RETENTION_HOLD, ClockGuard, boot_id
from realtime_kv.errors import LinkExpired, RateLimited, Unauthenticated
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.services import Services
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend
from tests.core.services import Person
from tests.running import ROOT, Server
from tests.storage.sqlite.harness import rows
from tests.test_commands import run

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
YEAR = 365 * DAY
PASSWORD = "correct horse battery"


class Time:
    """A wall clock and a monotonic clock: time passes for both, and only the wall clock can be set."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000_000, 5_000

    def passes(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms

    def is_set(self, by: int) -> None:
        self.wall += by


class Running:
    """An application on a data folder, run inline."""

    def __init__(self, folder: Path, time: Time, **settings: Any) -> None:
        app = create_app(Config(data_dir=folder, **settings), clock=lambda: time.wall, steady=lambda: time.steady)
        self.services, self.stopped = app.extensions["realtime_kv"], False
        assert isinstance(self.services, Services)

    def wait(self, future: Any) -> Any:
        return self.services.runtime.wait(future, 10)

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.services.stop()

    def person(self, token: str) -> Person:
        return Person(self.services.store, self.wait(self.services.accounts.caller(token, "http", presented="cookie")))

    def work(self) -> None:
        """Run all periodic work."""
        self.services.clock_guard.look()
        self.services.operations.look()
        self.services.expiry.look()
        self.wait(self.services.accounts.end_expired())

    def backups(self) -> list[str]:
        return [file.name for file in self.services.operations.backups.files()]

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        return rows(self.services.store, sql, *parameters)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def start(tmp_path: Path, time: Time) -> Iterator[Callable[..., Running]]:
    """Start an application on the same folder, after stopping the previous one."""
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        for before in running:
            before.stop()
        running[:] = [Running(tmp_path / "data", time, **settings)]
        return running[0]

    yield start
    for app in running:
        app.stop()


# durations


def test_setting_the_clock_back_delays_no_sign_in_or_sign_up(start, time):
    app, here = start(), ClientInfo("curl", "192.0.2.7")
    app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD, here))
    app.wait(app.services.accounts.access.sign_in("Alice", PASSWORD, here))
    for by in (-HOUR, -YEAR):
        time.is_set(by)
        app.wait(app.services.accounts.access.sign_in("Alice", PASSWORD, here))
        app.wait(app.services.accounts.access.sign_up(f"Other{-by}", PASSWORD, here))


def test_setting_the_clock_forward_ends_no_rate_limit_delay(start, time):
    app = start()
    limits = app.services.accounts.context.limits
    for _ in range(5):
        limits.sign_in("192.0.2.7", "alice")
    time.is_set(YEAR)
    with pytest.raises(RateLimited):
        limits.sign_in("192.0.2.7", "alice")


def test_the_export_budget_refills_by_elapsed_time_and_not_by_clock_jumps(start, time):
    app = start()
    budget = app.services.transfer._budget
    budget.charge("user", 2 * budget._most)
    wait = budget.wait("user")
    for by in (-YEAR, 2 * YEAR):
        time.is_set(by)
        assert budget.wait("user") == wait
    time.passes(wait * 1000)
    assert budget.wait("user") == 0


def test_per_second_metrics_do_not_depend_on_the_wall_clock(start, time):
    app = start()
    metrics_history = app.services.metrics_history
    time.passes(10_000)
    app.services.store.latency.verbs += 100
    time.is_set(-HOUR)
    assert app.wait(metrics_history.now()).figures["verbs_per_second"] == 10


# jumps


def test_a_clock_jump_suspends_purge_expiry_and_session_end_until_confirmed(start, time, caplog):
    app = start(backup_hours=24, backup_keep=2)
    alice = app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    app.wait(app.services.accounts.access.sign_up("Gone", PASSWORD))
    app.wait(app.services.accounts.administration.delete(CLI, "Gone"))
    person = app.person(alice.token)
    person.set("a", 1)
    person.set("a", 2)
    person.set("trashed", 1)
    person.delete("trashed")
    person.set("short", 1, ttl=60)
    app.work()
    backups = app.backups()
    time.is_set(YEAR)
    # so that a later backup would have another name
    time.passes(1000)
    with pytest.raises(Unauthenticated):
        app.person(alice.token)
    app.work()
    app.wait(app.services.operations.purge(CLI))
    assert "The system clock jumped forward by 365 d" in caplog.text
    assert app.rows("SELECT deleted_at FROM entries WHERE key = 'short'") == [(None,)]
    assert app.rows("SELECT count(*) FROM users") == [(2,)]
    assert app.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(1,)]
    assert app.backups() == backups
    time.is_set(-YEAR)
    app.work()
    assert app.services.clock_guard.jump() is None
    assert [entry["key"] for entry in app.person(alice.token).trash()["entries"]] == ["trashed"]
    assert len(person.history(key="a")["writes"]) == 2
    # elapsed time counts, regardless of clock changes in between
    time.passes(DAY + MINUTE)
    app.work()
    assert len(app.backups()) == 2
    assert app.rows("SELECT deleted_at IS NULL FROM entries WHERE key = 'short'") == [(0,)]


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_backups_after_a_jump_rotate_separately_and_keep_the_earlier_ones(start, time, by):
    app = start(backup_hours=1, backup_keep=2)
    for _ in range(3):
        app.work()
        time.passes(HOUR)
    before = app.backups()
    assert len(before) == 2
    time.is_set(by)
    made = set()
    for _ in range(5):
        app.work()
        made |= set(app.backups()) - set(before)
        time.passes(HOUR)
    assert set(before) < set(app.backups())
    assert len(made) == 5 and len(app.backups()) == 4
    app.wait(app.services.operations.confirm_time(CLI))
    app.work()
    assert len(app.backups()) == 2


def test_a_restore_after_a_jump_ends_no_session_by_the_new_time(start, time, tmp_path):
    app = start()
    alice = app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    app.wait(app.services.operations.backup(tmp_path / "copy.db", CLI))
    time.is_set(YEAR)
    app.wait(app.services.operations.restore(tmp_path / "copy.db", CLI))
    time.is_set(-YEAR)
    assert app.person(alice.token).caller.session == alice.session


def test_a_restore_does_not_bring_back_a_confirmed_jump(start, time, tmp_path):
    app = start()
    app.wait(app.services.operations.backup(tmp_path / "copy.db", CLI))
    time.is_set(YEAR)
    assert app.wait(app.services.operations.confirm_time(CLI)) is True
    app.wait(app.services.operations.restore(tmp_path / "copy.db", CLI))
    # the state that a start after a crash would use, in the same boot and in another
    engine = connections.open_engine(tmp_path / "data" / "realtime_kv.db")
    for boot in (boot_id(), None):
        guard = ClockGuard(SqliteBackend(engine), lambda: time.wall, lambda: time.steady, lambda boot=boot: boot)
        assert guard.jump() is None
    engine.dispose()


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_a_start_with_a_wrong_clock_loses_nothing_and_backups_go_on(start, time, by):
    app = start(backup_hours=24)
    alice = app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    person = app.person(alice.token)
    person.set("trashed", 1)
    person.delete("trashed")
    app.work()
    app.stop()
    # a start after a reboot with a wrong clock
    time.is_set(by)
    time.steady = 100
    app = start(backup_hours=24)
    app.work()
    assert app.services.clock_guard.jump() is not None
    app.stop()
    time.is_set(-by)
    time.steady = 100
    app = start(backup_hours=24)
    app.work()
    assert app.services.clock_guard.jump() is None
    assert [entry["key"] for entry in app.person(alice.token).trash()["entries"]] == ["trashed"]
    made = app.backups()
    time.passes(DAY + MINUTE)
    app.work()
    assert app.backups()[: len(made)] == made and len(app.backups()) == len(made) + 1
    last = app.wait(app.services.operations.last_purge())
    assert last is not None and last.at == time.wall


def test_a_jump_is_accepted_after_an_hour_for_expiry_and_a_day_for_retention(start, time):
    guard = start().services.clock_guard
    line = time.wall
    time.is_set(YEAR)
    assert (guard.expiry_now(), guard.retention_now()) == (line, line)
    time.passes(EXPIRY_HOLD)
    assert (guard.expiry_now(), guard.retention_now()) == (time.wall, line + EXPIRY_HOLD)
    # a restart changes none of this
    guard = start().services.clock_guard
    assert (guard.expiry_now(), guard.retention_now()) == (time.wall, line + EXPIRY_HOLD)
    # another jump starts the periods again
    time.is_set(DAY)
    assert guard.expiry_now() == line + EXPIRY_HOLD
    time.passes(RETENTION_HOLD - 1)
    assert guard.retention_now() == line + EXPIRY_HOLD + RETENTION_HOLD - 1
    time.passes(1)
    assert guard.retention_now() == time.wall and guard.jump() is None


def test_a_confirmed_time_takes_effect_immediately(start, time):
    app = start()
    app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    time.is_set(YEAR)
    app.work()
    assert app.wait(app.services.operations.confirm_time(CLI)) is True
    app.work()
    assert app.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]
    assert app.rows("SELECT detail FROM audit WHERE action = 'time_confirmed'") == [(f'{{"by":{YEAR}}}',)]
    assert app.wait(app.services.operations.confirm_time(CLI)) is False


@pytest.mark.parametrize(
    ("off", "jumps"), [(0, False), (2 * DAY, False), (3 * DAY + MINUTE, True), (21 * DAY, True), (-HOUR, True)]
)
def test_a_short_downtime_is_accepted_after_a_reboot(start, time, off, jumps):
    start().stop()
    time.is_set(off)
    time.steady = 10
    guard = start().services.clock_guard
    assert (guard.jump() is not None) is jumps
    # after a day, a long downtime is believed as well
    time.passes(RETENTION_HOLD)
    assert guard.jump() is None and guard.retention_now() == time.wall


def test_a_downtime_of_any_length_is_accepted_without_a_reboot(start, time):
    start().stop()
    time.passes(60 * DAY)
    assert start().services.clock_guard.jump() is None


def test_a_fast_clock_is_detected_and_small_corrections_are_accepted(start, time):
    guard = start().services.clock_guard
    for turn in range(1000):
        time.passes(MINUTE)
        time.is_set(900 if turn % 2 else -300)
        assert guard.jump() is None
    for _ in range(100):
        time.passes(MINUTE)
        time.is_set(MINUTE)
        guard.look()
    assert guard.jump() is not None


def test_sessions_and_links_created_in_the_future_have_no_longer_lifetime(start, time):
    app = start()
    administration = app.services.accounts.administration
    app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    time.is_set(YEAR)
    begun = app.wait(app.services.accounts.access.sign_in("Alice", PASSWORD))
    link = app.wait(administration.recovery_link(CLI, "Alice"))
    time.is_set(-YEAR)
    app.work()
    with pytest.raises(LinkExpired):
        app.wait(app.services.accounts.recovery.by_link(link.secret, "another long passphrase"))
    time.passes(DAY)
    assert app.person(begun.token).caller.session == begun.session
    time.passes(31 * DAY)
    with pytest.raises(Unauthenticated):
        app.person(begun.token)


def test_a_session_used_while_the_clock_is_behind_ends_no_earlier(start, time):
    app = start()
    alice = app.wait(app.services.accounts.access.sign_up("Alice", PASSWORD))
    time.is_set(-YEAR)
    app.person(alice.token)
    app.wait(app.services.accounts.flush_last_seen())
    app.work()
    time.is_set(YEAR)
    assert app.person(alice.token).caller.session == alice.session


def test_future_timestamps_of_the_last_backup_and_purge_are_ignored(start, time):
    app = start(backup_hours=24, backup_keep=2)
    ahead = time.wall + YEAR
    app.services.operations.backups.folder.mkdir(parents=True)
    (app.services.operations.backups.folder / "backup-2031-01-01T00-00-00.000Z.db").write_bytes(b"")
    app.rows("INSERT INTO meta VALUES ('last_purge', ?) RETURNING name", f'{{"at":{ahead}}}')
    app.work()
    last = app.wait(app.services.operations.last_purge())
    assert last is not None and last.at == time.wall
    for _ in range(3):
        time.passes(DAY)
        app.work()
    assert [name[:11] for name in app.backups()] == ["backup-2027"] * 2


# a real server


def test_a_running_server_reports_a_clock_jump_and_resumes_once_confirmed(tmp_path):
    offset = tmp_path / "offset"
    offset.write_text("0")
    server = Server(tmp_path / "data", launcher=ROOT / "tests" / "shifted_clock.py", CLOCK_FILE=str(offset)).start()
    try:
        alice = server.sign_up("Alice")
        tab = alice.open_tab()
        tab.call("set", key="short", value=1, ttl=60)
        tab.next("change")
        offset.write_text(str(HOUR))
        said = server.wait_for("The system clock jumped forward by 1 h")
        assert "confirm-time" in said and "WARNING" in said
        # reads by the new time do no harm
        assert alice.http("get", key="short").status_code == 404
        with closing(sqlite3.connect(server.data_dir / "realtime_kv.db")) as db:
            assert db.execute("SELECT count(*) FROM entries WHERE deleted_at IS NOT NULL").fetchone() == (0,)
        done = run(server.data_dir, "confirm-time")
        assert done.returncode == 0 and "jumped forward by 1 h; the time is confirmed" in done.stdout
        assert tab.next("change")["writes"][0]["ops"][0]["key"] == "short"
        assert "has not jumped" in run(server.data_dir, "confirm-time").stdout
    finally:
        server.close()
