"""The core's runtime on eventlet's event loop (hub); each test has an event loop and a thread of its own."""

import queue
import socket
import threading

import eventlet
import pytest

from realtime_kv.concurrency.runtime import Future, WorkerPool
from realtime_kv.errors import Unavailable
from realtime_kv.server.eventlet_runtime import EventletRuntime

DEADLINE = 20


@pytest.fixture
def on_a_hub():
    """Return a function that calls `fn(hub)` in a greenlet on a new event loop, and returns or raises its result."""

    def run(fn):
        outcome = queue.SimpleQueue()

        def body():
            try:
                outcome.put((fn(EventletRuntime()), None))
            except BaseException as error:
                outcome.put((None, error))

        threading.Thread(target=body, daemon=True).start()
        answer, error = outcome.get(timeout=DEADLINE)
        if error is not None:
            raise error
        return answer

    return run


def test_deliveries_run_on_the_hub_thread_in_order_per_sending_thread(on_a_hub):
    def body(hub):
        seen, done = [], Future()

        def note(thread, n):
            seen.append((thread, n, threading.get_ident()))
            if len(seen) == 4000:
                done.resolve(None)

        def send(thread):
            for n in range(1000):
                hub.deliver(lambda n=n: note(thread, n))

        for thread in range(4):
            hub.start_thread(lambda thread=thread: send(thread), "sender")
        hub.wait(done, DEADLINE)
        assert {ident for _, _, ident in seen} == {threading.get_ident()}
        return [[n for thread, n, _ in seen if thread == wanted] for wanted in range(4)]

    assert on_a_hub(body) == [list(range(1000))] * 4


def test_after_delivery_hooks_run_once_per_burst(on_a_hub):
    def body(hub):
        seen, done = [], Future()
        hub.after_delivery(lambda: seen.append("after"))
        hub.after_delivery(lambda: done.done or done.resolve(None))
        for n in range(3):
            hub.deliver(lambda n=n: seen.append(n))
        hub.wait(done, DEADLINE)
        return seen

    assert on_a_hub(body) == [0, 1, 2, "after"]


def test_a_delivery_that_fails_is_logged_and_the_next_one_runs(on_a_hub, caplog):
    def body(hub):
        done = Future()
        hub.deliver(lambda: 1 / 0)
        hub.after_delivery(lambda: 1 / 0)
        hub.call_later(0, lambda: 1 / 0)
        hub.deliver(lambda: hub.call_later(0.01, lambda: done.resolve("still here")))
        return hub.wait(done, DEADLINE)

    assert on_a_hub(body) == "still here"
    assert caplog.text.count("ZeroDivisionError") >= 3


def test_nested_delivery_runs_in_the_next_burst(on_a_hub):
    def body(hub):
        seen, done = [], Future()
        hub.after_delivery(lambda: seen.append("after"))

        def first():
            hub.deliver(lambda: (seen.append("second"), done.resolve(None)))
            seen.append("first")

        hub.deliver(first)
        hub.wait(done, DEADLINE)
        return seen[:3]

    assert on_a_hub(body) == ["first", "after", "second"]


def test_wait_yields_to_other_greenlets_and_returns_results_and_errors(on_a_hub):
    def body(hub):
        slow, failing, seen = Future(), Future(), []
        eventlet.spawn_n(lambda: seen.append(hub.wait(slow, DEADLINE)))
        hub.start_thread(lambda: hub.deliver(lambda: slow.resolve("slow")), "later")
        hub.start_thread(lambda: hub.deliver(lambda: failing.fail(KeyError("bad"))), "later")
        with pytest.raises(KeyError):
            hub.wait(failing, DEADLINE)
        assert hub.wait(Future.called(lambda: "at once")) == "at once"
        hub.wait(slow, DEADLINE)
        eventlet.sleep(0)
        return seen

    assert on_a_hub(body) == ["slow"]


def test_wait_times_out_and_tolerates_a_late_result(on_a_hub):
    def body(hub):
        late = Future()
        with pytest.raises(Unavailable):
            hub.wait(late, 0.01)
        late.resolve("late")
        return hub.wait(late)

    assert on_a_hub(body) == "late"


def test_greenlet_goes_on_after_the_burst_that_has_its_result_and_before_later_timers(on_a_hub):
    def body(hub):
        seen, result, end = [], Future(), Future()
        hub.after_delivery(lambda: seen.append("after"))
        eventlet.spawn_n(lambda: (hub.wait(result, DEADLINE), seen.append("waiter")))
        eventlet.sleep(0)

        def deliver():
            hub.call_later(0, lambda: (seen.append("timer"), hub.call_later(0, lambda: end.resolve(None))))
            result.resolve(None)
            seen.append("delivery")

        hub.deliver(deliver)
        hub.wait(end, DEADLINE)
        return seen

    assert on_a_hub(body) == ["delivery", "after", "waiter", "timer"]


def test_greenlet_whose_wait_timed_out_is_not_resumed_by_the_late_result(on_a_hub):
    def body(hub):
        late, seen = Future(), []

        def wait():
            with pytest.raises(Unavailable):
                hub.wait(late, 0.01)
            eventlet.sleep(0.1)
            seen.append("slept")

        sleeper = eventlet.spawn(wait)
        eventlet.sleep(0.05)
        hub.deliver(lambda: late.resolve("late"))
        eventlet.sleep(0.02)
        before = list(seen)
        sleeper.wait()
        return before, seen

    assert on_a_hub(body) == ([], ["slept"])


def test_wait_inside_a_delivery_raises(on_a_hub):
    def body(hub):
        told = Future()

        def misbehave():
            try:
                hub.wait(Future(), 1)
            except RuntimeError as error:
                told.resolve(str(error))

        hub.deliver(misbehave)
        return hub.wait(told, DEADLINE)

    assert on_a_hub(body) == "the hub itself must not wait"


def test_wait_blocks_in_other_threads(on_a_hub):
    def body(hub):
        answer, told = Future(), Future()

        def wait():
            seen = hub.wait(answer, DEADLINE)
            with pytest.raises(Unavailable):
                hub.wait(Future(), 0.01)
            hub.deliver(lambda: told.resolve(seen))

        hub.start_thread(wait, "waiter")
        hub.call_later(0.02, lambda: answer.resolve("for a thread"))
        return hub.wait(told, DEADLINE)

    assert on_a_hub(body) == "for a thread"


def test_call_later_works_from_any_thread_and_can_be_cancelled(on_a_hub):
    def body(hub):
        seen, done = [], Future()
        hub.call_later(0.02, lambda: seen.append("second"))
        hub.call_later(0.01, lambda: seen.append("first"))
        hub.call_later(0.01, lambda: seen.append("never")).cancel()
        hub.start_thread(lambda: hub.call_later(0.05, lambda: done.resolve(threading.get_ident())), "other")
        assert hub.wait(done, DEADLINE) == threading.get_ident()
        return seen

    assert on_a_hub(body) == ["first", "second"]


def test_worker_jobs_run_on_worker_threads_and_return_results_to_the_hub(on_a_hub):
    def body(hub):
        workers = WorkerPool(hub, 2, name="worker", resource=threading.get_ident)
        futures = [workers.submit(lambda _: threading.get_ident()) for _ in range(50)]
        return threading.get_ident(), {hub.wait(future, DEADLINE) for future in futures}

    here, there = on_a_hub(body)
    assert here not in there and 1 <= len(there) <= 2


def test_long_burst_of_deliveries_yields_to_timers_and_loses_none(on_a_hub, monkeypatch):
    monkeypatch.setattr("realtime_kv.server.eventlet_runtime.DELIVERY_SECONDS", 0)

    def body(hub):
        seen, done = [], Future()
        hub.deliver(lambda: hub.call_later(0, lambda: seen.append("timer")))
        for n in range(100):
            hub.deliver(lambda n=n: seen.append(n))
        hub.deliver(lambda: done.resolve(None))
        hub.wait(done, DEADLINE)
        return seen

    seen = on_a_hub(body)
    assert [n for n in seen if n != "timer"] == list(range(100))
    assert seen.index("timer") < 10


def test_delivery_runs_promptly_while_many_sockets_are_ready(on_a_hub, monkeypatch):
    monkeypatch.setattr("realtime_kv.server.eventlet_runtime.SOCKETS_A_ROUND", 1)

    def body(hub):
        heard, done = [], Future()
        pairs = [socket.socketpair() for _ in range(50)]
        crowd = []

        def on_readable(fd):
            # read nothing, so that it is ready in every round
            heard.append(fd)
            if len(heard) == 5:
                hub.deliver(lambda: done.resolve(len(heard)))

        for ours, theirs in pairs:
            theirs.send(b"!")
            crowd.append(hub._hub.add(hub._hub.READ, ours.fileno(), on_readable, lambda *_: None, None))
        heard_by_then = hub.wait(done, DEADLINE)
        for listener in crowd:
            hub._hub.remove(listener)
        for pair in pairs:
            for end in pair:
                end.close()
        return heard_by_then

    assert on_a_hub(body) < 10
