"""Upgrades: the server keeps a copy of the database before one, and the copy can be restored."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Engine, text

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.storage.migrations import copies
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.migrations.copies import NoRoom
from realtime_kv.storage.sqlite import connections

OLD = "0006"


def old_database(folder: Path) -> Engine:
    """Create a data folder of schema version 0006 with one user."""
    folder.mkdir()
    engine = connections.open_engine(folder / "realtime_kv.db")
    config = AlembicConfig()
    config.set_main_option("script_location", "realtime_kv:storage/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
        connection.execute(
            text("INSERT INTO users (id, username, folded, password_hash, created_at) VALUES (1, 'a', 'a', '-', 1)")
        )
        connection.execute(text("INSERT INTO spaces VALUES (1, 0, 0, 0, 0, 0, 0)"))
        connection.execute(
            text("INSERT INTO audit (at, actor, action, ok, address, label) VALUES (1, 'house', 'purged', 1, '', '')")
        )
    return engine


def stamp(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_a_copy_is_kept_before_an_upgrade_and_can_be_restored(tmp_path):
    old_database(tmp_path / "data").dispose()
    services = create_app(Config(data_dir=tmp_path / "data")).extensions["realtime_kv"]
    try:
        (copy,) = (tmp_path / "data" / "backups").glob("before-upgrade-*.db")
        assert copy.name.startswith(f"before-upgrade-{OLD}-to-{migrations.HEAD}-")
        assert (stamp(copy), stamp(tmp_path / "data" / "realtime_kv.db")) == (OLD, migrations.HEAD)
        services.runtime.wait(services.operations.restore(copy, CLI))
        assert [user.username for user in services.runtime.wait(services.accounts.administration.users()).users] == [
            "a"
        ]
        # the copy is unchanged, and the next start has nothing to upgrade
        assert stamp(copy) == OLD
    finally:
        services.stop()
    create_app(Config(data_dir=tmp_path / "data")).extensions["realtime_kv"].stop()
    assert len(list((tmp_path / "data" / "backups").glob("before-upgrade-*.db"))) == 1


def test_the_former_name_of_the_system_actor_is_replaced_and_the_audit_log_is_protected_again(tmp_path):
    old_database(tmp_path / "data").dispose()
    create_app(Config(data_dir=tmp_path / "data")).extensions["realtime_kv"].stop()
    with closing(sqlite3.connect(tmp_path / "data" / "realtime_kv.db")) as db:
        assert db.execute("SELECT actor FROM audit WHERE action = 'purged'").fetchall() == [("system",)]
        with pytest.raises(sqlite3.IntegrityError, match="appended"):
            db.execute("UPDATE audit SET actor = 'user'")


def test_upgrade_without_disk_space_for_the_copy_requires_disabling_the_copy(tmp_path, monkeypatch):
    old_database(tmp_path / "data").dispose()
    monkeypatch.setattr(copies, "_SPARE", 1 << 62)
    with pytest.raises(NoRoom, match="RKV_UPGRADE_COPY=off"):
        create_app(Config(data_dir=tmp_path / "data"))
    assert stamp(tmp_path / "data" / "realtime_kv.db") == OLD
    create_app(Config(data_dir=tmp_path / "data", upgrade_copy=False)).extensions["realtime_kv"].stop()
    assert stamp(tmp_path / "data" / "realtime_kv.db") == migrations.HEAD


def test_only_the_newest_upgrade_copies_are_kept(tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    engine = old_database(tmp_path / "data")
    for n in range(copies.KEPT + 2):
        monkeypatch.setattr(copies.time, "strftime", lambda *_, n=n: f"copy-{n}")
        copies.keep_copy(engine, folder)
    assert len(list(folder.iterdir())) == copies.KEPT
    engine.dispose()
