"""Ops: their condition on the entry before them, and the entry that they produce."""

from msgspec import UNSET, Struct, UnsetType

from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import PendingWrite
from realtime_kv.core.messages import DeleteOp, Existed, SetOp, Version, digest_of, milliseconds
from realtime_kv.errors import Conflict, NotFound


class Set(Struct, gc=False):
    """Write `value` (compact JSON text, checked) under `key`, with or without an entry; `canonical`: see values.Value.

    With neither `ttl` (seconds) nor `expires_at` (milliseconds since 1970) the entry keeps its expiry; None is never.
    """

    key: str
    value: str
    if_revision: int | None = None
    canonical: bytes = b""
    ttl: float | UnsetType | None = UNSET
    expires_at: int | UnsetType | None = UNSET

    def apply(self, draft: PendingWrite, now: int) -> Version:
        """Apply to `draft`. Raises Conflict."""
        key, value, revision = self.key, self.value, draft.revision
        before = draft.entry(key, now)
        if self.if_revision is not None:
            _check_conflict(key, self.if_revision, before)
        created_revision, version, created_at, expires_at = revision, 1, now, None
        if before is not None:
            created_revision, version = before.created_revision, before.version + 1
            created_at, expires_at = before.created_at, before.expires_at
        if self.expires_at is not UNSET:
            expires_at = self.expires_at
        elif self.ttl is not UNSET:
            expires_at = None if self.ttl is None else now + max(1, round(self.ttl * 1000))
        size, digest = _bytes(key) + _bytes(value), digest_of(key, revision)
        # positional arguments: keyword arguments would make this the most expensive line of a write
        draft.put(
            EntryState(
                key, value, size, digest, revision, created_revision, version, created_at, now, expires_at, None,
                draft.origin,
            )
        )  # fmt: skip
        return Version(version)


class Delete(Struct, gc=False):
    """Delete `key` softly: its row keeps the value and `deleted_at` until the purge. An absent key is no error."""

    key: str
    if_revision: int | None = None

    def apply(self, draft: PendingWrite, now: int) -> Existed:
        """Apply to `draft`. Raises Conflict."""
        before = draft.entry(self.key, now)
        if self.if_revision is not None:
            _check_conflict(self.key, self.if_revision, before)
        if before is None:
            return Existed(False)
        _put_in_trash(before, draft, now)
        return Existed(True)


class Restore(Struct, gc=False):
    """Write an earlier `value` of `key` again; the version continues from the key's row: live, or in the trash."""

    key: str
    value: str
    if_revision: int | None = None
    expires_at: int | None = None

    def apply(self, draft: PendingWrite, now: int) -> Version:
        """Apply to `draft`. Raises NotFound if the key has no row, Conflict."""
        before = draft.row(self.key)
        if self.if_revision is not None:
            _check_conflict(self.key, self.if_revision, draft.entry(self.key, now))
        if before is None:
            raise NotFound("There is no such key, and none in the trash.")
        record = _renewed(before, self.value, self.expires_at, draft, now)
        draft.put(record)
        return Version(record.version)


class Expire(Struct, gc=False):
    """Delete `key` if it has expired; an earlier write that renewed it or extended its expiry wins."""

    key: str
    # the same attribute as the other ops have
    if_revision: None = None

    def apply(self, draft: PendingWrite, now: int) -> Existed:
        before = draft.expired(self.key, now)
        if before is None:
            return Existed(False)
        _put_in_trash(before, draft, now)
        return Existed(True)


class UndoOp(Struct, gc=False):
    """Undo a write's effect on `key`, which is at `if_revision`: put back `value`, or nothing (None)."""

    key: str
    if_revision: int
    value: str | None
    expires_at: int | None = None

    def apply(self, draft: PendingWrite, now: int) -> Version | Existed:
        """Apply to `draft`. Raises Conflict unless the key is still as that write left it."""
        before, live = draft.row(self.key), draft.entry(self.key, now)
        # an expired entry has nothing left to undo, and a deleted one cannot be deleted
        gone = live is None and (before is None or before.deleted_at is None or self.value is None)
        if before is None or before.revision != self.if_revision or gone:
            raise Conflict(
                f"{self.key!r} was changed after revision {self.if_revision}; nothing was undone.",
                entry=live.shown(live.value) if live is not None and live.value is not None else None,
                key=self.key,
            )
        if self.value is None:
            _put_in_trash(before, draft, now)
            return Existed(True)
        record = _renewed(before, self.value, self.expires_at, draft, now)
        draft.put(record)
        return Version(record.version)


Op = Set | Delete | Expire | Restore | UndoOp


def adds(op: Op) -> bool:
    """Return whether this op may make its space larger; an op that only deletes does not."""
    return not isinstance(op, Delete | Expire) and not (isinstance(op, UndoOp) and op.value is None)


def repeat(op: SetOp | DeleteOp, draft: PendingWrite, now: int) -> None:
    """Apply an op of an accepted write to `draft` again, without its conditions: the op contains its result."""
    before = draft.row(op.key)
    if isinstance(op, DeleteOp):
        assert before is not None, "what has been deleted has been there"
        _put_in_trash(before, draft, now)
        return
    value = bytes(op.value).decode()
    expires_at = milliseconds(op.expires_at) if isinstance(op.expires_at, str) else None
    if op.version > 1:
        assert before is not None, "what goes on counting has been there"
        draft.put(_renewed(before, value, expires_at, draft, now))
    else:
        revision, size = draft.revision, _bytes(op.key) + _bytes(value)
        draft.put(
            EntryState(
                op.key, value, size, digest_of(op.key, revision), revision, revision, 1, now, now, expires_at, None,
                draft.origin,
            )
        )  # fmt: skip


def _renewed(before: EntryState, value: str, expires_at: int | None, draft: PendingWrite, now: int) -> EntryState:
    key, revision = before.key, draft.revision
    return EntryState(
        key, value, _bytes(key) + _bytes(value), digest_of(key, revision), revision, before.created_revision,
        before.version + 1, before.created_at, now, expires_at, None, draft.origin,
    )  # fmt: skip


def _put_in_trash(before: EntryState, draft: PendingWrite, now: int) -> None:
    draft.remove(
        EntryState(
            before.key,
            before.value,
            before.size,
            before.digest,
            draft.revision,
            before.created_revision,
            before.version,
            before.created_at,
            now,
            before.expires_at,
            now,
            draft.origin,
        )
    )


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_conflict(key: str, if_revision: int, before: EntryState | None) -> None:
    """Raise Conflict, with the current entry, unless the entry is still at `if_revision`."""
    if if_revision == (before.revision if before else 0):
        return
    if before is None:
        raise Conflict(f"{key!r} does not exist, so it is not at revision {if_revision}; read it again.", entry=None)
    assert before.value is not None, "loaded for every op that asks for a revision"
    raise Conflict(
        f"{key!r} is at revision {before.revision}, not at {if_revision}; read it again.",
        entry=before.shown(before.value),
    )
