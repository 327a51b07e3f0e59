"""Processor time of requests: counted for whoever used it, and charged to the network of one without a session."""

import time

import eventlet
import pytest

from realtime_kv.concurrency.runtime import Future
from realtime_kv.server.eventlet_runtime import EventletRuntime
from realtime_kv.server.processor_time import PROCESSOR_TIME, metered


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_processor_time_of_others_while_a_request_waits_is_not_counted():
    hub, answer, environs = EventletRuntime(), Future(), [{}, {}]

    def waiting(environ, start_response):
        burn(0.01)
        hub.wait(answer)
        return []

    def busy(environ, start_response):
        burn(0.1)
        answer.resolve(None)
        return []

    first = eventlet.spawn(metered(waiting), environs[0], None)
    second = eventlet.spawn(metered(busy), environs[1], None)
    first.wait()
    second.wait()
    used = [environ[PROCESSOR_TIME] for environ in environs]
    assert 0.01 <= used[0] < 0.1 <= used[1]


def test_processor_time_of_a_failed_request_is_counted():
    def fails(environ, start_response):
        burn(0.01)
        raise ValueError

    environ = {}
    thread = eventlet.spawn(metered(fails), environ, None)
    with pytest.raises(ValueError):
        thread.wait()
    assert environ[PROCESSOR_TIME] >= 0.01
