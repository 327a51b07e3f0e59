"""How the core runs: real threads below, one edge thread above, and futures between them.

The core asks for three things only: start a real thread, deliver an outcome on the edge's own thread, wait for an
outcome. The serving process answers with eventlet's hub; tests and commands answer with plain threads, or run
everything inline in the caller. The core cannot tell.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from realtime_kv.core.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class Future(Generic[T]):
    """An outcome that is not there yet: resolved or failed once, always on the edge's thread.

    Not `concurrent.futures.Future`: set by a real thread, that one wakes a green waiter only when the waiter times out.
    """

    __slots__ = ("_answer", "_callback", "_error", "_others", "done")

    def __init__(self) -> None:
        self.done = False
        self._answer: T
        self._error: BaseException | None = None
        # usually there is one
        self._callback: Callable[[Future[T]], None] | None = None
        self._others: list[Callable[[Future[T]], None]] | None = None

    @classmethod
    def called(cls, fn: "Callable[[], T]") -> "Future[T]":
        """A future that has come out already, as `fn()` does."""
        future = cls()
        try:
            answer = fn()
        except Refusal as refusal:
            future.fail(refusal)
        else:
            future.resolve(answer)
        return future

    def resolve(self, answer: T) -> None:
        """Come out with `answer`, and tell everyone who waits."""
        self._answer = answer
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Come out with `error`: `result()` raises it."""
        self._error = error
        self._settle()

    def then(self, fn: "Callable[[Future[T]], None]") -> None:
        """Call `fn(self)` once the outcome is there; at once if it already is."""
        if self.done:
            fn(self)
        elif self._callback is None:
            self._callback = fn
        elif self._others is None:
            self._others = [fn]
        else:
            self._others.append(fn)

    def become(self, other: "Future[T]") -> None:
        """Come out as `other` does."""
        other.then(self._take_over)

    def result(self) -> T:
        """The answer, or the error raised; only for a future that is done."""
        if not self.done:
            raise RuntimeError("this future has not come out yet; wait for it with runtime.wait()")
        if self._error is not None:
            raise self._error
        return self._answer

    @property
    def failed(self) -> bool:
        """Whether it has come out with an error."""
        return self._error is not None

    def _take_over(self, other: "Future[T]") -> None:
        if other._error is None:
            self.resolve(other._answer)
        else:
            self.fail(other._error)

    def _settle(self) -> None:
        self.done = True
        callback, others = self._callback, self._others
        self._callback = self._others = None
        if callback is not None:
            callback(self)
        for fn in others or ():
            fn(self)


class Handle(Protocol):
    """Something started that can be called off."""

    def cancel(self) -> None: ...


class Runtime(Protocol):
    """What the core and the edges ask of the place they run in."""

    def start_thread(self, fn: Callable[[], None], name: str) -> threading.Thread | None:
        """Run `fn` on a real operating-system thread; None where there are no threads (`fn` is then not run)."""

    def deliver(self, fn: Callable[[], None]) -> None:
        """Run `fn` on the edge's thread, in the order of the calls; may be called from any thread."""

    def after_delivery(self, fn: Callable[[], None]) -> None:
        """Register `fn`, to be called on the edge's thread after each burst of deliveries."""

    def wait(self, future: Future[T], timeout: float | None = None) -> T:
        """The future's result, once it is there. Raises Unavailable after `timeout` seconds."""

    def call_later(self, seconds: float, fn: Callable[[], None]) -> Handle:
        """Run `fn` on the edge's thread in `seconds`."""


class Inline:
    """Everything in the caller, one call at a time: a test sees the outcome when the call returns."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._after: list[Callable[[], None]] = []

    def start_thread(self, fn: Callable[[], None], name: str) -> None:
        return None

    def deliver(self, fn: Callable[[], None]) -> None:
        with self._lock:
            fn()
            for after in self._after:
                after()

    def after_delivery(self, fn: Callable[[], None]) -> None:
        self._after.append(fn)

    def wait(self, future: Future[T], timeout: float | None = None) -> T:
        return future.result()

    def call_later(self, seconds: float, fn: Callable[[], None]) -> Handle:
        return _Never()


class Threads:
    """Real threads, and one of them as the edge: for commands and for tests of the core at work."""

    def __init__(self) -> None:
        self._deliveries: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._after: list[Callable[[], None]] = []
        self._edge = self.start_thread(self._run_deliveries, "edge")

    def start_thread(self, fn: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=fn, name=name, daemon=True)
        thread.start()
        return thread

    def deliver(self, fn: Callable[[], None]) -> None:
        self._deliveries.put(fn)

    def after_delivery(self, fn: Callable[[], None]) -> None:
        self._after.append(fn)

    def wait(self, future: Future[T], timeout: float | None = None) -> T:
        came_out = threading.Event()
        self.deliver(lambda: future.then(lambda _: came_out.set()))
        if not came_out.wait(timeout):
            raise Unavailable()
        return future.result()

    def call_later(self, seconds: float, fn: Callable[[], None]) -> Handle:
        timer = threading.Timer(seconds, self.deliver, (fn,))
        timer.daemon = True
        timer.start()
        return timer

    def stop(self) -> None:
        """End the edge's thread, after what was delivered before."""
        self._deliveries.put(None)
        self._edge.join()

    def _run_deliveries(self) -> None:
        while (fn := self._deliveries.get()) is not None:
            try:
                fn()
                for after in self._after:
                    after()
            except Exception:
                log.exception("a delivery failed")


class Workers:
    """A small pool of real threads with a bounded queue; each thread may hold a resource of its own (a connection).

    Where the runtime has no threads, work is done in the caller.
    """

    def __init__(
        self,
        runtime: Runtime,
        count: int,
        *,
        name: str,
        queue_limit: int = 10_000,
        resource: Callable[[], Any] = lambda: None,
        on_full: Callable[[], Refusal] = Unavailable,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._runtime = runtime
        self._queue_limit = queue_limit
        self._resource = resource
        self._on_full = on_full
        self._on_error = on_error
        self._stopped = False
        self._queue: queue.SimpleQueue[tuple[Callable[[Any], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._threads = [
            thread for n in range(count) if (thread := runtime.start_thread(self._work, f"{name}-{n}")) is not None
        ]
        self._inline: Any = None if self._threads else resource()
        self._inline_lock = threading.RLock()

    def submit(self, fn: Callable[[Any], T]) -> Future[T]:
        """`fn(resource)` on one of the threads; the future comes out on the edge's thread. Raises Unavailable."""
        if self._stopped:
            raise Unavailable("The server is stopping; try again in a moment.", retry_after=5)
        future: Future[T] = Future()
        if not self._threads:
            with self._inline_lock:
                self._run(fn, future, self._inline)
        elif self._queue.qsize() >= self._queue_limit:
            raise self._on_full()
        else:
            self._queue.put((fn, future))
        return future

    def stop(self, *, wait: bool = True) -> None:
        """End the threads, after what was submitted before; and close what they held. Nothing more is taken."""
        self._stopped = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads if wait else ():
            thread.join()
        if not self._threads:
            _close(self._inline)

    def _work(self) -> None:
        resource = self._resource()
        while (job := self._queue.get()) is not None:
            self._run(*job, resource)
        _close(resource)

    def _run(self, fn: Callable[[Any], T], future: Future[T], resource: Any) -> None:
        carry_out(self._runtime, fn, future, resource, self._on_error)


def carry_out(
    runtime: Runtime,
    fn: Callable[[Any], T],
    future: Future[T],
    resource: Any,
    on_error: Callable[[BaseException], None],
) -> None:
    """`fn(resource)` on this thread; the future comes out on the edge's. `on_error` is told what was raised."""
    try:
        answer = fn(resource)
    except BaseException as error:  # handed to whoever waits: nothing is swallowed here
        refusal = error
        on_error(error)
        runtime.deliver(lambda: future.fail(refusal))
    else:
        runtime.deliver(lambda: future.resolve(answer))


def repeat(runtime: Runtime, seconds: float, fn: Callable[[], object]) -> None:
    """Call `fn` on the edge's thread every so many seconds; one that fails is logged, and called again."""

    def turn() -> None:
        try:
            fn()
        except Exception:
            log.exception("something that is done again and again failed")
        runtime.call_later(seconds, turn)

    runtime.call_later(seconds, turn)


def _close(resource: Any) -> None:
    if resource is not None:
        resource.close()


class _Never:
    """A call that will not come: inline there is nobody to make it."""

    def cancel(self) -> None:
        return None
