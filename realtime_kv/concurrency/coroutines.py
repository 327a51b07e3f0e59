"""Coroutines over futures: a generator in which each `yield future` returns its answer or raises its error."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from realtime_kv.concurrency.runtime import Future, Runtime

T = TypeVar("T")

Steps = Generator[Future[Any], Any, T]


def run_flow(runtime: Runtime, steps: Steps[T]) -> Future[T]:
    """Run `steps` on the event loop's thread; return the future of its result or error."""
    outcome: Future[T] = Future()

    def advance(resume: Callable[[], Future[Any]]) -> None:
        try:
            waiting = resume()
        except StopIteration as end:
            settle = end.value
        except BaseException as error:  # passed on to the waiting caller: nothing is swallowed here
            outcome.fail(error)
            return
        else:
            waiting.then(go_on)
            return
        outcome.resolve(settle)

    def go_on(future: Future[Any]) -> None:
        try:
            answer = future.result()
        except BaseException as error:  # the waiting step decides how to handle it
            reason = error
            advance(lambda: steps.throw(reason))
        else:
            advance(lambda: steps.send(answer))

    runtime.deliver(lambda: advance(lambda: next(steps)))
    return outcome
