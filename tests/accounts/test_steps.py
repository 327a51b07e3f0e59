import pytest

from realtime_kv.accounts.steps import walk
from realtime_kv.core.errors import NotFound
from realtime_kv.core.runtime import Future, Inline


def failed(error):
    future = Future()
    future.fail(error)
    return future


def test_each_step_receives_the_result_of_the_previous_step():
    def steps():
        first = yield Future.called(lambda: 1)
        second = yield Future.called(lambda: first + 1)
        return second + 1

    assert walk(Inline(), steps()).result() == 3


def test_steps_wait_for_a_pending_future():
    later = Future()

    def steps():
        return (yield later) + 1

    outcome = walk(Inline(), steps())
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

    assert walk(Inline(), careful()).result() == "dealt with"
    with pytest.raises(NotFound):
        walk(Inline(), careless()).result()
    with pytest.raises(ValueError, match="a bug"):
        walk(Inline(), broken()).result()
