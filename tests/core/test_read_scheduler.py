"""Reads that wait for a flush of their user's tables: how many flushes they cause, and how they start."""

import pytest

from realtime_kv.caller import Caller
from realtime_kv.concurrency.fair_pool import FairWorkerPool
from realtime_kv.concurrency.runtime import Future, InlineRuntime
from realtime_kv.core.engine.read_scheduler import STARTED_TOGETHER, ReadScheduler
from realtime_kv.errors import Unavailable

ALICE, CHARLIE = Caller.system(1, "", "test"), Caller.system(2, "", "test")


class RecordingRuntime(InlineRuntime):
    """Keeps the deliveries until the test runs them, one at a time."""

    def __init__(self):
        super().__init__()
        self.deliveries = []

    def deliver(self, fn):
        self.deliveries.append(fn)


class Tables:
    """Tables that always lack something: each flush ends when the test says so."""

    def __init__(self):
        self.flushes = []

    def up_to_date(self, user_id, *, indexed):
        self.flushes.append(Future())
        return self.flushes[-1]


@pytest.fixture
def tables():
    return Tables()


@pytest.fixture
def loop():
    return RecordingRuntime()


@pytest.fixture
def scheduler(tables, loop):
    return ReadScheduler(loop, FairWorkerPool(InlineRuntime(), "reader", threads=1), tables.up_to_date)


def read(scheduler, caller, name="read", indexed=False):
    return scheduler.submit(caller, lambda _reader, _cost: name, "test", indexed=indexed)


def test_reads_that_arrive_during_a_flush_share_the_next_one(scheduler, tables):
    first = read(scheduler, ALICE)
    others = [read(scheduler, ALICE) for _ in range(10)]
    assert len(tables.flushes) == 1
    tables.flushes[0].resolve(None)
    assert first.done and not any(other.done for other in others), "a flush covers the reads that came before it"
    assert len(tables.flushes) == 2
    tables.flushes[1].resolve(None)
    assert all(other.result() == "read" for other in others)


def test_users_and_indexes_wait_for_flushes_of_their_own(scheduler, tables):
    reads = [read(scheduler, ALICE), read(scheduler, CHARLIE), read(scheduler, ALICE, indexed=True)]
    assert len(tables.flushes) == 3
    tables.flushes[1].resolve(None)
    assert [one.done for one in reads] == [False, True, False]


def test_many_waiting_reads_start_in_portions(scheduler, tables, loop):
    read(scheduler, ALICE)
    others = [read(scheduler, ALICE) for _ in range(2 * STARTED_TOGETHER + 1)]
    for flush in tables.flushes:
        flush.resolve(None)
    started = [sum(other.done for other in others)]
    while loop.deliveries:
        loop.deliveries.pop(0)()
        started.append(sum(other.done for other in others))
    assert started == [STARTED_TOGETHER, 2 * STARTED_TOGETHER, 2 * STARTED_TOGETHER + 1]


def test_a_failed_flush_fails_only_the_reads_that_waited_for_it(scheduler, tables):
    first, second = read(scheduler, ALICE), read(scheduler, ALICE)
    tables.flushes[0].fail(Unavailable("no"))
    tables.flushes[1].resolve(None)
    with pytest.raises(Unavailable):
        first.result()
    assert second.result() == "read"


def test_reads_of_a_closed_connection_do_not_start_after_the_flush(scheduler, tables):
    first, second = read(scheduler, ALICE), read(scheduler, CHARLIE)
    scheduler.abandon(ALICE)
    for flush in tables.flushes:
        flush.resolve(None)
    with pytest.raises(Unavailable):
        first.result()
    assert second.result() == "read"
