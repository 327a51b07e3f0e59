"""The ops: what each asks of the entry before it, and what it makes of it."""

from dataclasses import dataclass

from realtime_kv.core.errors import Conflict
from realtime_kv.core.frames import Existed, Version
from realtime_kv.core.record import Record
from realtime_kv.core.space import Draft


@dataclass(slots=True)
class Set:
    """Write `value` (compact JSON text, checked) under `key`, whatever was there."""

    key: str
    value: str
    if_revision: int | None = None

    def apply(self, draft: Draft, now: int) -> Version:
        """Raises Conflict."""
        before = draft.entry(self.key, now)
        check_revision(self.key, self.if_revision, before)
        record = Record(
            key=self.key,
            value=self.value,
            # bytes, not characters: that is what a quota counts
            size=len(self.value) if self.value.isascii() else len(self.value.encode()),
            revision=draft.revision,
            created_revision=before.created_revision if before else draft.revision,
            version=before.version + 1 if before else 1,
            created_at=before.created_at if before else now,
            updated_at=now,
            expires_at=before.expires_at if before else None,
            deleted_at=None,
        )
        draft.put(before, record)
        return Version(record.version)


@dataclass(slots=True)
class Delete:
    """Delete `key` softly: its row keeps the value and `deleted_at` until the purge. An absent key is no error."""

    key: str
    if_revision: int | None = None

    def apply(self, draft: Draft, now: int) -> Existed:
        """Raises Conflict."""
        before = draft.entry(self.key, now)
        check_revision(self.key, self.if_revision, before)
        if before is None:
            return Existed(False)
        draft.remove(before, now)
        return Existed(True)


Op = Set | Delete


def check_revision(key: str, if_revision: int | None, before: Record | None) -> None:
    """Raises Conflict, with the entry that stands there now, unless the entry is still at `if_revision`."""
    if if_revision is None or if_revision == (before.revision if before else 0):
        return
    if before is None:
        raise Conflict(f"{key!r} does not exist, so it is not at {if_revision}; read it again.", entry=None)
    assert before.value is not None, "loaded for every op that asks for a revision"
    raise Conflict(
        f"{key!r} is at revision {before.revision}, not at {if_revision}; read it again.",
        entry=before.shown(before.value),
    )
