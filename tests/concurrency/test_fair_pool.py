"""The fair worker pool on real threads: a gate blocks its threads while work is queued, then tests check the order."""

import queue
import threading
import time

import pytest

from realtime_kv.concurrency.fair_pool import MAX_HOLD_SECONDS, Client, FairWorkerPool
from realtime_kv.concurrency.runtime import InlineRuntime, ThreadedRuntime
from realtime_kv.errors import RateLimited, Unauthenticated, Unavailable

DEADLINE = 30


@pytest.fixture
def runtime():
    runtime = ThreadedRuntime()
    yield runtime
    runtime.stop()


@pytest.fixture
def open_pool(runtime):
    pools = []

    def open_pool(**options):
        pools.append(FairWorkerPool(runtime, "test", **{"threads": 1, **options}))
        return pools[-1]

    yield open_pool
    for pool in pools:
        pool.stop()


class Gate:
    """Blocks one thread of a pool."""

    def __init__(self, pool, client=None, **options):
        self.entered, self._opened = threading.Event(), threading.Event()
        self.future = pool.submit(self._wait, client or Client("gate"), **options)

    def _wait(self, _):
        self.entered.set()
        assert self._opened.wait(DEADLINE)

    def open(self):
        self._opened.set()


def test_another_users_task_runs_before_the_third_task_of_a_flood(open_pool, runtime):
    pool, order = open_pool(), []
    gate = Gate(pool)
    futures = [pool.submit(lambda _, n=n: order.append(f"flood {n}"), Client("flood")) for n in range(250)]
    futures.append(pool.submit(lambda _: order.append("home"), Client("home")))
    gate.open()
    for future in futures:
        runtime.wait(future, DEADLINE)
    assert order.index("home") <= 2
    assert len(order) == 251


def test_cheap_tasks_run_while_expensive_tasks_hold_the_other_threads(open_pool, runtime):
    pool = open_pool(threads=3)
    gates = [Gate(pool, Client(f"flood {n}"), kind="dear", expected_ms=50) for n in range(5)]
    runtime.wait(pool.submit(lambda _: None, Client("home"), kind="cheap", expected_ms=0.1), DEADLINE)
    assert sum(gate.entered.is_set() for gate in gates) <= 2
    for gate in gates:
        gate.open()
        runtime.wait(gate.future, DEADLINE)


def test_a_user_runs_one_expensive_task_at_a_time(open_pool, runtime):
    pool = open_pool(threads=3)
    first = Gate(pool, Client("flood"), kind="dear", expected_ms=50)
    second = Gate(pool, Client("flood"), kind="dear", expected_ms=50)
    assert first.entered.wait(DEADLINE)
    runtime.wait(pool.submit(lambda _: None, Client("home"), kind="dear", expected_ms=50), DEADLINE)
    assert not second.entered.is_set()
    first.open()
    second.open()
    runtime.wait(second.future, DEADLINE)


def test_queued_tasks_of_an_abandoned_tab_never_run(open_pool, runtime):
    pool, done = open_pool(), []
    gate, tab, other = Gate(pool), object(), object()
    dropped = [pool.submit(lambda _: done.append("tab"), Client("user", 1, tab)) for _ in range(100)]
    kept = pool.submit(lambda _: done.append("other"), Client("user", 1, other))
    assert pool.abandon(Client("user", 1, tab)) == 100
    gate.open()
    runtime.wait(kept, DEADLINE)
    for future in dropped:
        with pytest.raises(Unavailable):
            runtime.wait(future, DEADLINE)
    assert done == ["other"]


def test_queued_tasks_of_an_ended_credential_are_refused(open_pool, runtime):
    pool, done = open_pool(), []
    gate = Gate(pool)
    stolen = pool.submit(lambda _: done.append("stolen"), Client("user", 1))
    owners = pool.submit(lambda _: done.append("owner"), Client("user", 2))
    assert pool.drop("user", 1, lambda: Unauthenticated("over")) == 1
    gate.open()
    runtime.wait(owners, DEADLINE)
    with pytest.raises(Unauthenticated):
        runtime.wait(stolen, DEADLINE)
    assert done == ["owner"]


def test_only_the_user_over_the_queue_limit_is_refused_and_reported(open_pool, runtime):
    told = []
    pool = open_pool(max_per_user=10, on_limit=told.append)
    gate = Gate(pool)
    assert gate.entered.wait(DEADLINE)
    futures = [pool.submit(lambda _: None, Client("flood", 1)) for _ in range(10)]
    with pytest.raises(RateLimited) as refused:
        pool.submit(lambda _: None, Client("flood", 1))
    assert refused.value.extra["retry_after"] >= 1
    futures.append(pool.submit(lambda _: None, Client("home")))
    assert [client.user for client in told] == ["flood"]
    gate.open()
    for future in futures:
        runtime.wait(future, DEADLINE)


def test_overflow_drops_the_tail_of_the_longest_queue(open_pool, runtime):
    pool = open_pool(max_total=10)
    gate = Gate(pool)
    assert gate.entered.wait(DEADLINE)
    flood = [pool.submit(lambda _: None, Client("flood")) for _ in range(10)]
    home = pool.submit(lambda _: "served", Client("home"))
    gate.open()
    assert runtime.wait(home, DEADLINE) == "served"
    with pytest.raises(Unavailable):
        runtime.wait(flood[-1], DEADLINE)
    for future in flood[:-1]:
        runtime.wait(future, DEADLINE)


def test_a_failing_task_returns_its_error_and_the_next_task_runs(open_pool, runtime):
    pool = open_pool()
    failing = pool.submit(lambda _: 1 // 0, Client("a"))
    fine = pool.submit(lambda _: 7, Client("a"))
    with pytest.raises(ZeroDivisionError):
        runtime.wait(failing, DEADLINE)
    assert runtime.wait(fine, DEADLINE) == 7


def test_stop_settles_queued_tasks_and_refuses_new_ones(runtime):
    pool = FairWorkerPool(runtime, "test", threads=1)
    gate = Gate(pool)
    assert gate.entered.wait(DEADLINE)
    waiting = pool.submit(lambda _: None, Client("a"))
    gate.open()
    pool.stop()
    if not waiting.failed:
        assert runtime.wait(waiting, DEADLINE) is None
    with pytest.raises(Unavailable):
        pool.submit(lambda _: None, Client("a"))


def test_the_inline_runtime_runs_tasks_in_the_caller():
    pool = FairWorkerPool(InlineRuntime(), "test", threads=2, resource=lambda: None)
    assert pool.submit(lambda _: 5, Client("a")).result() == 5
    pool.stop()


def burn(_):
    end = time.thread_time() + 0.008
    while time.thread_time() < end:
        pass


@pytest.fixture
def later(runtime, monkeypatch):
    """Collect what the runtime would call later, as `(seconds, fn)`."""
    later = queue.SimpleQueue()
    monkeypatch.setattr(runtime, "call_later", lambda seconds, fn: later.put((seconds, fn)))
    return later


def spend(pool, runtime, user, times):
    for _ in range(times):
        runtime.wait(pool.submit(burn, Client(user), kind="burn", expected_ms=20), DEADLINE)
        # work is accounted for after its result has been delivered, and before the thread's next work
        runtime.wait(pool.submit(lambda _: None, Client("probe")), DEADLINE)


def test_user_over_their_share_is_held_back_while_others_are_served(open_pool, runtime, later):
    # the clock stands still: on a busy machine, work takes longer than it costs
    told = []
    pool = open_pool(threads=1, user_share=0.1, clock=lambda: 0.0, on_hold=told.append)
    while later.empty():
        spend(pool, runtime, "flood", 1)
    seconds, release = later.get()
    assert 0.0 < seconds <= MAX_HOLD_SECONDS
    assert told == [Client("flood")]
    held = pool.submit(lambda _: "flood", Client("flood"))
    # a token of the user's does not use up what the session has for itself
    assert runtime.wait(pool.submit(lambda _: "owner", Client("flood", "session")), DEADLINE) == "owner"
    spend(pool, runtime, "modest", 1)
    spend(pool, runtime, "system", 60)
    assert not held.done
    assert later.empty()
    release()
    assert runtime.wait(held, DEADLINE) == "flood"
    pool.stop()
    assert pool._expensive_running == 0
