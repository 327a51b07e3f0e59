"""Dry runs: a write is planned and evaluated on a reader, so that no write waits for it; nothing is written."""

from realtime_kv.core.backend import BackendReader, Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.space import Outcome, Quota
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine import loader
from realtime_kv.core.engine.evaluate import evaluate
from realtime_kv.core.engine.memtable import Memtable
from realtime_kv.core.engine.planner import Planning
from realtime_kv.core.messages import timestamp


def rehearse(db: BackendReader, cost: Cost, write: WriteRequest, quota: Quota, now: int) -> Outcome | Unfinished:
    """Return the answer that `write` would get from up-to-date tables. Raises the refusal that it would get."""
    memtable = Memtable()
    with db.snapshot():
        loader.load(db, memtable, [write], now)
        if write.plan is not None and write.user_id in memtable.spaces:
            write.planning = write.planning or Planning(write.plan, write.user_id, now)
            if not write.make_plan(db, cost):
                return Unfinished(lambda db, cost: rehearse(db, cost, write, quota, now))
            loader.load(db, memtable, [write], now)
        space, session_end = memtable.spaces.get(write.user_id), memtable.sessions.get(write.caller.session_id, 0)
        return evaluate(write, space, session_end, quota, now, timestamp(now))
