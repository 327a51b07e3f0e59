"""The migrations and the models describe the same tables, and must agree."""

import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from realtime_kv.core.messages import DeleteOp, read_frame
from realtime_kv.storage.migrations import runner
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.models import Base


@pytest.fixture
def engine(tmp_path):
    return create_engine(f"sqlite:///{tmp_path / 'test.db'}", poolclass=NullPool)


def epoch(engine):
    with engine.connect() as connection:
        return connection.scalar(text("SELECT value FROM meta WHERE name = 'epoch'"))


def test_a_new_database_has_exactly_the_tables_of_the_models(engine):
    migrations.upgrade(engine)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_foreign_keys_cascade_as_in_the_models(engine):
    migrations.upgrade(engine)
    for table in Base.metadata.sorted_tables:
        wanted = {(key.parent.name, key.column.table.name, key.ondelete) for key in table.foreign_keys}
        found = inspect(engine).get_foreign_keys(table.name)
        assert {
            (k["constrained_columns"][0], k["referred_table"], k["options"].get("ondelete")) for k in found
        } == wanted


def test_head_names_the_newest_migration():
    config = AlembicConfig()
    config.set_main_option("script_location", "realtime_kv:storage/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_a_new_database_gets_a_unique_epoch_that_later_upgrades_keep(engine, tmp_path):
    migrations.upgrade(engine)
    first = epoch(engine)
    migrations.upgrade(engine)
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}", poolclass=NullPool)
    migrations.upgrade(other)
    assert first and epoch(engine) == first != epoch(other)


def test_an_interrupted_upgrade_changes_nothing(engine, monkeypatch):
    take = runner.take

    def die(connection):
        take(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "take", die)
    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(engine)
    monkeypatch.undo()
    assert inspect(engine).get_table_names() == []
    migrations.upgrade(engine)
    assert epoch(engine)


def test_concurrent_upgrades_apply_the_migrations_once(engine):
    errors = []

    def start():
        try:
            migrations.upgrade(engine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and epoch(engine)


def test_a_database_of_a_newer_version_is_refused(engine):
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(runner.NewerDatabase, match="newer version"):
        migrations.upgrade(engine)


def test_old_log_rows_become_the_frames_that_tabs_received(engine):
    config = AlembicConfig()
    config.set_main_option("script_location", "realtime_kv:storage/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text("INSERT INTO users (id, username, folded, password_hash, created_at) VALUES (1, 'a', 'a', '-', 1)")
        )
        connection.execute(text("INSERT INTO spaces VALUES (1, 2, 0, 1, 9, 0)"))
        origin = '{"session":"s","label":"A \\"test\\"","via":"http"}'
        for position, key, value, version in ((0, 'q"uote', '{"a":"é"}', 3), (1, "gone", None, None)):
            row = {"position": position, "key": key, "value": value, "version": version, "origin": origin}
            connection.execute(
                text(
                    "INSERT INTO log (user_id, revision, position, key, value, version, expires_at, origin, at)"
                    " VALUES (1, 2, :position, :key, :value, :version, NULL, :origin, 1795342272345)"
                ),
                row,
            )
    migrations.upgrade(engine)
    with engine.connect() as connection:
        [(user_id, revision, at, frame)] = connection.execute(text("SELECT user_id, revision, at, frame FROM log"))
    assert (user_id, revision, at) == (1, 2, 1_795_342_272_345)
    write = read_frame(frame)
    assert (write.revision, write.at, bytes(write.origin).decode()) == (2, "2026-11-22T10:11:12.345Z", origin)
    first, second = write.ops
    assert (first.key, bytes(first.value).decode(), first.version) == ('q"uote', '{"a":"é"}', 3)
    assert second == DeleteOp(key="gone")


def at_version(engine, version):
    config = AlembicConfig()
    config.set_main_option("script_location", "realtime_kv:storage/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


# rows of schema version 0006: a session `owner`, a token `limited` for `p/` and a token `full`; `un` is not flushed
_RECEIPTS_OF_0006 = """
INSERT INTO users (id, username, folded, password_hash, created_at) VALUES (1, 'a', 'a', '-', 1);
INSERT INTO spaces (user_id, revision, floor, keys, bytes, digest) VALUES (1, 3, 0, 3, 12, 0);
INSERT INTO sessions (id, public_id, token_hash, user_id, label, created_at, expires_at, kind, prefix) VALUES
    (1, 'owner', x'01', 1, '', 1, 4000000000000, 'session', NULL),
    (2, 'limited', x'02', 1, '', 1, 4000000000000, 'token', 'p/'),
    (3, 'full', x'03', 1, '', 1, 4000000000000, 'token', NULL);
INSERT INTO receipts (user_id, op_id, fingerprint, answer, at) VALUES
    (1, 'owner-set', '1', '{"revision":1,"version":1,"ok":true}', 1000),
    (1, 'limited-set', '2', '{"revision":2,"version":1,"ok":true}', 1000),
    (1, 'full-set', '3', '{"revision":3,"version":1,"ok":true}', 1000),
    (1, 'nothing', '4', '{"revision":3,"existed":false,"ok":true}', 1000),
    (1, 'counted', '5', '{"revision":3,"count":7,"ok":true}', 1000);
INSERT INTO log (id, user_id, revision, at, frame, op_id, fingerprint, answer) VALUES
    (1, 1, 1, 1000, '{"revision":1,"origin":{"session":"owner"},"ops":[]}', 'owner-set', '1', ''),
    (2, 1, 2, 1000, '{"revision":2,"origin":{"session":"limited"},"ops":[]}', 'limited-set', '2', ''),
    (3, 1, 3, 1000, '{"revision":3,"origin":{"session":"full"},"ops":[]}', 'full-set', '3', ''),
    (4, 1, 4, 1000, '{"revision":4,"origin":{"session":"limited"},"ops":[]}', 'un', '6', '');
INSERT INTO meta VALUES ('flushed', '3');
"""


def test_receipts_of_limited_tokens_get_a_namespace_and_none_is_lost(engine):
    at_version(engine, "0006")
    with engine.begin() as connection:
        for statement in _RECEIPTS_OF_0006.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        receipts = connection.execute(text("SELECT op_id, fingerprint FROM receipts ORDER BY fingerprint, op_id")).all()
        log = connection.execute(text("SELECT op_id FROM log ORDER BY id")).scalars().all()
    # the author of a delete without effect is unknown: both can repeat it
    assert receipts == [
        ("owner-set", "1"),
        ("limited\x1flimited-set", "2"),
        ("full-set", "3"),
        ("limited\x1fnothing", "4"),
        ("nothing", "4"),
        ("counted", "5"),
    ]
    assert log == ["owner-set", "limited\x1flimited-set", "full-set", "limited\x1fun"]
