"""Reads of a user's space: first brought up to date, then done in steps, charged for when they are done.

A read that takes more than one step is queued anew for each, so that others are served in between. One whose caller has
gone, whose session has ended, or whose caller owes too much by now is dropped while it waits.
"""

from collections.abc import Callable
from typing import Any, Protocol

from realtime_kv.concurrency.fair_pool import Client, FairPool
from realtime_kv.core import database
from realtime_kv.core.caller import Caller
from realtime_kv.core.cost import Cost
from realtime_kv.core.errors import RateLimited, Refusal, Unauthenticated, Unavailable
from realtime_kv.core.runtime import Future

# what a step does, given the driver's connection and where it counts its cost
Step = Callable[[Any, Cost], Any]
# settles what a caller has used; the seconds after which they may go on, if they owe too much
Charge = Callable[[Caller, int], int]


class Unfinished:
    """A step's answer: nothing was found yet, and `go_on` looks further."""

    __slots__ = ("go_on",)

    def __init__(self, go_on: Step) -> None:
        self.go_on = go_on


class UpToDate(Protocol):
    """Brings a user's tables up to date; None where they are."""

    def __call__(self, user_id: int, *, indexed: bool) -> Future[None] | None: ...


class _Reading:
    __slots__ = ("answer", "caller", "cost", "expected_ms", "kind", "over")

    def __init__(self, caller: Caller, kind: str, expected_ms: float) -> None:
        self.caller = caller
        self.kind = kind
        self.expected_ms = expected_ms
        self.cost = Cost()
        self.answer: Future[Any] = Future()
        self.over = False


class Readings:
    """Every read that is on its way. Called on the edge's thread."""

    def __init__(self, pool: FairPool, up_to_date: UpToDate) -> None:
        self._pool = pool
        self._up_to_date = up_to_date
        self._open: dict[_Reading, None] = {}
        self.charge: Charge = lambda _caller, _units: 0

    def submit(
        self, caller: Caller, step: Step, kind: str, *, expected_ms: float = 1.0, indexed: bool = False
    ) -> Future[Any]:
        """The answer of `step`, or of the last of its steps. Raises RateLimited, Unavailable."""
        reading = _Reading(caller, kind, expected_ms)
        flush = self._up_to_date(caller.user_id, indexed=indexed)
        self._open[reading] = None
        reading.answer.then(lambda _: self._open.pop(reading, None))
        if flush is None:
            try:
                self._take(reading, step)
            except Refusal:
                self._open.pop(reading, None)
                raise
        else:
            flush.then(lambda flushed: self._flushed(reading, step, flushed))
        return reading.answer

    def abandon(self, caller: Caller) -> None:
        """The connection of this caller has closed: nobody waits for the answers."""
        self._pool.abandon(Client(caller.user_id, caller.session_id, caller))
        for reading in [reading for reading in self._open if reading.caller is caller]:
            self._end(reading, Unavailable("The connection that asked for this has closed."))

    def end_session(self, user_id: int, session_id: int) -> None:
        """This session is over: its reads that wait are refused."""
        over = Unauthenticated("Your session has ended; sign in again.")
        self._pool.drop(user_id, session_id, lambda: over)
        for reading in [reading for reading in self._open if reading.caller.session_id == session_id]:
            self._end(reading, over)

    def _flushed(self, reading: _Reading, step: Step, flushed: Future[None]) -> None:
        try:
            flushed.result()
            if not reading.over:
                self._take(reading, step)
        except BaseException as error:  # handed to whoever waits
            self._end(reading, error)

    def _take(self, reading: _Reading, step: Step, *, first: bool = False) -> None:
        caller, cost = reading.caller, reading.cost
        self._pool.submit(
            lambda connection: step(database.driver(connection), cost),
            Client(caller.user_id, caller.session_id, caller),
            kind=reading.kind,
            expected_ms=reading.expected_ms,
            first=first,
        ).then(lambda taken: self._taken(reading, taken))

    def _taken(self, reading: _Reading, taken: Future[Any]) -> None:
        # what was begun is paid for, whoever has gone meanwhile
        self._settle(reading)
        if reading.over:
            return
        try:
            answer = taken.result()
            if isinstance(answer, Unfinished):
                self._take(reading, answer.go_on, first=True)
                return
        except BaseException as error:  # handed to whoever waits
            self._end(reading, error)
        else:
            reading.over = True
            reading.answer.resolve(answer)

    def _end(self, reading: _Reading, error: BaseException) -> None:
        if not reading.over:
            reading.over = True
            reading.answer.fail(error)

    def _settle(self, reading: _Reading) -> None:
        """Charge for what was looked at. Whoever owes too much has nothing done that still waits."""
        units, reading.cost = reading.cost.units, Cost()
        caller = reading.caller
        if units and (seconds := self.charge(caller, units)):
            error = RateLimited(
                f"Your reads have looked at too much at once; go on in {seconds} s.", retry_after=seconds
            )
            self._pool.drop(caller.user_id, caller.session_id, lambda: error)
