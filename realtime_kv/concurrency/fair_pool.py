"""Fair pool: a few real threads that serve a fair queue; each may hold a resource of its own (a connection, a process).

Invariants:
1. Users are served by their consumption, in milliseconds of the threads' processor time (fair_queue.py).
2. Expensive work never occupies all of several threads: one is kept for cheap work. The pool learns the cost of each
   user's kinds of work from their last costs.
3. Work whose owner has gone, or whose credential has ended, is dropped while it waits.
4. Work of a user who has taken more than a share of the processor waits until that is made up for: the event loop needs
   the interpreter lock, and other programs the processors. Each credential has a part for itself, so that a token does
   not use up its owner's share. The threads serve others meanwhile.

`submit` may be called from any thread; futures resolve on the event loop's thread. Where the runtime has no threads,
work runs in the caller.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from realtime_kv.concurrency.fair_queue import FairQueue
from realtime_kv.concurrency.runtime import Future, Runtime, carry_out
from realtime_kv.concurrency.switch_interval import switch_interval
from realtime_kv.concurrency.time_budget import UserTime
from realtime_kv.errors import RateLimited, Refusal, Unavailable

T = TypeVar("T")

# work with this expected processor time or more counts as expensive, in milliseconds
EXPENSIVE_MS = 1.5
# during work with this expected processor time or more, the event loop gets the interpreter lock back sooner
LONG_MS = 0.5
# where users have a share of the processor: the burst beyond it, and the longest wait for one piece of work
BURST_SECONDS = 0.1
MAX_HOLD_SECONDS = 1.0
# the part that each credential has for itself, and the burst
OWN_SHARE = 0.02
OWN_BURST_SECONDS = 0.02
# the part that busy users share equally
COMMON_SHARE = 0.3
# weight of the last measurement in the learnt cost of a kind of work
_LEARNING = 0.5
# dropped jobs that fail in one delivery
_TOGETHER = 16
# users and kinds of work whose cost is remembered
_REMEMBERED = 8192


class Client(NamedTuple):
    """Owner of work: a user (or a network), their credential, and optionally an object whose end drops the work."""

    user: Hashable
    credential: Hashable = None
    owner: object = None


# the server's own maintenance: one client among the others
SYSTEM = Client("system")


class _Job:
    __slots__ = ("cost", "credential", "expensive", "fn", "future", "kind", "owner", "user")

    def __init__(self, fn: Callable[[Any], Any], client: Client, kind: str, cost: float) -> None:
        self.fn = fn
        self.user, self.credential, self.owner = client
        self.kind = kind
        self.cost = cost
        self.expensive = cost >= EXPENSIVE_MS
        self.future: Future[Any] = Future()


class FairWorkerPool:
    """A pool of `threads` real threads for which work waits in fair order.

    `user_share` is the part of a processor that a user may take; None for all. Work that is not `measured` costs its
    expected cost: work of a thread that waits for a process, for example.

    Called on any thread: `on_limit` with the client whose work was refused because too much of it was waiting,
    `on_hold` with the client whose work is held back because of their share, `on_error` with the exception that work
    raised; it returns the error that the caller gets.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        threads: int,
        resource: Callable[[], Any] = lambda: None,
        max_running: int = 2,
        max_per_user: int = 2_000,
        max_total: int = 20_000,
        measured: bool = True,
        user_share: float | None = None,
        on_limit: Callable[[Client], None] = lambda _: None,
        on_hold: Callable[[Client], None] = lambda _: None,
        on_error: Callable[[BaseException], BaseException] = lambda error: error,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime = runtime
        self._resource = resource
        self._on_limit = on_limit
        self._on_hold = on_hold
        self._on_error = on_error
        self._measured = measured
        self._lock = threading.Lock()
        self._cheap: FairQueue[_Job] = FairQueue(
            max_running=max_running, max_per_user=max_per_user, max_total=max_total
        )
        self._expensive: FairQueue[_Job] = FairQueue(max_running=1, max_per_user=max_per_user, max_total=max_total)
        self._max_expensive = max(1, threads - 1)
        self._expensive_running = 0
        self._costs: OrderedDict[tuple[Hashable, str], float] = OrderedDict()
        self._time = (
            None
            if user_share is None
            else UserTime(
                clock,
                share=user_share,
                burst_seconds=BURST_SECONDS,
                own_share=OWN_SHARE,
                own_burst_seconds=OWN_BURST_SECONDS,
                common_share=COMMON_SHARE,
            )
        )
        self._held: set[tuple[Hashable, Hashable]] = set()
        self._idle = 0
        self._stopped = False
        self._wake_up: SimpleQueue[None] = SimpleQueue()
        self.threads = [
            thread for n in range(threads) if (thread := runtime.start_thread(self._work, f"{name}-{n}")) is not None
        ]
        self._inline: Any = None if self.threads else resource()
        self._inline_lock = threading.RLock()

    def submit(
        self,
        fn: Callable[[Any], T],
        client: Client = SYSTEM,
        *,
        kind: str = "",
        expected_ms: float = 1.0,
        first: bool = False,
    ) -> Future[T]:
        """Run `fn(resource)` on one of the threads, at this client's turn. Raises RateLimited, Unavailable.

        `expected_ms` is the expected cost while none is known for this user and `kind` of work. With `first`, the work
        is served before all other waiting work of its credential: for a further step.
        """
        if not self.threads:
            if self._stopped:
                raise _stopping()
            future: Future[T] = Future()
            with self._inline_lock:
                carry_out(self._runtime, fn, future, self._inline, self._on_error)
            return future
        job = _Job(fn, client, kind, self._costs.get((client.user, kind), expected_ms))
        with self._lock:
            # under the lock: a job that is pushed after `stop` would wait for ever
            if self._stopped:
                raise _stopping()
            dropped = (self._expensive if job.expensive else self._cheap).push(job, first=first)
            wake = self._idle > 0
            self._idle -= wake
        if wake:
            self._wake_up.put(None)
        if dropped is job:
            self._on_limit(client)
            raise RateLimited("Too many of your requests are waiting; try again in a moment.", retry_after=1)
        if dropped is not None:
            self._on_limit(Client(dropped.user, dropped.credential))
            self._fail([dropped], Unavailable("The server is busy; try again in a moment.", retry_after=2))
        return job.future

    def abandon(self, client: Client) -> int:
        """Drop the waiting work of a client whose owner has gone, and return how many jobs that was."""
        return self._drop(
            client.user,
            lambda job: job.owner is client.owner,
            lambda: Unavailable("The connection that asked for this has closed."),
        )

    def drop(self, user: Hashable, credential: Hashable, error: Callable[[], Refusal]) -> int:
        """Fail the waiting work of this credential, and return how many jobs that was."""
        return self._drop(user, lambda job: job.credential == credential, error)

    @property
    def waiting(self) -> int:
        """The number of waiting jobs."""
        return len(self._cheap) + len(self._expensive)

    def stop(self) -> None:
        """Finish running work, fail waiting work, and close the threads' resources. New work is refused."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            left = [*self._cheap.clear(), *self._expensive.clear()]
        for _ in self.threads:
            self._wake_up.put(None)
        for job in left:
            job.future.fail(_stopping())
        for thread in self.threads:
            thread.join()
        if not self.threads and self._inline is not None:
            self._inline.close()

    def _drop(self, user: Hashable, wanted: Callable[[_Job], bool], error: Callable[[], Refusal]) -> int:
        with self._lock:
            jobs = [*self._cheap.remove_all(user, wanted), *self._expensive.remove_all(user, wanted)]
        if jobs:
            self._fail(jobs, error())
        return len(jobs)

    def _fail(self, jobs: list[_Job], error: Refusal) -> None:
        def fail(some: list[_Job]) -> None:
            for job in some:
                job.future.fail(error)

        # other work runs between the deliveries
        for start in range(0, len(jobs), _TOGETHER):
            self._runtime.deliver(partial(fail, jobs[start : start + _TOGETHER]))

    # methods that run on the threads

    def _work(self) -> None:
        resource = self._resource()
        while not self._stopped:
            while (job := self._next()) is not None:
                before = time.thread_time_ns()
                if job.cost < LONG_MS or not self._measured:
                    carry_out(self._runtime, job.fn, job.future, resource, self._on_error)
                else:
                    switch_interval.begin()
                    carry_out(self._runtime, job.fn, job.future, resource, self._on_error)
                    switch_interval.end()
                self._finish(job, (time.thread_time_ns() - before) / 1e6 if self._measured else job.cost)
            self._wake_up.get()
        if resource is not None:
            resource.close()

    def _next(self) -> _Job | None:
        wake = False
        with self._lock:
            if self._stopped:
                return None
            job = self._expensive.pop() if self._expensive_running < self._max_expensive else None
            if job is not None:
                self._expensive_running += 1
            else:
                job = self._cheap.pop()
            if job is None:
                self._idle += 1
            elif self._idle and (
                self._cheap.has_ready or (self._expensive.has_ready and self._expensive_running < self._max_expensive)
            ):
                self._idle -= 1
                wake = True
        if wake:
            self._wake_up.put(None)
        return job

    def _finish(self, job: _Job, spent_ms: float) -> None:
        """Account for finished work; hold back its credential if that exceeds the user's share."""
        with self._lock:
            held_seconds = self._hold(job.user, job.credential, spent_ms / 1000)
            if job.expensive:
                self._expensive_running -= 1
            (self._expensive if job.expensive else self._cheap).finish(job, spent_ms)
            learnt = self._costs.pop((job.user, job.kind), None)
            self._costs[job.user, job.kind] = spent_ms if learnt is None else learnt + _LEARNING * (spent_ms - learnt)
            if len(self._costs) > _REMEMBERED:
                self._costs.popitem(last=False)
        if held_seconds:
            self._on_hold(Client(job.user, job.credential, job.owner))
            self._runtime.deliver(partial(self._release_later, job.user, job.credential, held_seconds))

    def _hold(self, user: Hashable, credential: Hashable, seconds: float) -> float:
        """Charge `seconds`; return for how long the credential is held back, 0.0 for not at all or for already."""
        if self._time is None or user == SYSTEM.user:
            return 0.0
        overdue = self._time.charge(user, (user, credential), seconds)
        if not overdue or (user, credential) in self._held:
            return 0.0
        overdue = min(overdue, MAX_HOLD_SECONDS)
        self._held.add((user, credential))
        self._cheap.hold(user, credential)
        self._expensive.hold(user, credential)
        return overdue

    def _release_later(self, user: Hashable, credential: Hashable, seconds: float) -> None:
        self._runtime.call_later(seconds, partial(self._release, user, credential))

    def _release(self, user: Hashable, credential: Hashable) -> None:
        with self._lock:
            self._held.discard((user, credential))
            self._cheap.release(user, credential)
            self._expensive.release(user, credential)
            wake = self._idle > 0
            self._idle -= wake
        if wake:
            self._wake_up.put(None)


def _stopping() -> Unavailable:
    return Unavailable("The server is stopping; try again in a moment.", retry_after=5)
