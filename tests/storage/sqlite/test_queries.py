"""How SQLite runs the statements: by an index, without sorting, and without reading more than is asked for."""

import re
import sqlite3

import pytest
from sqlalchemy import text

from realtime_kv.core.domain.cost import Cost
from realtime_kv.storage.sqlite import history as past
from realtime_kv.storage.sqlite import plan_reads
from realtime_kv.storage.sqlite.retention import _DUE, _NEXT


@pytest.mark.parametrize("sql", [past._FRAME, past._OF_SPACE, past._OF_KEY, plan_reads._WRITE, plan_reads._UNDOES])
def test_history_queries_use_an_index_and_no_sort(services, store, sql):
    wanted = {"user": 1, "before": 9, "key": "a", "start": "a", "end": "b", "limit": 5}
    with services.database.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", wanted if ":user" in sql else (1, 2)).fetchall()
    told = " ".join(step[3] for step in plan)
    assert re.search(r"history_by_revision \(user_id=\? AND revision[<=]|PRIMARY KEY \(user_id=\? AND key=\?", told), (
        told
    )
    assert "TEMP B-TREE" not in told


def test_the_expiry_queries_use_the_expiry_index_and_never_sort(services):
    with services.database.engine.connect() as connection:
        for sql in (_DUE, _NEXT):
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), {"now": 1, "most": 1}).fetchall()
            assert any("entries_by_expiry (expires_at" in row[3] for row in plan), plan
            assert not any("TEMP B-TREE" in row[3] for row in plan), plan


def test_history_finds_the_newest_writes_without_reading_each_op(alice, services):
    instructions = []
    for n in range(30):
        alice.batch(*[("set", f"{n}/{i:03}", i) for i in range(100)])
    alice.history()
    db = sqlite3.connect(services.database.file)
    db.set_progress_handler(lambda: instructions.append(100) and 0, 100)
    user_id = alice.caller.user_id
    revisions, _ = past.writes_before(db, Cost(), user_id, 2**63 - 1, 30, key=None, prefix=None)
    assert len([past.frame_bytes(db, user_id, revision) for revision in revisions]) == 30
    db.close()
    # reading each op takes several instructions
    assert sum(instructions) < 30 * 100
