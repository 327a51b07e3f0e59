"""The threads that stay on one processor."""

import os
import threading

import pytest

from realtime_kv.server.serve import pin_to_one_cpu

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a thread be kept")


def test_named_threads_share_one_processor_and_others_are_not_pinned():
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        before = os.sched_getaffinity(0)
        pin_to_one_cpu(threads[0].native_id, None, threads[1].native_id)
        first, second, third = (os.sched_getaffinity(thread.native_id) for thread in threads)
        assert first == second and len(first) == 1 and first <= before
        assert third == before == os.sched_getaffinity(0)
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_missing_thread_is_logged_and_raises_no_error(caplog):
    # above the largest thread id that Linux assigns
    pin_to_one_cpu(2**22 + 1)
    assert "could not be kept" in caplog.text
