"""Dry runs: a write is planned and evaluated on a reader, so that no write waits for it; nothing is written."""

import sqlite3

from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Outcome, Quota
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.evaluate import evaluate
from realtime_kv.core.engine.memtable import Memtable
from realtime_kv.core.engine.planner import Planning
from realtime_kv.core.engine.read_scheduler import Unfinished
from realtime_kv.core.messages import timestamp
from realtime_kv.storage.sqlite import write_statements
from realtime_kv.storage.sqlite.reads import ReadSnapshot


def rehearse(db: sqlite3.Connection, cost: Cost, write: WriteRequest, quota: Quota, now: int) -> Outcome | Unfinished:
    """Return the answer that `write` would get from up-to-date tables. Raises the refusal that it would get."""
    memtable, cursor = Memtable(), db.cursor()
    with ReadSnapshot(db):
        write_statements.load(cursor, memtable, [write], now)
        if write.plan is not None and write.user_id in memtable.spaces:
            write.planning = write.planning or Planning(write.plan, write.user_id, now)
            if not write.make_plan(cursor, cost):
                return Unfinished(lambda db, cost: rehearse(db, cost, write, quota, now))
            write_statements.load(cursor, memtable, [write], now)
        return evaluate(write, memtable, quota, now, timestamp(now))
