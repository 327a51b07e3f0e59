"""The watchdog: it notices a blocked event loop, measures the stall, and shows the stack at that moment."""

import re
import stat
import threading
import time
from statistics import median

import eventlet
import pytest
import requests
from eventlet import event

from realtime_kv.server.eventlet_runtime import EventletRuntime
from realtime_kv.server.watchdog import ASK_SECONDS, MINUTE, STACKS_BYTES, STALL_SECONDS, Watchdog
from tests.live_server import DEADLINE

STALL = 2 * STALL_SECONDS


@pytest.fixture
def hub_and_thread():
    """Yield an event loop and the thread of its own in which it runs."""
    made, parts = threading.Event(), []

    def run():
        hub = EventletRuntime()
        told = event.Event()
        parts.extend([hub, told])
        made.set()
        told.wait()
        eventlet.sleep(0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert made.wait(DEADLINE)
    hub, told = parts
    yield hub, thread
    hub.deliver(told.send)
    thread.join(DEADLINE)


@pytest.fixture
def hub(hub_and_thread):
    return hub_and_thread[0]


@pytest.fixture
def watchdog(hub_and_thread, tmp_path):
    hub, thread = hub_and_thread
    watchdog = Watchdog(hub, thread.ident, tmp_path)
    yield watchdog
    watchdog.stop()


def a_slow_query_on_the_hub(blocked):
    blocked.set()
    time.sleep(STALL)


def until(holds):
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end
        time.sleep(ASK_SECONDS)


def test_a_blocked_hub_is_measured_and_its_stack_is_recorded(hub, watchdog, caplog, tmp_path):
    watchdog.start()
    blocked = threading.Event()
    hub.deliver(lambda: a_slow_query_on_the_hub(blocked))
    assert blocked.wait(DEADLINE)
    until(lambda: watchdog.metrics()["hub_stalls_total"])
    figures = watchdog.metrics()
    assert figures["hub_stalls_total"] >= 1
    assert STALL_SECONDS < figures["hub_stall_max_seconds"] < STALL + 1
    until(lambda: caplog.records)
    (line,) = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(rf"the event loop was blocked for \d{{3,4}} ms; its stack is in {tmp_path}/stalls.log", line)
    stack = (tmp_path / "stalls.log").read_text()
    assert "a_slow_query_on_the_hub" in stack and "time.sleep(STALL)" in stack
    assert stat.S_IMODE((tmp_path / "stalls.log").stat().st_mode) == 0o600


def test_the_file_of_stacks_is_bounded(watchdog, tmp_path):
    for _ in range(3):
        (tmp_path / "stalls.log").write_bytes(b"x" * (STACKS_BYTES + 1))
        watchdog._keep_stack()
    assert (tmp_path / "stalls.log").stat().st_size < STACKS_BYTES
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stalls.log", "stalls.log.1"]


def test_a_stack_file_that_cannot_be_written_is_reported(watchdog, tmp_path):
    (tmp_path / "stalls.log").mkdir()
    assert "could not be written" in watchdog._keep_stack()


def test_an_idle_hub_answers_within_the_stall_limit(hub, watchdog):
    watchdog.start()
    until(lambda: len(watchdog._waits) > 5)
    figures = watchdog.metrics()
    # most of them: a busy machine may have delayed one
    assert median(wait for _, wait in list(watchdog._waits)) < STALL_SECONDS
    assert figures["hub_stall_p999_seconds"] <= figures["hub_stall_max_seconds"]


def test_a_long_stall_counts_as_all_the_samples_missed_during_it(hub, watchdog):
    now = time.monotonic()
    watchdog._note(9.5 * ASK_SECONDS, now)
    assert len(watchdog._waits) == 10
    watchdog._note(0.001, now)
    assert len(watchdog._waits) == 11


def test_the_maximum_stall_covers_only_the_last_minute(hub, watchdog):
    now = time.monotonic()
    watchdog._note(1.0, now - MINUTE - 1)
    watchdog._note(0.002, now)
    assert watchdog.metrics()["hub_stall_max_seconds"] == 0.002
    assert watchdog.metrics()["hub_stalls_total"] == 1


def test_a_running_server_exposes_the_stall_metrics(server):
    def figures():
        text = requests.get(f"{server.url}/metrics", timeout=DEADLINE).text
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}

    until(lambda: figures()["rkv_hub_stall_max_seconds"] > 0)
    assert figures()["rkv_hub_stall_p999_seconds"] <= figures()["rkv_hub_stall_max_seconds"]
    assert figures()["rkv_hub_stalls_total"] >= 0
