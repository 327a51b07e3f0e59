"""Account work and writes share the writer's thread: a flood of account work delays a write by a few jobs only."""

import threading

import pytest

from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.core.engine.account_queue import ENDINGS_TOGETHER, NOTES_TOGETHER

DEADLINE = 30


@pytest.mark.parametrize(("kind", "together"), [("note", NOTES_TOGETHER), ("end", ENDINGS_TOGETHER)])
def test_a_flood_of_account_work_delays_a_write_by_one_transaction_of_it(kind, together, services, runtime):
    store, caller = services.open(runtime), services.add_user("alice")
    writer, writes_before, entered, hold = store.writer, [], threading.Event(), threading.Event()
    writer.note(lambda _: (entered.set(), hold.wait(DEADLINE)), Client("gate"))
    assert entered.wait(DEADLINE)
    submit = getattr(writer, kind)
    jobs = [submit(lambda _: (writes_before.append(writer.writes), ()), Client("flood")) for _ in range(5 * together)]
    write = store.set(caller, "k", b"1")
    hold.set()
    runtime.wait(write, DEADLINE)
    for job in jobs:
        runtime.wait(job, DEADLINE)
    assert writes_before == [0] * together + [1] * (4 * together)
