"""A copy of a user's space, kept by the client's rule of docs/protocol.md ("Synchronization"), with verification."""

import zlib
from typing import Any, Literal

Frame = dict[str, Any]
Effect = Literal["applied", "repeated", "gap", "held"]


class Replica:
    """The entries, `{key: (revision, value)}`, and the position they are at."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.revision = 0
        self.entries: dict[str, tuple[int, Any]] = {}
        self._pages: list[Frame] = []
        self._held: list[Frame] | None = None

    @property
    def is_syncing(self) -> bool:
        return self._held is not None

    def position(self) -> Frame:
        """Return the sync request that asks for only the missing changes."""
        return {} if self.epoch is None else {"epoch": self.epoch, "since": self.revision}

    def apply(self, change: Frame) -> Effect:
        """Apply a pushed change: `applied`, `repeated` (known, dropped), `gap` (needs a sync) or `held` (syncing)."""
        if self._held is not None:
            self._held.append(change)
            return "held"
        if change["epoch"] != self.epoch or change["from"] > self.revision:
            return "gap"
        if change["revision"] <= self.revision:
            return "repeated"
        self._write([write for write in change["writes"] if write["revision"] > self.revision])
        self.revision = change["revision"]
        return "applied"

    def begin_sync(self) -> Frame:
        """Begin a sync, or begin it again; return its first request.

        Changes are held back until `end_sync`. Those held back before are dropped: the answer to the request has them.
        """
        self._pages.clear()
        self._held = []
        return self.position()

    def end_sync(self) -> list[Frame]:
        """Stop holding changes back; return the held ones, which are to be applied now."""
        held, self._held = self._held or [], None
        return held

    def take(self, page: Frame) -> Frame | None:
        """Collect a page of a sync; return the next request, or None after the last page, when all are applied."""
        if self._pages and page["from"] != self._pages[-1]["revision"]:
            # the requested page was no longer valid: this is the first page of a new sync
            self._pages.clear()
        self._pages.append(page)
        if page["next"] is None:
            if page["reset"]:
                self.entries.clear()
            for collected in self._pages:
                self._write(collected["writes"])
            self.epoch, self.revision = page["epoch"], page["revision"]
            self._pages.clear()
            return None
        return {"next": page["next"]}

    @property
    def keys(self) -> int:
        return len(self.entries)

    @property
    def digest(self) -> int:
        return sum(digest_of(key, revision) for key, (revision, _) in self.entries.items()) & 0xFFFFFFFF

    def proves(self, bookmark: Frame) -> bool:
        """Return whether this copy has the same keys at the same revisions as the server had at the bookmark."""
        return (self.epoch, self.revision, self.keys, self.digest) == (
            bookmark["epoch"],
            bookmark["revision"],
            bookmark["keys"],
            bookmark["digest"],
        )

    def _write(self, writes: list[Frame]) -> None:
        for write in writes:
            for op in write["ops"]:
                if op["op"] == "set":
                    self.entries[op["key"]] = (write["revision"], op["value"])
                else:
                    self.entries.pop(op["key"], None)


def digest_of(key: str, revision: int) -> int:
    """Return one live key's part of the digest of its space; the sum is taken modulo 2^32."""
    h = zlib.crc32(key.encode()) + revision * 0x9E3779B1 & 0xFFFFFFFF
    # fmix32, the finalizer of MurmurHash3
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16
