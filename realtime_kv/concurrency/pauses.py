"""Pauses: work that waits until its client has made up for the time it has used beyond its budget.

All waiting work of one client has one timer, and stops again as soon as the client has to pause again: two hundred
connections of one user cost no more than one. Not thread-safe: everything runs on the event loop.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import NamedTuple

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.concurrency.time_slices import TimeSlices


class _Work(NamedTuple):
    """`overdue` returns the seconds for which it must not continue yet."""

    overdue: Callable[[], float]
    go_on: Callable[[], None]


class Pauses:
    """The waiting work of all clients; after a pause it also waits for the client's turn."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: dict[Hashable, deque[_Work]] = {}

    def wait(
        self,
        client: Hashable,
        seconds: float,
        slices: TimeSlices,
        payer: Hashable,
        overdue: Callable[[], float],
        go_on: Callable[[], None],
    ) -> None:
        """Call `go_on` in a turn of `payer` after `seconds`, or later if work of `client` is `overdue` again by then.

        `go_on` may call `wait` again.
        """
        work = _Work(overdue, go_on)
        waiting = self._waiting.get(client)
        if waiting is not None:
            waiting.append(work)
            return
        self._waiting[client] = deque([work])
        self._expect(client, seconds, slices, payer)

    def _expect(self, client: Hashable, seconds: float, slices: TimeSlices, payer: Hashable) -> None:
        def wait() -> None:
            slices.wait(payer, lambda: self._go_on(client, slices, payer))

        if seconds:
            self._runtime.call_later(seconds, wait)
        else:
            wait()

    def _go_on(self, client: Hashable, slices: TimeSlices, payer: Hashable) -> None:
        waiting, seconds = self._waiting[client], 0.0
        try:
            # work that is added meanwhile waits for another turn
            for _ in range(len(waiting)):
                seconds = waiting[0].overdue()
                if seconds or not slices.left(payer):
                    break
                waiting.popleft().go_on()
        finally:
            if waiting:
                self._expect(client, seconds, slices, payer)
            else:
                del self._waiting[client]
