"""Deadline queue: items that are due a fixed time after they were added, with one timer instead of a timer each.

Ten thousand idle tabs are ten thousand pings every 25 seconds. Due items are handled in slices, so that tabs that
connected together (after a restart, say) do not delay the others together in every round.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

SLICE = 200


class DeadlineQueue(Generic[T]):
    """Calls `due(item)` once, `seconds` after `add(item)`, in order of addition."""

    def __init__(
        self,
        seconds: float,
        due: Callable[[T], None],
        call_later: Callable[[float, Callable[[], None]], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._due = due
        self._call_later = call_later
        self._clock = clock
        self._waiting: deque[tuple[float, T]] = deque()
        self._running = False

    def add(self, item: T) -> None:
        self._waiting.append((self._clock() + self._seconds, item))
        if not self._running:
            self._running = True
            self._call_later(self._seconds, self._run)

    def _run(self) -> None:
        now = self._clock()
        waiting = self._waiting
        try:
            for _ in range(SLICE):
                if not waiting or waiting[0][0] > now:
                    break
                self._due(waiting.popleft()[1])
        finally:
            if waiting:
                self._call_later(max(0.0, waiting[0][0] - now), self._run)
            else:
                self._running = False
