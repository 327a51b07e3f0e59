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


class Application:
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
def application(tmp_path):
    application = Application(tmp_path / "data", rate_limits=False)
    yield application
    for app in application.apps:
        app.extensions["realtime_kv"].stop()


# the purge


def test_a_purged_account_leaves_no_data_and_its_id_is_never_reused(application, tmp_path):
    alice, charlie = application.sign_up("Alice"), application.sign_up("Charlie")
    gone = [secret() for _ in range(600)]
    alices, charlies = application.person(alice.token), application.person(charlie.token)
    for start in range(0, 600, 100):
        alices.batch(*[("set", f"k{n}", gone[n]) for n in range(start, start + 100)])
    alices.set("receipt", 1, op_id="alices-op")
    charlies.set("mine", "stays", op_id="charlies-op")
    before = state(charlies)
    application.wait(application.accounts.administration.recovery_link(CLI, "Charlie"))
    application.wait(application.accounts.administration.delete(CLI, "Charlie"))
    application.wait(application.accounts.administration.restore(CLI, "Charlie"))
    application.wait(application.accounts.administration.delete(CLI, "Alice"))
    application.clock.now += 13 * DAY
    assert application.wait(application.operations.purge()).users == 0
    application.clock.now += 2 * DAY
    done = application.wait(application.operations.purge())
    assert (done.users, done.clean) == (1, True)
    user = alice.user.id
    for table in ("entries", "receipts", "log", "spaces", "sessions", "links", "recovery_codes"):
        assert application.rows(f"SELECT * FROM {table} WHERE user_id = ?", user) == [], table
    assert application.rows("SELECT action FROM audit WHERE user_id = ?", user) == [("account_purged",)]
    assert on_disk(tmp_path, gone) == []
    assert state(application.person(application.sign_in("Charlie").token)) == before
    with pytest.raises(InvalidCredentials):
        application.sign_in("Alice")
    assert application.sign_up("Zoe").user.id > charlie.user.id
    application.wait(application.accounts.administration.delete(CLI, "Zoe"))
    application.clock.now += 15 * DAY
    application.wait(application.operations.purge())
    # the highest id of all is gone, and is not reused
    assert application.sign_up("Alice").user.id == charlie.user.id + 2


def test_an_account_that_the_purge_has_claimed_cannot_be_restored(application):
    alice = application.sign_up("Alice")
    application.rows("UPDATE users SET deleted_at = 1, deleted_by = 'purge' RETURNING id")
    with pytest.raises(InvalidCredentials):
        application.sign_in("Alice")
    application.wait(application.accounts.administration.restore(CLI, "Alice"))
    application.wait(application.accounts.administration.delete(CLI, "Alice"))
    assert application.rows("SELECT deleted_at, deleted_by FROM users") == [(1, "purge")]
    assert application.wait(application.operations.purge()).users == 1
    assert application.rows("SELECT id FROM users") == []
    assert alice.user.id == 1


def test_ended_sessions_and_links_are_kept_a_month_and_audit_entries_a_year(application):
    old, new = application.sign_up("Alice"), application.sign_in("Alice")
    application.wait(application.accounts.administration.recovery_link(CLI, "Alice"))
    application.wait(application.accounts.access.sign_out(old.token))
    application.clock.now += 29 * DAY
    done = application.wait(application.operations.purge())
    assert (done.sessions, done.audit) == (0, 0)
    application.clock.now += 2 * DAY
    newest = application.sign_in("Alice")
    # one session was signed out and the link was valid for half an hour; the other session was far from expiry
    assert application.wait(application.operations.purge()).sessions == 2
    assert application.rows("SELECT public_id FROM sessions ORDER BY id") == [(new.session,), (newest.session,)]
    application.clock.now += 335 * DAY
    done = application.wait(application.operations.purge())
    assert done.audit == 4
    assert {action for (action,) in application.rows("SELECT action FROM audit")} == {"sign_in", "purged"}
    with pytest.raises(Exception, match="only ever appended to"):
        application.rows("DELETE FROM audit RETURNING id")


def test_a_scheduled_purge_is_audited_with_its_counts_unless_all_are_zero(application):
    alice = application.person(application.sign_up("Alice").token)
    alice.set("a", 1)
    alice.delete("a")
    assert application.wait(application.operations.last_purge()) is None
    application.operations.look()
    first = application.wait(application.operations.last_purge())
    assert (first.at, first.keys) == (application.clock.now, 0)
    assert application.audit("purged") == []
    # maintenance that is not due does not run
    application.clock.now += 60 * 60 * 1000
    application.operations.look()
    assert application.wait(application.operations.last_purge()).at == first.at
    application.clock.now += 31 * DAY
    application.operations.look()
    last = application.wait(application.operations.last_purge())
    assert (last.at, last.keys, last.ops) == (application.clock.now, 1, 2)
    ((actor, user_id, detail),) = application.audit("purged")
    assert (actor, user_id) == ("system", None)
    assert '"keys":1,"ops":2' in detail
    application.wait(application.operations.purge(CLI))
    assert [actor for actor, _, _ in application.audit("purged")] == ["system", "cli"]


# backups


def test_a_backup_is_one_complete_private_file_and_restores_the_earlier_state(application, tmp_path):
    alice = application.sign_up("Alice")
    person = application.person(alice.token)
    person.set("a", "before")
    file = tmp_path / "elsewhere" / "copy.db"
    made = application.wait(application.operations.backup(file, CLI))
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
    done = application.wait(application.operations.restore(file, CLI))
    assert file.read_bytes() == content
    assert person.get("a")["value"] == "before"
    synced = person.sync(epoch=old["epoch"], since=1)
    assert (synced["reset"], synced["revision"], synced["keys"]) == (True, 1, 1)
    assert synced["epoch"] not in {None, old["epoch"]}
    assert application.store.epoch == synced["epoch"]
    assert person.set("c", 1)["revision"] == 2
    # the data from before the restore is not lost
    application.wait(application.operations.restore(Path(done.before), CLI))
    assert person.get("b")["value"] == "new"
    assert [actor for actor, *_ in application.audit("restored")] == ["cli", "cli"]
    assert [actor for actor, *_ in application.audit("backup_made")] == ["cli"]


def test_a_backup_includes_unflushed_writes(application, tmp_path):
    person = application.person(application.sign_up("Alice").token)
    for n in range(50):
        person.set("a", n)

    application.wait(application.operations.backup(tmp_path / "copy.db"))
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT max(revision) FROM log").fetchone() == (50,)
    person.delete("a")
    application.wait(application.operations.restore(tmp_path / "copy.db", CLI))
    assert (person.get("a")["value"], person.sync()["revision"]) == (49, 50)


def test_a_restore_revives_no_session_link_or_recovery_code(application, tmp_path):
    admin = application.accounts.administration
    stays, ends = application.sign_up("Alice"), application.sign_in("Alice")
    application.wait(admin.recovery_link(CLI, "Alice"))
    application.wait(application.operations.backup(tmp_path / "copy.db"))
    application.wait(application.accounts.access.sign_out(ends.token))
    later = application.sign_in("Alice")
    application.rows("UPDATE recovery_codes SET used_at = 5 WHERE rowid = 1 RETURNING rowid")
    charlie = application.sign_up("Charlie")
    application.wait(application.operations.restore(tmp_path / "copy.db", CLI))
    assert application.person(stays.token).caller.session == stays.session
    for over in (ends, later, charlie):
        with pytest.raises(Unauthenticated):
            application.person(over.token)
    assert application.rows("SELECT count(*) FROM links WHERE used_at IS NULL") == [(0,)]
    assert application.rows("SELECT count(*) FROM recovery_codes WHERE used_at IS NULL") == [(9,)]
    # ids of later users are not reused, and the audit log keeps the events since the backup
    assert application.sign_up("Zoe").user.id == charlie.user.id + 1
    assert ("sign_up",) in application.rows("SELECT action FROM audit WHERE user_id = ?", charlie.user.id)


def test_a_restore_revives_no_invitation_and_keeps_the_wrong_code_count(application, tmp_path):
    alice, invitations = application.sign_up("Alice"), application.accounts.invitations
    made = [application.wait(invitations.create(CLI, note)) for note in ("revoked", "used", "open")]
    application.wait(application.operations.backup(tmp_path / "copy.db", CLI))

    def since(connection):
        now = application.clock.now
        invitation_store.use(connection, made[1].id, alice.user.id, now)
        code_budget.record_failure(connection, alice.user.id, "10.0.0.1", now)
        code_budget.record_failure(connection, alice.user.id, "10.0.0.1", now)

    application.wait(invitations.revoke(CLI, made[0].id))
    application.wait(application.accounts.context.write(since))
    application.wait(application.operations.restore(tmp_path / "copy.db", CLI))
    shown = {invitation.note: invitation.status for invitation in application.wait(invitations.list())}
    assert shown == {"revoked": "revoked", "used": "revoked", "open": "open"}
    read = application.accounts.context.read
    assert application.wait(read(lambda connection: code_budget.of_user(connection, alice.user.id))).failures == 2
    # invitations are removed a month after they end
    application.clock.now += 40 * DAY
    application.wait(application.operations.purge())
    assert application.wait(invitations.list()) == []


def test_a_backup_of_another_server_restores_its_data_and_ends_all_sessions(application, tmp_path):
    there = application.sign_up("Alice")
    application.person(there.token).set("a", 1)
    application.wait(application.operations.backup(tmp_path / "copy.db"))
    application.clock.now += 1
    application.open(tmp_path / "other")
    here = application.sign_up("Charlie")
    assert here.user.id == there.user.id
    application.wait(application.operations.restore(tmp_path / "copy.db", CLI))
    for token in (there.token, here.token):
        with pytest.raises(Unauthenticated):
            application.person(token)
    assert application.person(application.sign_in("Alice").token).get("a")["value"] == 1


def test_an_invalid_backup_file_is_refused_and_changes_nothing(application, tmp_path):
    person = application.person(application.sign_up("Alice").token)
    person.set("a", 1)
    before = state(person), application.store.epoch
    application.wait(application.operations.backup(tmp_path / "good.db"))
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
            application.wait(application.operations.restore(tmp_path / name, CLI))
    assert (state(person), application.store.epoch) == before
    assert [path.name for path in application.operations.backups.folder.iterdir()] == []


def test_a_backup_never_overwrites_the_servers_own_files(application, tmp_path):
    for name in ("realtime_kv.db", "secret_key", ".", "../data/realtime_kv.db-wal"):
        with pytest.raises(InvalidBackup):
            application.wait(application.operations.backup(application.folder / name, CLI))
    application.sign_up("Alice")


def test_scheduled_backups_run_once_per_interval_and_the_oldest_are_deleted(tmp_path):
    application = Application(tmp_path / "data", backup_hours=24, backup_keep=3)
    names = []
    for _ in range(5):
        application.operations.look()
        application.operations.look()
        names.append(application.operations.backups.files()[-1].name)
        application.clock.now += DAY
    assert [path.name for path in application.operations.backups.files()] == names[-3:]
    assert len(set(names)) == 5
    assert application.audit("backup_made")[0][0] == SYSTEM.kind
    application.services.stop()


def test_a_backup_overwrites_an_existing_file_only_with_force(application, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("something else")
    with pytest.raises(InvalidBackup, match="exists already"):
        application.wait(application.operations.backup(file))
    assert file.read_text() == "something else"
    application.wait(application.operations.backup(file, force=True))
    assert file.read_bytes().startswith(b"SQLite format 3")


def test_a_restore_on_a_full_disk_reports_the_disk_and_changes_nothing(application, tmp_path):
    person = application.person(application.sign_up("Alice").token)
    for n in range(30):
        person.set(f"k{n}", "x" * 60_000)
    application.wait(application.operations.backup(tmp_path / "copy.db"))
    before = person.list(limit=1000)["entries"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # simulate a full disk: files grow to 1 MiB at most
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(Unavailable, match=r"The restore failed: .* Free some space"):
            application.wait(application.operations.restore(tmp_path / "copy.db", CLI))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert person.list(limit=1000)["entries"] == before
    assert list(application.operations.backups.folder.glob("*restor*")) == []
