"""Plans of `restore` and `undo`: the writer looks up the values to write in the tables, in steps."""

from collections.abc import Generator, Iterable, Iterator
from typing import ClassVar

from msgspec import Struct

from realtime_kv.core.domain.operations import Op, Restore, UndoOp
from realtime_kv.core.engine.planner import Lookup
from realtime_kv.core.messages import Op as Written
from realtime_kv.core.messages import SetOp, milliseconds, read_frame
from realtime_kv.core.statements import RowRef
from realtime_kv.errors import BadRequest, NotFound

# keys that one statement looks up
_STEP = 256


class RestorePlan(Struct):
    """Plan to write a key's value again: the one in the trash, or the one of a `revision` in its history."""

    indexed: ClassVar[bool] = True

    key: str
    revision: int | None
    if_revision: int | None

    def ops(self, lookup: Lookup, user_id: int, now: int) -> Generator[None, None, list[Op]]:
        """Return the op. Raises NotFound, and BadRequest if there is no earlier value to write."""
        # a single step
        yield from ()
        entry = lookup.db.last_value(user_id, self.key, now)
        if entry is None:
            raise NotFound("There is no such key, and none in the trash.")
        value, live = entry
        if self.revision is not None:
            value = self._value_at(lookup, user_id, self.revision)
        elif live:
            raise BadRequest("The key is not deleted; give the `revision` to restore.", field="revision")
        return [Restore(self.key, value, self.if_revision)]

    def _value_at(self, lookup: Lookup, user_id: int, revision: int) -> str:
        frame = lookup.db.write_to_key(user_id, self.key, revision)
        lookup.count(bytes=0 if frame is None else len(frame))
        op = None if frame is None else next((op for op in read_frame(frame).ops if op.key == self.key), None)
        if op is None:
            raise NotFound(f"The history of this key has no write at revision {revision}.")
        if not isinstance(op, SetOp):
            raise BadRequest(f"The key was deleted at revision {revision}; choose one that set it.", field="revision")
        return bytes(op.value).decode()


class UndoPlan(Struct):
    """Plan to put back everything that the write of `revision` replaced, or nothing.

    A key whose later writes have been undone counts as that write left it.
    """

    indexed: ClassVar[bool] = True

    revision: int

    def ops(self, lookup: Lookup, user_id: int, now: int) -> Generator[None, None, list[Op]]:
        """Return one op for each op of that write. Raises NotFound if the history does not reach back that far."""
        frame = lookup.db.write_at(user_id, self.revision)
        floor = lookup.db.history_floor(user_id)
        # an older write may have lost some keys, and putting back the others would be half an undo
        if frame is None or self.revision <= floor:
            raise _forgotten(self.revision)
        written = read_frame(frame).ops
        lookup.count(bytes=len(frame))
        at: dict[str, int] = {}
        for keys in _steps(op.key for op in written):
            at |= yield from self._again(lookup, user_id, keys)
        before: dict[str, tuple[str, int | None] | None] = {}
        for keys in _steps(op.key for op in written if not isinstance(op, SetOp) and op.key not in at):
            before |= yield from self._trashed(lookup, user_id, keys, now)
        for keys in _steps(op.key for op in written if not isinstance(op, SetOp) and op.key in at):
            before |= yield from self._earlier(lookup, user_id, keys, now, lasting=True)
        for keys in _steps(op.key for op in written if isinstance(op, SetOp) and op.version > 1):
            before |= yield from self._earlier(lookup, user_id, keys, now)
        # a created key was not there before
        return [UndoOp(op.key, at.get(op.key, self.revision), *(before.get(op.key) or (None, None))) for op in written]

    def _again(self, lookup: Lookup, user_id: int, keys: list[str]) -> Generator[None, None, dict[str, int]]:
        """Return the revisions of keys that undos of later writes have put back to the state that this write left."""
        undoes: dict[int, int | None] = {}
        again: dict[str, int] = {}
        lookup.count(lookups=len(keys))
        for key, last in lookup.db.last_revisions(user_id, keys):
            like: int | None = last
            # an undo puts a key back to its state before the write that it undoes
            while like is not None and like > self.revision:
                if lookup.is_step_over:
                    # keys that were undone and redone many times
                    yield
                if like not in undoes:
                    undoes[like] = lookup.db.undone_by(user_id, like)
                undone = undoes[like]
                like = None
                if undone is not None:
                    lookup.count(lookups=1)
                    like = lookup.db.revision_before(user_id, key, undone)
            if last is not None and like == self.revision != last:
                again[key] = last
        return again

    def _trashed(
        self, lookup: Lookup, user_id: int, keys: list[str], now: int
    ) -> Generator[None, None, dict[str, tuple[str, int | None]]]:
        """Return the deleted values to put back, with their expiry; one that has passed becomes never."""
        if lookup.is_step_over:
            yield
        lookup.count(lookups=len(keys))
        rows = lookup.db.trashed_values(user_id, keys)
        return {
            key: (value, None if expires_at is None or expires_at <= now else expires_at)
            for key, value, expires_at in rows
        }

    def _earlier(
        self, lookup: Lookup, user_id: int, keys: list[str], now: int, *, lasting: bool = False
    ) -> Generator[None, None, dict[str, tuple[str, int | None] | None]]:
        """Return the overwritten values; None for keys that were restored from the trash or would have expired by now.

        With `lasting`, values that would have expired never expire instead.
        """
        found: dict[str, tuple[str, int | None] | None] = {}
        rows: dict[RowRef, set[str]] = {}
        lookup.count(lookups=len(keys))
        for key, row in lookup.db.rows_before(user_id, keys, self.revision):
            if row is None:
                raise _forgotten(self.revision)
            rows.setdefault(row, set()).add(key)
        # one by one: together they may exceed the memory
        for row, wanted in rows.items():
            if lookup.is_step_over:
                yield
            frame = lookup.db.frame_of_row(row)
            if frame is not None:
                lookup.count(bytes=len(frame))
                found |= {op.key: _stood(op, now, lasting) for op in read_frame(frame).ops if op.key in wanted}
        if len(found) < len(keys):
            raise _forgotten(self.revision)
        return found


def _stood(op: Written, now: int, lasting: bool) -> tuple[str, int | None] | None:
    if not isinstance(op, SetOp):
        return None
    expires_at = milliseconds(op.expires_at) if isinstance(op.expires_at, str) else None
    if expires_at is not None and expires_at <= now:
        if not lasting:
            return None
        expires_at = None
    return bytes(op.value).decode(), expires_at


def _steps(keys: Iterable[str]) -> Iterator[list[str]]:
    every = list(keys)
    return (every[start : start + _STEP] for start in range(0, len(every), _STEP))


def _forgotten(revision: int) -> NotFound:
    return NotFound(
        f"The history no longer has the values that the write of revision {revision} replaced; nothing was undone."
    )
