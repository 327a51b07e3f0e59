"""Purge, backup and restore of a whole application; only the clock is controlled by the tests."""

import os
import resource
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from realtime_kv.accounts import invitations as invitation_store
from realtime_kv.accounts.audit_log import CLI, SYSTEM
from realtime_kv.accounts.credentials import code_budget
from realtime_kv.accounts.credentials.sessions import NewSession
from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.errors import InvalidCredentials, Unauthenticated, Unavailable
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.sqlite.files.backup import InvalidBackup
from tests.core.services import Person, secret, state
from tests.storage.sqlite.harness import on_disk, rows

DAY = 24 * 60 * 60 * 1000
PASSWORD = "correct horse battery"


@dataclass
class Clock:
    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


class Home:
    """The complete application, run inline."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.clock, self.apps = folder, Clock(), []
        self.open(folder, **settings)

    def open(self, folder: Path, **settings: Any) -> None:
        app = create_app(Config(data_dir=folder, **settings), clock=self.clock)
        self.apps.append(app)
        self.services = app.extensions["realtime_kv"]
        self.store, self.accounts, self.operations = (
            self.services.store,
            self.services.accounts,
            self.services.operations,
        )

    def wait(self, future):
        return self.services.runtime.wait(future, 10)

    def sign_up(self, name: str) -> NewSession:
        return self.wait(self.accounts.access.sign_up(name, PASSWORD, ClientInfo("curl", "192.0.2.7")))

    def sign_in(self, name: str) -> NewSession:
        return self.wait(self.accounts.access.sign_in(name, PASSWORD, ClientInfo("curl")))

    def person(self, token: str) -> Person:
        return Person(self.store, self.wait(self.accounts.caller(token, "http", presented="cookie")))

    def rows(self, sql: str, *parameters: Any):
        return rows(self.store, sql, *parameters)

    def audit(self, action: str):
        return self.rows("SELECT actor, user_id, detail FROM audit WHERE action = ?", action)


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "data", rate_limits=False)
    yield home
    for app in home.apps:
        app.extensions["realtime_kv"].stop()


# the purge


def test_a_purged_account_leaves_no_data_and_its_id_is_never_reused(home, tmp_path):
    alice, charlie = home.sign_up("Alice"), home.sign_up("Charlie")
    gone = [secret() for _ in range(600)]
    alices, charlies = home.person(alice.token), home.person(charlie.token)
    for start in range(0, 600, 100):
        alices.batch(*[("set", f"k{n}", gone[n]) for n in range(start, start + 100)])
    alices.set("receipt", 1, op_id="alices-op")
    charlies.set("mine", "stays", op_id="charlies-op")
    before = state(charlies)
    home.wait(home.accounts.administration.recovery_link(CLI, "Charlie"))
    home.wait(home.accounts.administration.delete(CLI, "Charlie"))
    home.wait(home.accounts.administration.restore(CLI, "Charlie"))
    home.wait(home.accounts.administration.delete(CLI, "Alice"))
    home.clock.now += 13 * DAY
    assert home.wait(home.operations.purge()).users == 0
    home.clock.now += 2 * DAY
    done = home.wait(home.operations.purge())
    assert (done.users, done.clean) == (1, True)
    user = alice.user.id
    for table in ("entries", "receipts", "log", "spaces", "sessions", "links", "recovery_codes"):
        assert home.rows(f"SELECT * FROM {table} WHERE user_id = ?", user) == [], table
    assert home.rows("SELECT action FROM audit WHERE user_id = ?", user) == [("account_purged",)]
    assert on_disk(tmp_path, gone) == []
    assert state(home.person(home.sign_in("Charlie").token)) == before
    with pytest.raises(InvalidCredentials):
        home.sign_in("Alice")
    assert home.sign_up("Zoe").user.id > charlie.user.id
    home.wait(home.accounts.administration.delete(CLI, "Zoe"))
    home.clock.now += 15 * DAY
    home.wait(home.operations.purge())
    # the highest id of all is gone, and is not reused
    assert home.sign_up("Alice").user.id == charlie.user.id + 2


def test_an_account_that_the_purge_has_claimed_cannot_be_restored(home):
    alice = home.sign_up("Alice")
    home.rows("UPDATE users SET deleted_at = 1, deleted_by = 'purge' RETURNING id")
    with pytest.raises(InvalidCredentials):
        home.sign_in("Alice")
    home.wait(home.accounts.administration.restore(CLI, "Alice"))
    home.wait(home.accounts.administration.delete(CLI, "Alice"))
    assert home.rows("SELECT deleted_at, deleted_by FROM users") == [(1, "purge")]
    assert home.wait(home.operations.purge()).users == 1
    assert home.rows("SELECT id FROM users") == []
    assert alice.user.id == 1


def test_ended_sessions_and_links_are_kept_a_month_and_audit_entries_a_year(home):
    old, new = home.sign_up("Alice"), home.sign_in("Alice")
    home.wait(home.accounts.administration.recovery_link(CLI, "Alice"))
    home.wait(home.accounts.access.sign_out(old.token))
    home.clock.now += 29 * DAY
    done = home.wait(home.operations.purge())
    assert (done.sessions, done.audit) == (0, 0)
    home.clock.now += 2 * DAY
    newest = home.sign_in("Alice")
    # one session was signed out and the link was valid for half an hour; the other session was far from expiry
    assert home.wait(home.operations.purge()).sessions == 2
    assert home.rows("SELECT public_id FROM sessions ORDER BY id") == [(new.session,), (newest.session,)]
    home.clock.now += 335 * DAY
    done = home.wait(home.operations.purge())
    assert done.audit == 4
    assert {action for (action,) in home.rows("SELECT action FROM audit")} == {"sign_in", "purged"}
    with pytest.raises(Exception, match="only ever appended to"):
        home.rows("DELETE FROM audit RETURNING id")


def test_a_scheduled_purge_is_audited_with_its_counts_unless_all_are_zero(home):
    alice = home.person(home.sign_up("Alice").token)
    alice.set("a", 1)
    alice.delete("a")
    assert home.wait(home.operations.last_purge()) is None
    home.operations.look()
    first = home.wait(home.operations.last_purge())
    assert (first.at, first.keys) == (home.clock.now, 0)
    assert home.audit("purged") == []
    # maintenance that is not due does not run
    home.clock.now += 60 * 60 * 1000
    home.operations.look()
    assert home.wait(home.operations.last_purge()).at == first.at
    home.clock.now += 31 * DAY
    home.operations.look()
    last = home.wait(home.operations.last_purge())
    assert (last.at, last.keys, last.ops) == (home.clock.now, 1, 2)
    ((actor, user_id, detail),) = home.audit("purged")
    assert (actor, user_id) == ("system", None)
    assert '"keys":1,"ops":2' in detail
    home.wait(home.operations.purge(CLI))
    assert [actor for actor, _, _ in home.audit("purged")] == ["system", "cli"]


# backups


def test_a_backup_is_one_complete_private_file_and_restores_the_earlier_state(home, tmp_path):
    alice = home.sign_up("Alice")
    person = home.person(alice.token)
    person.set("a", "before")
    file = tmp_path / "elsewhere" / "copy.db"
    made = home.wait(home.operations.backup(file, CLI))
    assert made.bytes == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["copy.db"]
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    content = file.read_bytes()
    person.set("a", "after")
    person.set("b", "new")
    old = person.sync()
    done = home.wait(home.operations.restore(file, CLI))
    assert file.read_bytes() == content
    assert person.get("a")["value"] == "before"
    synced = person.sync(epoch=old["epoch"], since=1)
    assert (synced["reset"], synced["revision"], synced["keys"]) == (True, 1, 1)
    assert synced["epoch"] not in {None, old["epoch"]}
    assert home.store.epoch == synced["epoch"]
    assert person.set("c", 1)["revision"] == 2
    # the data from before the restore is not lost
    home.wait(home.operations.restore(Path(done.before), CLI))
    assert person.get("b")["value"] == "new"
    assert [actor for actor, *_ in home.audit("restored")] == ["cli", "cli"]
    assert [actor for actor, *_ in home.audit("backup_made")] == ["cli"]


def test_a_backup_includes_unflushed_writes(home, tmp_path):
    person = home.person(home.sign_up("Alice").token)
    for n in range(50):
        person.set("a", n)

    home.wait(home.operations.backup(tmp_path / "copy.db"))
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT max(revision) FROM log").fetchone() == (50,)
    person.delete("a")
    home.wait(home.operations.restore(tmp_path / "copy.db", CLI))
    assert (person.get("a")["value"], person.sync()["revision"]) == (49, 50)


def test_a_restore_revives_no_session_link_or_recovery_code(home, tmp_path):
    admin = home.accounts.administration
    stays, ends = home.sign_up("Alice"), home.sign_in("Alice")
    home.wait(admin.recovery_link(CLI, "Alice"))
    home.wait(home.operations.backup(tmp_path / "copy.db"))
    home.wait(home.accounts.access.sign_out(ends.token))
    later = home.sign_in("Alice")
    home.rows("UPDATE recovery_codes SET used_at = 5 WHERE rowid = 1 RETURNING rowid")
    charlie = home.sign_up("Charlie")
    home.wait(home.operations.restore(tmp_path / "copy.db", CLI))
    assert home.person(stays.token).caller.session == stays.session
    for over in (ends, later, charlie):
        with pytest.raises(Unauthenticated):
            home.person(over.token)
    assert home.rows("SELECT count(*) FROM links WHERE used_at IS NULL") == [(0,)]
    assert home.rows("SELECT count(*) FROM recovery_codes WHERE used_at IS NULL") == [(9,)]
    # ids of later users are not reused, and the audit log keeps the events since the backup
    assert home.sign_up("Zoe").user.id == charlie.user.id + 1
    assert ("sign_up",) in home.rows("SELECT action FROM audit WHERE user_id = ?", charlie.user.id)


def test_a_restore_revives_no_invitation_and_keeps_the_wrong_code_count(home, tmp_path):
    alice, invitations = home.sign_up("Alice"), home.accounts.invitations
    made = [home.wait(invitations.create(CLI, note)) for note in ("revoked", "used", "open")]
    home.wait(home.operations.backup(tmp_path / "copy.db", CLI))

    def since(connection):
        now = home.clock.now
        invitation_store.use(connection, made[1].id, alice.user.id, now)
        code_budget.record_failure(connection, alice.user.id, "10.0.0.1", now)
        code_budget.record_failure(connection, alice.user.id, "10.0.0.1", now)

    home.wait(invitations.revoke(CLI, made[0].id))
    home.wait(home.accounts.context.write(since))
    home.wait(home.operations.restore(tmp_path / "copy.db", CLI))
    shown = {invitation.note: invitation.status for invitation in home.wait(invitations.list())}
    assert shown == {"revoked": "revoked", "used": "revoked", "open": "open"}
    read = home.accounts.context.read
    assert home.wait(read(lambda connection: code_budget.of_user(connection, alice.user.id))).failures == 2
    # invitations are removed a month after they end
    home.clock.now += 40 * DAY
    home.wait(home.operations.purge())
    assert home.wait(invitations.list()) == []


def test_a_backup_of_another_server_restores_its_data_and_ends_all_sessions(home, tmp_path):
    there = home.sign_up("Alice")
    home.person(there.token).set("a", 1)
    home.wait(home.operations.backup(tmp_path / "copy.db"))
    home.clock.now += 1
    home.open(tmp_path / "other")
    here = home.sign_up("Charlie")
    assert here.user.id == there.user.id
    home.wait(home.operations.restore(tmp_path / "copy.db", CLI))
    for token in (there.token, here.token):
        with pytest.raises(Unauthenticated):
            home.person(token)
    assert home.person(home.sign_in("Alice").token).get("a")["value"] == 1


def test_an_invalid_backup_file_is_refused_and_changes_nothing(home, tmp_path):
    person = home.person(home.sign_up("Alice").token)
    person.set("a", 1)
    before = state(person), home.store.epoch
    home.wait(home.operations.backup(tmp_path / "good.db"))
    good = (tmp_path / "good.db").read_bytes()
    with closing(sqlite3.connect(tmp_path / "stranger.db")) as db:
        db.execute("CREATE TABLE users (id)")
    files = {
        "empty.db": b"",
        "text.db": b"not a database at all, however long it may be " * 100,
        "half.db": good[: len(good) // 2],
        "torn.db": good[:8192] + os.urandom(8192) + good[16384:],
        "newer.db": None,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(good if content is None else content)
    with closing(sqlite3.connect(tmp_path / "newer.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    for name in (*files, "stranger.db", "missing.db", "."):
        with pytest.raises(InvalidBackup):
            home.wait(home.operations.restore(tmp_path / name, CLI))
    assert (state(person), home.store.epoch) == before
    assert [path.name for path in home.operations.backups.folder.iterdir()] == []


def test_a_backup_never_overwrites_the_servers_own_files(home, tmp_path):
    for name in ("realtime_kv.db", "secret_key", ".", "../data/realtime_kv.db-wal"):
        with pytest.raises(InvalidBackup):
            home.wait(home.operations.backup(home.folder / name, CLI))
    home.sign_up("Alice")


def test_scheduled_backups_run_once_per_interval_and_the_oldest_are_deleted(tmp_path):
    home = Home(tmp_path / "data", backup_hours=24, backup_keep=3)
    names = []
    for _ in range(5):
        home.operations.look()
        home.operations.look()
        names.append(home.operations.backups.files()[-1].name)
        home.clock.now += DAY
    assert [path.name for path in home.operations.backups.files()] == names[-3:]
    assert len(set(names)) == 5
    assert home.audit("backup_made")[0][0] == SYSTEM.kind
    home.services.stop()


def test_a_backup_overwrites_an_existing_file_only_with_force(home, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("something else")
    with pytest.raises(InvalidBackup, match="exists already"):
        home.wait(home.operations.backup(file))
    assert file.read_text() == "something else"
    home.wait(home.operations.backup(file, force=True))
    assert file.read_bytes().startswith(b"SQLite format 3")


def test_a_restore_on_a_full_disk_reports_the_disk_and_changes_nothing(home, tmp_path):
    person = home.person(home.sign_up("Alice").token)
    for n in range(30):
        person.set(f"k{n}", "x" * 60_000)
    home.wait(home.operations.backup(tmp_path / "copy.db"))
    before = person.list(limit=1000)["entries"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # simulate a full disk: files grow to 1 MiB at most
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(Unavailable, match=r"The restore was not done: .* Free some space"):
            home.wait(home.operations.restore(tmp_path / "copy.db", CLI))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert person.list(limit=1000)["entries"] == before
    assert list(home.operations.backups.folder.glob("*restor*")) == []
