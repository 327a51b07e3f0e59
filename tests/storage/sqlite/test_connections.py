"""Connections: durable, or not opened; and reading ones cannot write."""

import sqlite3
from pathlib import Path

import pytest

from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.connections import NotDurable


def test_writing_connection_is_durable_or_fails_to_open(services):
    connection = connections.writing(services.database.engine)
    driver = connections.driver(connection)
    assert driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert driver.execute("PRAGMA synchronous").fetchone() == (2,)
    assert driver.execute("PRAGMA secure_delete").fetchone() == (1,)
    connection.close()
    # a database in memory has no write-ahead log
    memory = connections.open_engine(Path(":memory:"))
    with pytest.raises(NotDurable):
        connections.writing(memory)


def test_a_reading_connection_cannot_write(services):
    connection = connections.reading(services.database.engine)
    with pytest.raises(sqlite3.OperationalError):
        connections.driver(connection).execute("DELETE FROM users")
    connection.close()
