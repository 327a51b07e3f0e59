"""The switch interval is short while long work is under way, and then as before."""

import sys

import pytest

from realtime_kv.concurrency.fair_pool import FairWorkerPool
from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.concurrency.switch_interval import SHORT_SECONDS, SwitchInterval


@pytest.fixture
def usual():
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-4)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_interval_is_short_until_the_last_long_work_has_ended(usual):
    interval = SwitchInterval()
    interval.begin()
    interval.begin()
    assert sys.getswitchinterval() == pytest.approx(SHORT_SECONDS, abs=1e-6)
    interval.end()
    assert sys.getswitchinterval() == pytest.approx(SHORT_SECONDS, abs=1e-6)
    interval.end()
    assert sys.getswitchinterval() == usual


def test_interval_is_short_during_long_work_of_a_pool_and_also_restored_after_an_error(usual):
    runtime = ThreadedRuntime()
    pool = FairWorkerPool(runtime, "test", threads=1)

    def seen(kind, expected_ms):
        return runtime.wait(pool.submit(lambda _: sys.getswitchinterval(), kind=kind, expected_ms=expected_ms), 30)

    assert seen("long", 20.0) == pytest.approx(SHORT_SECONDS, abs=1e-6)
    with pytest.raises(ZeroDivisionError):
        runtime.wait(pool.submit(lambda _: 1 / 0, kind="wrong", expected_ms=20.0), 30)
    assert seen("brief", 0.1) == usual
    pool.stop()
    runtime.stop()
