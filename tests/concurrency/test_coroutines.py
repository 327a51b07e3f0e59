import pytest

from realtime_kv.concurrency.coroutines import run_flow
from realtime_kv.concurrency.runtime import Future, InlineRuntime
from realtime_kv.errors import NotFound


def failed(error):
    future = Future()
    future.fail(error)
    return future


def test_each_step_receives_the_result_of_the_previous_step():
    def steps():
        first = yield Future.called(lambda: 1)
        second = yield Future.called(lambda: first + 1)
        return second + 1

    assert run_flow(InlineRuntime(), steps()).result() == 3


def test_steps_wait_for_a_pending_future():
    later = Future()

    def steps():
        return (yield later) + 1

    outcome = run_flow(InlineRuntime(), steps())
    assert not outcome.done
    later.resolve(41)
    assert outcome.result() == 42


def test_an_error_propagates_unless_a_step_handles_it():
    def careful():
        try:
            yield failed(NotFound("no"))
        except NotFound:
            return "dealt with"

    def careless():
        yield failed(NotFound("no"))

    def broken():
        raise ValueError("a bug")
        yield

    assert run_flow(InlineRuntime(), careful()).result() == "dealt with"
    with pytest.raises(NotFound):
        run_flow(InlineRuntime(), careless()).result()
    with pytest.raises(ValueError, match="a bug"):
        run_flow(InlineRuntime(), broken()).result()
