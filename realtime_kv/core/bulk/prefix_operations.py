"""Prefix operations: delete, move or copy every key under a prefix as one write.

The writer itself looks up the keys, and the keys that already exist at the target, so that no recent write is missed
and none is overwritten. `from` is one key or, if it ends in `/`, all keys that begin with it.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from realtime_kv.concurrency.runtime import Future
from realtime_kv.core import validation
from realtime_kv.core.domain.operations import Delete, Op, Set
from realtime_kv.core.domain.space import Usage
from realtime_kv.core.engine import planner
from realtime_kv.core.engine.planner import Lookup
from realtime_kv.core.messages import CountResult, Entry, milliseconds
from realtime_kv.errors import BadRequest, Conflict, InvalidKey, TooLarge, Unavailable

# maximum of one write: keys, and bytes of their keys and values
MAX_KEYS = 1000
MAX_BYTES = 8 * 1024 * 1024

# a key, its value (JSON text) if wanted, and its expiry
_Found = tuple[str, str, int | None]
_Ops = Generator[None, None, list[Op]]


class DeletePrefix(Struct, frozen=True):
    """Delete every key that begins with `prefix`."""

    indexed: ClassVar[bool] = False

    prefix: str

    @property
    def places(self) -> tuple[str, ...]:
        return (self.prefix,)

    def ops(self, lookup: Lookup, user_id: int, now: int) -> _Ops:
        """Return the deletes. Raises TooLarge."""
        found = yield from _under(lookup, user_id, self.prefix, now, values=False)
        return [Delete(key) for key, _, _ in found]


class Copy(Struct, frozen=True):
    """Write the entries under `source` under `target` as well, with their remaining time."""

    indexed: ClassVar[bool] = False

    source: str
    target: str

    def __post_init__(self) -> None:
        """Check source and target. Raises BadRequest, InvalidKey."""
        validation.check_key(self.source)
        validation.check_key(self.target)
        if self.source.endswith("/") != self.target.endswith("/"):
            raise BadRequest("`from` and `to` are both a prefix, with a `/` at the end, or both one key.", field="to")
        if self.source == self.target:
            raise BadRequest("`from` and `to` are the same; choose another target.", field="to")

    @property
    def places(self) -> tuple[str, ...]:
        return (self.source, self.target)

    def ops(self, lookup: Lookup, user_id: int, now: int) -> _Ops:
        """Return the sets. Raises NotFound (one key that does not exist), TooLarge, InvalidKey, Conflict."""
        found = yield from self._found(lookup, user_id, now)
        return self._written(lookup, user_id, now, found)

    def _found(self, lookup: Lookup, user_id: int, now: int) -> Generator[None, None, list[_Found]]:
        if self.source.endswith("/"):
            return (yield from _under(lookup, user_id, self.source, now, values=True))
        entry = msgspec.json.decode(lookup.db.get(user_id, self.source, now).entry, type=Entry)
        expires_at = None if entry.expires_at is None else milliseconds(entry.expires_at)
        assert isinstance(entry.value, Raw)
        return [(self.source, bytes(entry.value).decode(), expires_at)]

    def _written(self, lookup: Lookup, user_id: int, now: int, found: list[_Found]) -> list[Op]:
        start = len(self.source)
        targets = [_checked(self.target + key[start:]) for key, _, _ in found]
        lookup.count(lookups=len(targets))
        if (taken := lookup.db.first_live(user_id, targets, now)) is not None:
            key, entry = taken
            raise Conflict(f"{key!r} exists already; delete it or choose another target.", entry=Raw(entry.encode()))
        return [
            Set(target, value, expires_at=expires_at)
            for target, (_, value, expires_at) in zip(targets, found, strict=True)
        ]


class Move(Copy, frozen=True):
    """Write the entries under `source` under `target` instead, with their remaining time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source.endswith("/") and self.target.startswith(self.source):
            raise BadRequest("A prefix cannot be moved into itself; choose another target.", field="to")

    def ops(self, lookup: Lookup, user_id: int, now: int) -> _Ops:
        found = yield from self._found(lookup, user_id, now)
        # no target existed, so no key is both set and deleted
        return [*self._written(lookup, user_id, now, found), *(Delete(key) for key, _, _ in found)]


def measured(written: Future[CountResult], measure: Callable[[], Future[Usage]]) -> Future[CountResult]:
    """Return `written`, but with the actual size in a TooLarge: the writer looks no further than its limit."""
    answer: Future[CountResult] = Future()

    def tell(refusal: TooLarge, measuring: Future[Usage]) -> None:
        if not measuring.failed:
            usage = measuring.result()
            refusal.extra["actual"] = usage.keys if refusal.extra["limit"] == MAX_KEYS else usage.bytes
        answer.fail(refusal)

    def came_out(_: Future[CountResult]) -> None:
        try:
            answer.resolve(written.result())
        except TooLarge as refusal:
            try:
                measure().then(partial(tell, refusal))
            except Unavailable:
                answer.fail(refusal)
        except BaseException as error:  # passed to the waiting caller
            answer.fail(error)

    written.then(came_out)
    return answer


def _under(lookup: Lookup, user_id: int, prefix: str, now: int, *, values: bool) -> Generator[None, None, list[_Found]]:
    # a request for too much costs the writer no more than a request for just enough
    found: list[_Found] = []
    size = 0
    after: str | None = None
    rows = planner.STEP_ROWS
    while True:
        looked, last = lookup.db.reach(user_id, after, prefix, rows)
        lookup.count(rows=looked)
        with lookup.db.live_under(user_id, after, prefix, now, rows, values=values) as live:
            for key, value, expires_at, bytes_ in live:
                size += bytes_
                if len(found) == MAX_KEYS:
                    raise _too_large("keys", MAX_KEYS)
                if size > MAX_BYTES:
                    raise _too_large("bytes", MAX_BYTES)
                found.append((key, value, expires_at))
        if looked < rows or last is None:
            return found
        after = last
        yield


def _too_large(unit: str, limit: int) -> TooLarge:
    return TooLarge(f"There are more than {limit} {unit} under this prefix; use a longer prefix.", limit=limit)


def _checked(target: str) -> str:
    try:
        return validation.check_key(target)
    except InvalidKey as refusal:
        raise InvalidKey(f"{target[:80]!r}… is too long as a new key") from refusal
