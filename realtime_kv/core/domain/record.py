"""An entry as the writer holds it."""

import msgspec
from msgspec import Raw, Struct

from realtime_kv.core.messages import Entry, GetResult, timestamp
from realtime_kv.errors import NotFound


class EntryState(Struct, gc=False):
    """A key, live or in the trash, as the write of `revision` left it; `size` counts the bytes of key and value.

    `digest` is its part of the digest of its space while it is live.

    `value` is None if only the tables have it; `origin` (JSON) is known only for records that the tables lack.
    """

    key: str
    value: str | None
    size: int
    digest: int
    revision: int
    created_revision: int
    version: int
    created_at: int
    updated_at: int
    expires_at: int | None = None
    deleted_at: int | None = None
    origin: str = ""

    def is_live(self, now: int) -> bool:
        """Return whether the entry is neither deleted nor expired; otherwise it does not exist."""
        return self.deleted_at is None and (self.expires_at is None or self.expires_at > now)

    def shown(self, value: str) -> Entry:
        """Return the entry as a client sees it, with its `value`."""
        return Entry(
            key=self.key,
            value=Raw(value.encode()),
            revision=self.revision,
            created_revision=self.created_revision,
            version=self.version,
            created_at=timestamp(self.created_at),
            updated_at=timestamp(self.updated_at),
            expires_at=None if self.expires_at is None else timestamp(self.expires_at),
        )


# a key, its record before an op, and the one after it
Replaced = tuple[str, EntryState | None, EntryState]


def get_result(record: EntryState, value: str | None, now: int) -> GetResult:
    """Return the answer of `get` for a record with this value. Raises NotFound if it is not live."""
    if value is None or not record.is_live(now):
        raise not_found(record.deleted_at)
    return GetResult(entry=Raw(msgspec.json.encode(record.shown(value))))


def not_found(deleted_at: int | None) -> NotFound:
    """Return the refusal for a key without a live entry; `deleted_at` if it is in the trash."""
    extra = {} if deleted_at is None else {"deleted_at": timestamp(deleted_at)}
    return NotFound("There is no such key.", **extra)
