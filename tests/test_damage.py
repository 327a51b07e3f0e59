"""Real servers on damaged, missing, doubly opened and oddly named databases."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.server.data_lock import MARKER, StartupError, lock_data
from realtime_kv.storage.sqlite.files import damage
from tests import prefork
from tests.running import DEADLINE, PASSWORD, ROOT, Server
from tests.test_commands import answer, run

PAGE = 4096


def database(server: Server) -> Path:
    return server.data_dir / "realtime_kv.db"


def start_and_fail(folder: Path, **settings: str) -> str:
    """Start a server that fails to start, and return its error output."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
    done = prefork.run(["serve", "--port=0", f"--data-dir={folder}"], cwd=ROOT, env={**environ, **settings})
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def filled(tmp_path):
    """Yield a server with a backup, restarted so that its whole database is in the file."""
    server = Server(tmp_path / "data").start()
    alice = server.sign_up("Alice")
    for n in range(4):
        alice.http("batch", ops=[{"op": "set", "key": f"{n}/{m}", "value": "x" * 2000} for m in range(100)])
    answer(server.data_dir, "backup", str(server.data_dir / "backups" / "backup-2026-11-22T10-11-12.000Z.db"))
    server.stop()
    server.start()
    yield server, alice
    server.close()


def damage_table(file: Path, table: str) -> None:
    """Overwrite the first page of a table."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        assert db.execute("PRAGMA page_size").fetchone() == (PAGE,)
    with file.open("r+b") as opened:
        opened.seek((root - 1) * PAGE)
        opened.write(os.urandom(PAGE))


def test_corrupt_page_found_by_a_reader_stops_the_server_and_can_be_restored(filled):
    server, alice = filled
    damage_table(database(server), "entries")
    with pytest.raises(OSError):
        alice.http("list", values=True)
    assert server.process.wait(DEADLINE) == 1
    said = server.wait_for("is damaged")
    assert "python3 run.py restore" in said and "backup-2026-11-22T10-11-12.000Z.db" in said
    assert "Traceback" not in "".join(server.output)
    # and a new start fails
    said = start_and_fail(server.data_dir)
    assert "is damaged" in said and "backup-2026-11-22T10-11-12.000Z.db" in said
    newest = server.data_dir / "backups" / "backup-2026-11-22T10-11-12.000Z.db"
    done = run(server.data_dir, "restore", "--yes", str(newest))
    assert done.returncode == 0 and "is kept in" in done.stderr
    server.start()
    assert answer(server.data_dir, "users")["users"][0]["entries"] == 400


def test_corrupt_page_found_by_the_writer_stops_the_server(filled):
    server, alice = filled
    tab = alice.open_tab()
    # a table that only the writer reads
    damage_table(database(server), "receipts")
    tab.send("set", key="0/1", value=1, op_id="asked for")
    assert server.process.wait(DEADLINE) == 1
    assert server.wait_for("is damaged")


def test_corrupt_header_is_reported_with_advice_to_restore_a_backup(filled):
    server, _ = filled
    server.stop()
    with database(server).open("r+b") as opened:
        opened.write(os.urandom(100))
    assert "its beginning is damaged. Restore the newest backup" in start_and_fail(server.data_dir)
    for command in ("users", "purge"):
        done = run(server.data_dir, command)
        assert done.returncode == 1 and "its beginning is damaged" in done.stderr


def test_locked_database_is_not_mistaken_for_a_corrupt_one(filled):
    server, _ = filled
    server.stop()
    before = sorted(server.data_dir.rglob("*"))
    with closing(sqlite3.connect(database(server))) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        newest = server.data_dir / "backups" / "backup-2026-11-22T10-11-12.000Z.db"
        for command in (["restore", "--yes", str(newest)], ["users"]):
            done = run(server.data_dir, *command)
            assert done.returncode == 1
            assert "cannot be used now: database is locked. Nothing was changed." in done.stderr
            assert "Traceback" not in done.stderr
    assert set(before) <= set(server.data_dir.rglob("*"))
    assert not [*(server.data_dir / "backups").glob("damaged-*")]
    assert run(server.data_dir, "restore", "--yes", str(newest)).returncode == 0


def test_integrity_check_out_of_time_covers_a_part_of_the_database(tmp_path, caplog):
    file = tmp_path / "realtime_kv.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, same INTEGER)")
        db.executemany("INSERT INTO numbers VALUES (?, ?)", ((n, n) for n in range(50_000)))
        # the error is in the last row
        db.execute("INSERT INTO numbers VALUES (50000, NULL)")
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(sql, 'same INTEGER', 'same INTEGER NOT NULL')")
        db.commit()
    with pytest.raises(damage.Damaged, match=r"NULL value in numbers\.same"):
        damage.check(file, tmp_path, 3600)
    # without time for a full check, the server starts
    caplog.set_level("INFO")
    damage.check(file, tmp_path, -1)
    assert "only a part of the database was checked" in caplog.text


@pytest.mark.parametrize("lost", ["missing", "empty"])
def test_missing_or_empty_database_is_not_silently_replaced_by_a_new_one(filled, lost):
    server, _ = filled
    server.stop()
    database(server).unlink()
    if lost == "empty":
        database(server).touch()
    said = start_and_fail(server.data_dir)
    assert f"is {lost}" in said and "restore" in said and MARKER in said
    assert run(server.data_dir, "users").returncode == 1
    (server.data_dir / MARKER).unlink()
    server.start()
    assert answer(server.data_dir, "users") == {"users": []}
    server.stop()
    database(server).unlink()
    newest = server.data_dir / "backups" / "backup-2026-11-22T10-11-12.000Z.db"
    assert run(server.data_dir, "restore", "--yes", str(newest)).returncode == 0
    assert [user["name"] for user in answer(server.data_dir, "users")["users"]] == ["Alice"]


def test_two_data_folders_cannot_use_one_database(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        said = start_and_fail(tmp_path / "other", RKV_DATABASE_URL=f"sqlite:///{database(server)}")
        assert "with another data folder" in said
    finally:
        server.close()


def test_data_lock_follows_symbolic_links_and_refuses_hard_links(tmp_path):
    config = Config(data_dir=tmp_path / "data")
    config.data_dir.mkdir()
    config.database_path.touch()
    link, hard = tmp_path / "link.db", tmp_path / "hard.db"
    link.symlink_to(config.database_path)
    with lock_data(config):
        with pytest.raises(StartupError, match="already uses the data folder"):
            lock_data(config)
        for name in (config.database_path, link):
            with pytest.raises(StartupError, match="with another data folder"):
                lock_data(Config(data_dir=tmp_path / "other", database_url=f"sqlite:///{name}"))
    hard.hardlink_to(config.database_path)
    with pytest.raises(StartupError, match="has more than one name"):
        lock_data(config)
    hard.unlink()
    # a failed attempt keeps no lock
    lock_data(config).close()


NAMES = ["kv?one", "a%20b", "a b", "ü#1", "two\nlines", "quote'\"", "file:x", "100%"]


@pytest.mark.parametrize("name", NAMES)
def test_a_data_folder_may_have_any_name(tmp_path, name):
    folder, copy = tmp_path / name, tmp_path / f"{name}.copy.db"
    services = create_app(Config(data_dir=folder)).extensions["realtime_kv"]
    try:
        services.runtime.wait(services.accounts.access.sign_up("Alice", PASSWORD))
        services.runtime.wait(services.operations.backup(copy, CLI))
        services.runtime.wait(services.operations.restore(copy, CLI))
        assert (folder / "realtime_kv.db").stat().st_size > 0
    finally:
        services.stop()
    damage.check(folder / "realtime_kv.db", folder)
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.copy.db"}


def test_a_server_and_its_control_socket_work_in_a_folder_with_any_name(tmp_path):
    server = Server(tmp_path / "kv?one#\n%41").start()
    try:
        server.sign_up("Alice")
        assert len(answer(server.data_dir, "users")["users"]) == 1
        assert database(server).stat().st_size > 0
    finally:
        server.close()
