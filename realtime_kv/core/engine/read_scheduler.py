"""Reads of a user's space: first brought up to date, then done in steps, and charged for when they are done.

A read of more than one step is queued again for each step, so that others are served in between. A waiting read is
dropped when its caller has gone, its session has ended, or its caller owes too much. Reads that arrive during a flush
of their user's tables share the next one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from realtime_kv.caller import Caller
from realtime_kv.concurrency.fair_pool import Client, FairWorkerPool
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core.backend import ReadStep, Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.errors import RateLimited, Refusal, Unauthenticated, Unavailable

# reads that start in one delivery, so that the event loop serves others in between
STARTED_TOGETHER = 16

# charges a caller for units; returns the seconds until they may continue, if they owe too much
Charge = Callable[[Caller, int], int]


class UpToDate(Protocol):
    """Brings a user's tables up to date; returns None if they are."""

    def __call__(self, user_id: int, *, indexed: bool) -> Future[None] | None: ...


class _Reading:
    __slots__ = ("answer", "caller", "cost", "expected_ms", "kind", "over", "step")

    def __init__(self, caller: Caller, step: ReadStep, kind: str, expected_ms: float) -> None:
        self.caller = caller
        self.step = step
        self.kind = kind
        self.expected_ms = expected_ms
        self.cost = Cost()
        self.answer: Future[Any] = Future()
        self.over = False


class ReadScheduler:
    """All open reads. Called on the event loop's thread."""

    def __init__(self, runtime: Runtime, pool: FairWorkerPool, up_to_date: UpToDate) -> None:
        self._runtime = runtime
        self._pool = pool
        self._up_to_date = up_to_date
        self._open: dict[_Reading, None] = {}
        # by user, and whether with the history index: the reads that arrived during the running flush
        self._next: dict[tuple[int, bool], list[_Reading]] = {}
        self.charge: Charge = lambda _caller, _units: 0

    def submit(
        self, caller: Caller, step: ReadStep, kind: str, *, expected_ms: float = 1.0, indexed: bool = False
    ) -> Future[Any]:
        """Run `step` and its further steps; the future gets the last answer. Raises RateLimited, Unavailable."""
        reading = _Reading(caller, step, kind, expected_ms)
        waiting = self._next.get((caller.user_id, indexed))
        if waiting is not None:
            waiting.append(reading)
        elif (flush := self._up_to_date(caller.user_id, indexed=indexed)) is not None:
            self._wait_for(flush, (caller.user_id, indexed), [reading])
        else:
            self._take(reading, step)
        if not reading.over:
            self._open[reading] = None
            reading.answer.then(lambda _: self._open.pop(reading, None))
        return reading.answer

    def abandon(self, caller: Caller) -> None:
        """Drop the reads of this caller, whose connection has closed."""
        self._pool.abandon(Client(caller.user_id, caller.session_id, caller))
        for reading in [reading for reading in self._open if reading.caller is caller]:
            self._end(reading, Unavailable("The connection that asked for this has closed."))

    def end_session(self, user_id: int, session_id: int) -> None:
        """Refuse the waiting reads of a session that has ended."""
        over = Unauthenticated("Your session has ended; sign in again.")
        self._pool.drop(user_id, session_id, lambda: over)
        for reading in [reading for reading in self._open if reading.caller.session_id == session_id]:
            self._end(reading, over)

    def _wait_for(self, flush: Future[None], key: tuple[int, bool], readings: list[_Reading]) -> None:
        self._next[key] = []
        flush.then(lambda flushed: self._flushed(key, readings, flushed))

    def _flushed(self, key: tuple[int, bool], readings: list[_Reading], flushed: Future[None]) -> None:
        arrived = self._next.pop(key)
        try:
            flushed.result()
        except BaseException as error:  # passed to the waiting callers
            self._end_all(readings, error)
        else:
            self._start(readings)
        if not arrived:
            return
        try:
            flush = self._up_to_date(key[0], indexed=key[1])
        except Refusal as error:
            self._end_all(arrived, error)
            return
        if flush is None:
            self._start(arrived)
        else:
            self._wait_for(flush, key, arrived)

    def _start(self, readings: list[_Reading]) -> None:
        for reading in readings[:STARTED_TOGETHER]:
            if not reading.over:
                try:
                    self._take(reading, reading.step)
                except Refusal as error:
                    self._end(reading, error)
        if len(readings) > STARTED_TOGETHER:
            self._runtime.deliver(partial(self._start, readings[STARTED_TOGETHER:]))

    def _end_all(self, readings: list[_Reading], error: BaseException) -> None:
        for reading in readings:
            self._end(reading, error)

    def _take(self, reading: _Reading, step: ReadStep, *, first: bool = False) -> None:
        caller, cost = reading.caller, reading.cost
        self._pool.submit(
            lambda reader: step(reader, cost),
            Client(caller.user_id, caller.session_id, caller),
            kind=reading.kind,
            expected_ms=reading.expected_ms,
            first=first,
        ).then(lambda taken: self._taken(reading, taken))

    def _taken(self, reading: _Reading, taken: Future[Any]) -> None:
        # a step that has run is charged, even if its caller has gone meanwhile
        self._settle(reading)
        if reading.over:
            return
        try:
            answer = taken.result()
            if isinstance(answer, Unfinished):
                self._take(reading, answer.next_step, first=True)
                return
        except BaseException as error:  # passed to the waiting caller
            self._end(reading, error)
        else:
            reading.over = True
            reading.answer.resolve(answer)

    def _end(self, reading: _Reading, error: BaseException) -> None:
        if not reading.over:
            reading.over = True
            reading.answer.fail(error)

    def _settle(self, reading: _Reading) -> None:
        """Charge for the rows and bytes read. Waiting reads of a caller who owes too much are dropped."""
        units, reading.cost = reading.cost.units, Cost()
        caller = reading.caller
        if units and (seconds := self.charge(caller, units)):
            error = RateLimited(
                f"Your reads examined too much data at once; try again in {seconds} s.", retry_after=seconds
            )
            self._pool.drop(caller.user_id, caller.session_id, lambda: error)
