"""Several futures in a row, as one generator: each `yield future` comes back with its answer, or raises its error."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from realtime_kv.core.runtime import Future, Runtime

T = TypeVar("T")

Steps = Generator[Future[Any], Any, T]


def walk(runtime: Runtime, steps: Steps[T]) -> Future[T]:
    """The future of what `steps` returns or raises. Every step is taken on the edge's thread."""
    outcome: Future[T] = Future()

    def advance(resume: Callable[[], Future[Any]]) -> None:
        try:
            waiting = resume()
        except StopIteration as end:
            settle = end.value
        except BaseException as error:  # handed to whoever waits: nothing is swallowed here
            outcome.fail(error)
            return
        else:
            waiting.then(go_on)
            return
        outcome.resolve(settle)

    def go_on(future: Future[Any]) -> None:
        try:
            answer = future.result()
        except BaseException as error:  # the step that waited decides what to make of it
            reason = error
            advance(lambda: steps.throw(reason))
        else:
            advance(lambda: steps.send(answer))

    runtime.deliver(lambda: advance(lambda: next(steps)))
    return outcome
