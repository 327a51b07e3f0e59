"""Work on real threads, in turns: each network has a line of its own, and the threads go from line to line.

So whoever brings much keeps only themselves waiting, and one who comes from elsewhere is next. When too many wait, the
last in the longest line is sent away. Everything here happens on the edge's thread, but for the work itself.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from realtime_kv.core.errors import RateLimited, Refusal
from realtime_kv.core.runtime import Future, Runtime, Workers

T = TypeVar("T")

THREADS = 2
MOST_WAITING = 64


@dataclass(eq=False)
class _Piece:
    fn: Callable[[Any], Any]
    future: Future[Any] = field(default_factory=Future)


class Turns:
    """Two threads, each with a `resource` of its own, and the lines before them."""

    def __init__(self, runtime: Runtime, name: str, resource: Callable[[], Any] = lambda: None) -> None:
        self._workers = Workers(runtime, THREADS, name=name, resource=resource)
        self._lines: dict[str, deque[_Piece]] = {}
        self._waiting = 0
        self._at_work = 0

    def submit(self, network: str, fn: Callable[[Any], T]) -> Future[T]:
        """The answer of `fn(resource)`, at this network's turn. Fails with RateLimited, or Unavailable at a stop."""
        piece = _Piece(fn)
        if self._waiting >= MOST_WAITING and not self._make_room(network):
            piece.future.fail(RateLimited())
            return piece.future
        self._lines.setdefault(network, deque()).append(piece)
        self._waiting += 1
        self._go_on()
        return piece.future

    def stop(self) -> None:
        """End the threads; whoever still waits hears of it."""
        self._workers.stop()

    def _make_room(self, network: str) -> bool:
        """Whether somebody else had to go: one whose line is the longest, and longer than this one is to be."""
        longest = max(self._lines.values(), key=len)
        if len(longest) <= len(self._lines.get(network, ())) + 1:
            return False
        self._waiting -= 1
        longest.pop().future.fail(RateLimited())
        return True

    def _go_on(self) -> None:
        # one more than there are threads, so that none of them waits for us
        while self._lines and self._at_work <= THREADS:
            network, line = next(iter(self._lines.items()))
            del self._lines[network]
            piece = line.popleft()
            if line:
                self._lines[network] = line
            self._waiting -= 1
            self._work(piece)

    def _work(self, piece: _Piece) -> None:
        try:
            work = self._workers.submit(piece.fn)
        except Refusal as refusal:
            piece.future.fail(refusal)
            return
        self._at_work += 1
        work.then(self._done)
        piece.future.become(work)

    def _done(self, _: Future[Any]) -> None:
        self._at_work -= 1
        self._go_on()
