"""Base of maintenance in small steps, between which other writes run; never on the event loop's thread."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.statements import Position, RetentionStatements
from realtime_kv.core.store import Store

T = TypeVar("T")

# maximum that one step reads, and that it changes: a few milliseconds during which all writes wait
LOOK_ROWS = 4096
STEP_ROWS = 512
STEP_BYTES = 4 * 1024 * 1024
LOW_STEP_BYTES = 256 * 1024


class StepwiseJob:
    """Runs steps on one store, and waits for each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def _step_bytes(self) -> int:
        """The bytes that one step changes at most; few on a full disk, where the write-ahead log can hardly grow."""
        return LOW_STEP_BYTES if self._store.reserve.is_low else STEP_BYTES

    def _write(self, fn: Callable[[RetentionStatements], T]) -> T:
        """Run `fn(statements)` in a transaction of its own."""
        backend = self._store.backend
        return self._wait(self._store.writer.run_in_transaction(lambda connection: fn(backend.retention(connection))))

    def _look(self, fn: Callable[[RetentionStatements], T]) -> T:
        """Run `fn(statements)` on a reader."""
        return self._wait(self._store.readers.submit(lambda reader: fn(reader.retention)))

    def _scan(
        self, part: Callable[[RetentionStatements, Position | None], tuple[list[T], Position | None]]
    ) -> Iterator[list[T]]:
        """Yield the parts of a scan; `part(statements, position)` returns the rows after the position, and the next."""
        after: Position | None = None
        while True:
            rows, after = self._look(partial(_run_part, part=part, after=after))
            yield rows
            if after is None:
                return

    def _wait(self, future: Future[T]) -> T:
        return self._store.runtime.wait(future)


def _run_part(
    db: RetentionStatements,
    part: Callable[[RetentionStatements, Position | None], tuple[list[T], Position | None]],
    after: Position | None,
) -> tuple[list[T], Position | None]:
    return part(db, after)
