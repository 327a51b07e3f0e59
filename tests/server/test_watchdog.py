"""The watchdog: a hub that is held up is noticed, measured, and shown at what it is doing."""

import re
import threading
import time
from statistics import median

import eventlet
import pytest
import requests
from eventlet import event

from realtime_kv.server.hub import Hub
from realtime_kv.server.watchdog import ASK_SECONDS, MINUTE, STALL_SECONDS, Watchdog
from tests.running import DEADLINE

STALL = 2 * STALL_SECONDS


@pytest.fixture
def hub_and_thread():
    """A hub, and the thread that it has to itself."""
    made, parts = threading.Event(), []

    def run():
        hub = Hub()
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
def watchdog(hub_and_thread):
    hub, thread = hub_and_thread
    watchdog = Watchdog(hub, thread.ident)
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


def test_a_blocked_hub_is_measured_and_shown_at_what_it_does(hub, watchdog, caplog):
    watchdog.start()
    blocked = threading.Event()
    hub.deliver(lambda: a_slow_query_on_the_hub(blocked))
    assert blocked.wait(DEADLINE)
    until(lambda: watchdog.metrics()["hub_stalls_total"])
    figures = watchdog.metrics()
    assert figures["hub_stalls_total"] >= 1
    assert STALL_SECONDS < figures["hub_stall_max_seconds"] < STALL + 1
    until(lambda: len(caplog.records) >= 2)
    silent, answered = (record.getMessage() for record in caplog.records[:2])
    assert "a_slow_query_on_the_hub" in silent and "time.sleep(STALL)" in silent
    assert re.fullmatch(r"the hub answered after \d{3,4} ms", answered)


def test_a_hub_that_has_nothing_to_do_answers_at_once(hub, watchdog):
    watchdog.start()
    until(lambda: len(watchdog._waits) > 5)
    figures = watchdog.metrics()
    # most of them: a busy machine may have held up one
    assert median(wait for _, wait in list(watchdog._waits)) < STALL_SECONDS
    assert figures["hub_stall_p999_seconds"] <= figures["hub_stall_max_seconds"]


def test_a_long_stall_counts_as_all_the_samples_that_it_has_cost(hub, watchdog):
    now = time.monotonic()
    watchdog._note(9.5 * ASK_SECONDS, now)
    assert len(watchdog._waits) == 10
    watchdog._note(0.001, now)
    assert len(watchdog._waits) == 11


def test_only_the_last_minute_counts(hub, watchdog):
    now = time.monotonic()
    watchdog._note(1.0, now - MINUTE - 1)
    watchdog._note(0.002, now)
    assert watchdog.metrics()["hub_stall_max_seconds"] == 0.002
    assert watchdog.metrics()["hub_stalls_total"] == 1


def test_the_figures_are_in_the_metrics_of_a_running_server(server):
    def figures():
        text = requests.get(f"{server.url}/metrics", timeout=DEADLINE).text
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}

    until(lambda: figures()["rkv_hub_stall_max_seconds"] > 0)
    assert figures()["rkv_hub_stall_p999_seconds"] <= figures()["rkv_hub_stall_max_seconds"]
    assert figures()["rkv_hub_stalls_total"] >= 0
