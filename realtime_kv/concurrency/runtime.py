"""Runtime of the core: real threads below, one event loop thread (the edge) above, and futures between them.

The core asks for three things only: start a real thread, deliver an outcome on the event loop's thread, wait for an
outcome. The serving process implements them with eventlet's hub; tests and commands use plain threads, or run
everything inline in the caller. The core cannot tell the difference.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from realtime_kv.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class Future(Generic[T]):
    """An outcome that is not available yet: resolved or failed once, always on the event loop's thread.

    Not `concurrent.futures.Future`: when a real thread sets one, a green waiter wakes only at its timeout.
    """

    __slots__ = ("_answer", "_callback", "_error", "_others", "done")

    def __init__(self) -> None:
        self.done = False
        self._answer: T
        self._error: BaseException | None = None
        # usually there is one callback
        self._callback: Callable[[Future[T]], None] | None = None
        self._others: list[Callable[[Future[T]], None]] | None = None

    @classmethod
    def called(cls, fn: "Callable[[], T]") -> "Future[T]":
        """Return a finished future with the outcome of `fn()`."""
        future = cls()
        try:
            answer = fn()
        except Refusal as refusal:
            future.fail(refusal)
        else:
            future.resolve(answer)
        return future

    def resolve(self, answer: T) -> None:
        """Resolve with `answer`, and call the callbacks."""
        self._answer = answer
        self._settle()

    def fail(self, error: BaseException) -> None:
        """Fail with `error`, which `result()` raises."""
        self._error = error
        self._settle()

    def then(self, fn: "Callable[[Future[T]], None]") -> None:
        """Call `fn(self)` once the outcome is there; immediately if it already is."""
        if self.done:
            fn(self)
        elif self._callback is None:
            self._callback = fn
        elif self._others is None:
            self._others = [fn]
        else:
            self._others.append(fn)

    def become(self, other: "Future[T]") -> None:
        """Take over the outcome of `other`, once it is there."""
        other.then(self._take_over)

    def result(self) -> T:
        """Return the answer, or raise the error; only for a future that is done."""
        if not self.done:
            raise RuntimeError("this future is not done; wait for it with runtime.wait()")
        if self._error is not None:
            raise self._error
        return self._answer

    @property
    def failed(self) -> bool:
        """Return whether the outcome is an error."""
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
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None: ...


class Runtime(Protocol):
    """The environment that the core and the transports run in."""

    def start_thread(self, fn: Callable[[], None], name: str) -> threading.Thread | None:
        """Run `fn` on a real operating-system thread; return None if there are no threads (`fn` is then not run)."""

    def deliver(self, fn: Callable[[], None]) -> None:
        """Run `fn` on the event loop's thread, in the order of the calls; may be called from any thread."""

    def after_delivery(self, fn: Callable[[], None]) -> None:
        """Register `fn`, to be called on the event loop's thread after each burst of deliveries."""

    def wait(self, future: Future[T], timeout: float | None = None) -> T:
        """Wait for the future and return its result. Raises Unavailable after `timeout` seconds."""

    def call_later(self, seconds: float, fn: Callable[[], None]) -> Handle:
        """Run `fn` on the event loop's thread in `seconds`."""


class InlineRuntime:
    """Runs everything in the caller, one call at a time: a test sees the outcome when the call returns."""

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


class ThreadedRuntime:
    """Runs real threads, one of them as the event loop's thread: for commands and for tests of the core at work."""

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
        """End the event loop's thread, after earlier deliveries."""
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


class WorkerPool:
    """A small pool of real threads with a bounded queue; each thread may hold a resource of its own (a connection).

    Where the runtime has no threads, work runs in the caller.
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
        on_error: Callable[[BaseException], BaseException] = lambda error: error,
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
        """Run `fn(resource)` on one of the threads; resolve on the event loop's thread. Raises Unavailable."""
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
        """End the threads after the submitted work, and close their resources. New work is refused."""
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
    on_error: Callable[[BaseException], BaseException],
) -> None:
    """Run `fn(resource)` on this thread, resolve on the event loop's. `on_error` returns the error for the caller."""
    try:
        answer = fn(resource)
    except BaseException as error:  # passed to the waiting caller: nothing is swallowed here
        refusal = on_error(error)
        runtime.deliver(lambda: future.fail(refusal))
    else:
        runtime.deliver(lambda: future.resolve(answer))


def repeat(runtime: Runtime, seconds: float, fn: Callable[[], object]) -> None:
    """Call `fn` on the event loop's thread every `seconds`; a failure is logged, and the calls continue."""

    def run() -> None:
        try:
            fn()
        except Exception:
            log.exception("a periodic task failed")
        runtime.call_later(seconds, run)

    runtime.call_later(seconds, run)


def _close(resource: Any) -> None:
    if resource is not None:
        resource.close()


class _Never:
    """A call that never comes: inline, there is no event loop to make it."""

    def cancel(self) -> None:
        return None
