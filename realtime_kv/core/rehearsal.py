"""Dry runs: a write planned and judged on a reader, so that nobody's write waits for it; nothing is written."""

import sqlite3

from realtime_kv.core import permissions, statements
from realtime_kv.core.cost import Cost
from realtime_kv.core.database import Cursor
from realtime_kv.core.decide import decide
from realtime_kv.core.errors import Refusal
from realtime_kv.core.frames import timestamp
from realtime_kv.core.memtable import Memtable
from realtime_kv.core.reads import OneReading
from realtime_kv.core.space import Outcome, Quota
from realtime_kv.core.write import Write


def make_plan(cursor: Cursor, write: Write, now: int) -> None:
    """The ops of `write`, whose plan is asked for them, and what they cost. Raises Refusal."""
    assert write.plan is not None
    write.ops = write.plan.ops(cursor, write.user_id, now)
    write.planned_ops = len(write.ops)
    write.planned_bytes = sum(len(value) for op in write.ops if (value := getattr(op, "value", None)))
    permissions.check_write(write.caller, write.verb, write.ops)


def rehearse(db: sqlite3.Connection, cost: Cost, write: Write, quota: Quota, now: int) -> Outcome:
    """What `write` would be answered, by tables that are up to date. Raises what it would be refused with."""
    memtable, cursor = Memtable(), db.cursor()
    with OneReading(db):
        statements.load(cursor, memtable, [write], now)
        if write.plan is not None and write.user_id in memtable.spaces:
            try:
                make_plan(cursor, write, now)
            except Refusal as refusal:
                write.refusal = refusal
            else:
                statements.load(cursor, memtable, [write], now)
        cost.add(ops=write.planned_ops, rows=write.planned_ops, bytes=write.planned_bytes)
        return decide(write, memtable, quota, now, timestamp(now))
