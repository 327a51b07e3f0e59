"""Pages of the history: past writes, newest first, narrowed to a key or a prefix; the same for every database.

The log's frames are the answer unchanged; the database selects them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
from msgspec import Raw

from realtime_kv.core.backend import Unfinished
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.messages import PAGE_BYTES, HistoryPage, Op, read_frame

# a page may consist of small parts of many long writes: this many bytes are read for it, and one write more
_LOOK_BYTES = 1024 * 1024

_encode = msgspec.json.Encoder().encode


class HistorySource(Protocol):
    """A reader, as far as the history needs it."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all statements inside see the data at one moment."""

    def history_floor(self, user_id: int) -> int:
        """Return the revision up to which the history is incomplete."""

    def writes_before(
        self, cost: Cost, user_id: int, before: int, limit: int, *, key: str | None, prefix: str | None
    ) -> tuple[list[int], int | None]:
        """Return the newest wanted writes, and the revision down to which they were searched; None: to the first."""

    def frame_bytes(self, user_id: int, revision: int) -> bytes | None:
        """Return the frame of the write of `revision`."""


def history(
    source: HistorySource,
    cost: Cost,
    user_id: int,
    *,
    key: str | None,
    before: int | None,
    limit: int,
    prefix: str | None,
) -> HistoryPage | Unfinished:
    """Return one page of the writes before the revision `before`, newest first; empty only if there are no more.

    With a `key`, or for a caller with a `prefix`, each write has only its ops on that key or those keys.
    """
    narrow: Callable[[Op], bool] | None = None
    if key is not None:
        narrow = _of_key(key)
    elif prefix is not None:
        narrow = _under(prefix)
    # as bytes: a page is large, and every copy of it holds the interpreter lock
    writes: list[bytes] = []
    size = looked = 0
    start = 2**63 - 1 if before is None else before
    with source.snapshot():
        floor = source.history_floor(user_id)
        revisions, reached = source.writes_before(cost, user_id, start, limit, key=key, prefix=prefix)
        for revision in revisions:
            found = source.frame_bytes(user_id, revision)
            frame = found or b""
            write = frame if narrow is None or not found else _narrowed(frame, narrow)
            if write:
                writes.append(write)
            cost.add(bytes=len(frame))
            size, looked, reached = size + len(write), looked + len(frame), revision
            if size >= PAGE_BYTES or looked >= _LOOK_BYTES:
                break
    if not writes and reached is not None:
        # nothing under the prefix so far; or a purge has removed the write, and not yet its index rows
        going_on = reached
        return Unfinished(
            lambda reader, cost: history(reader, cost, user_id, key=key, before=going_on, limit=limit, prefix=prefix)
        )
    return HistoryPage(writes=Raw(b"".join((b"[", *_joined(writes), b"]"))), floor=floor + 1)


def _of_key(key: str) -> Callable[[Op], bool]:
    return lambda op: op.key == key


def _under(prefix: str) -> Callable[[Op], bool]:
    return lambda op: op.key.startswith(prefix)


def _joined(writes: list[bytes]) -> Iterator[bytes]:
    for number, write in enumerate(writes):
        if number:
            yield b","
        yield write


def _narrowed(frame: bytes, wanted: Callable[[Op], bool]) -> bytes:
    """Return the write with its wanted ops only; empty without such ops."""
    write = read_frame(frame)
    ops = [op for op in write.ops if wanted(op)]
    if len(ops) == len(write.ops):
        return frame
    write.ops = ops
    return _encode(write) if ops else b""
