"""Connections, faults and the schema."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import inspect, text

from realtime_kv.core.backend import Fault
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.models import Base
from realtime_kv.storage.postgres import connections, schema
from realtime_kv.storage.postgres.reads import LIST, LIST_MORE, range_of


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("40P01", Fault.TRANSIENT),
        ("57P01", Fault.TRANSIENT),
        ("08006", Fault.TRANSIENT),
        ("53300", Fault.TRANSIENT),
        ("53100", Fault.FULL),
        ("25006", Fault.READ_ONLY),
        ("23505", None),
        ("P0001", None),
    ],
)
def test_errors_are_classified_by_their_sqlstate(state, fault):
    assert connections.fault(psycopg.errors.lookup(state)("no")) is fault


def test_a_server_that_cannot_be_reached_is_a_transient_fault(tmp_path):
    with pytest.raises(psycopg.OperationalError) as failed:
        connections.connect(f"postgresql://kv:secret-words@/kv?host={tmp_path}")
    assert connections.fault(failed.value) is Fault.TRANSIENT
    assert "secret-words" not in str(failed.value)


def test_the_engine_does_not_know_the_password():
    engine = connections.open_engine("postgresql://kv:secret-words@127.0.0.1/kv")
    assert "secret-words" not in f"{engine!r} {engine.url!r}"


def test_parameters_in_the_url_take_precedence():
    given = connections.parameters("postgresql://a,b/kv?connect_timeout=1&passfile=/etc/kv.pass")
    assert (given["host"], given["connect_timeout"], given["passfile"]) == ("a,b", "1", "/etc/kv.pass")
    assert given["target_session_attrs"] == "read-write"


def test_a_new_database_has_the_columns_of_the_models(cluster):
    engine = connections.open_engine(cluster.create(empty=True))
    migrations.upgrade(engine)
    assert migrations.version(engine) == migrations.HEAD
    tables = inspect(engine)
    # internal tables have another shape on purpose; the account code reads the others
    for name, table in Base.metadata.tables.items():
        if name not in {"log", "history", "log_garbage"}:
            found = {column["name"] for column in tables.get_columns(name)}
            assert {column.name for column in table.columns} <= found, name
    assert set(schema.OWN_TABLES) <= set(tables.get_table_names())
    # a second start finds nothing to do
    migrations.upgrade(engine)
    engine.dispose()


def test_two_processes_may_create_the_tables_at_once(cluster):
    url = cluster.create(empty=True)
    engines = [connections.open_engine(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrations.upgrade, engines))
    with engines[0].connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM meta WHERE name = 'epoch'")) == 1
    for engine in engines:
        engine.dispose()


def test_a_reading_connection_cannot_write(services, store, alice):
    reader = services.database.open().open_reader()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.db.execute("DELETE FROM entries")
    reader.close()


def test_no_prefix_and_no_position_with_a_nul_finds_a_key(store, alice):
    alice.set("a", 1)
    alice.set("ab", 2)
    assert alice.list(prefix="a\0")["entries"] == []
    assert [entry["key"] for entry in alice.list(after="a\0")["entries"]] == ["ab"]


@pytest.mark.parametrize("sql", [LIST, LIST_MORE], ids=["page", "more"])
def test_pages_follow_the_primary_key(services, store, alice, sql):
    wanted = {**range_of(1, "", None), "now": 0, "values": True, "rows": 64, "left": 64, "bytes": 1000}
    reader = services.database.open().open_reader()
    plan = "\n".join(row[0] for row in reader.db.execute(f"EXPLAIN {sql}", wanted).fetchall())
    reader.close()
    assert "entries_pkey" in plan
    assert "Seq Scan" not in plan
