"""Dry runs: a write is planned and evaluated on a reader, so that no write waits for it; nothing is written."""

import sqlite3

from realtime_kv.core import statements
from realtime_kv.core.cost import Cost
from realtime_kv.core.decide import decide
from realtime_kv.core.frames import timestamp
from realtime_kv.core.memtable import Memtable
from realtime_kv.core.planning import Planning
from realtime_kv.core.readings import Unfinished
from realtime_kv.core.reads import OneReading
from realtime_kv.core.space import Outcome, Quota
from realtime_kv.core.write import Write


def rehearse(db: sqlite3.Connection, cost: Cost, write: Write, quota: Quota, now: int) -> Outcome | Unfinished:
    """Return the answer that `write` would get from up-to-date tables. Raises the refusal that it would get."""
    memtable, cursor = Memtable(), db.cursor()
    with OneReading(db):
        statements.load(cursor, memtable, [write], now)
        if write.plan is not None and write.user_id in memtable.spaces:
            write.planning = write.planning or Planning(write.plan, write.user_id, now)
            if not write.make_plan(cursor, cost):
                return Unfinished(lambda db, cost: rehearse(db, cost, write, quota, now))
            statements.load(cursor, memtable, [write], now)
        return decide(write, memtable, quota, now, timestamp(now))
