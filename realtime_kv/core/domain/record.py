"""An entry as the writer holds it."""

from msgspec import Raw, Struct

from realtime_kv.core.messages import Entry, timestamp


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
