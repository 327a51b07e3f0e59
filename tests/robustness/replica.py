"""The client's rule of the protocol (§3) for a checker, without a socket or a clock.

Fed with the messages of a tab, it holds the state that the tab must hold. Tabs run on it, and validators run it again
over the record.
"""

import zlib
from typing import Any, NamedTuple

JsonObject = dict[str, Any]


class Held(NamedTuple):
    """The state that a tab holds of one key."""

    revision: int
    version: int
    value: Any


class Replica:
    """A user's keys up to `revision`; during a sync its pages and all pushes are held back."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.revision = 0
        self.entries: dict[str, Held] = {}
        # the last write known to have touched each key, including a delete
        self.touched: dict[str, int] = {}
        self.digest = 0
        self.syncing = False
        self._pages: list[JsonObject] = []
        self._held_back: list[JsonObject] = []

    def begin_sync(self) -> JsonObject:
        """Begin a sync; return its payload."""
        self.syncing = True
        self._pages = []
        return {} if self.epoch is None else {"epoch": self.epoch, "since": self.revision}

    def abort_sync(self) -> None:
        """Drop the collected pages: the connection is gone."""
        self.syncing = False
        self._pages = []
        self._held_back = []

    def on_page(self, page: JsonObject) -> JsonObject | None:
        """Take a page; return the payload for the next one, or None after the last, when all have been applied."""
        if page["reset"] and page["from"] == 0:
            # also in the middle of a sync: the server could not go on, and starts over
            self._pages = []
        self._pages.append(page)
        if page["next"] is not None:
            return {"next": page["next"]}
        if page["reset"]:
            self.entries, self.digest = {}, 0
        for collected in self._pages:
            self._apply(collected["writes"])
        self.epoch, self.revision = page["epoch"], page["revision"]
        held_back, self._held_back = self._held_back, []
        self.syncing, self._pages = False, []
        for change in held_back:
            self.on_change(change)
        return None

    def on_change(self, change: JsonObject) -> bool:
        """Take a change; return whether it was in step. False asks for a sync."""
        if self.syncing:
            self._held_back.append(change)
            return True
        if change["epoch"] != self.epoch:
            self.epoch = None
            return False
        if change["revision"] <= self.revision:
            return True
        if change["from"] > self.revision:
            return False
        self._apply(write for write in change["writes"] if write["revision"] > self.revision)
        self.revision = change["revision"]
        return True

    def on_bookmark(self, bookmark: JsonObject) -> bool:
        """Take a bookmark; return whether it agrees as far as can be said. False asks for a sync."""
        if self.syncing:
            return True
        if bookmark["epoch"] != self.epoch or not self.agrees(bookmark):
            self.epoch = None
            return False
        return bookmark["revision"] <= self.revision

    def agrees(self, proof: JsonObject) -> bool:
        """Return False if `keys` or `digest` differ from ours at our revision; another revision proves nothing."""
        return proof["revision"] != self.revision or (
            (proof["keys"], proof["digest"]) == (len(self.entries), self.digest)
        )

    def _apply(self, writes: Any) -> None:
        for write in writes:
            for op in write["ops"]:
                self.touched[op["key"]] = write["revision"]
                before = self.entries.pop(op["key"], None)
                if before is not None:
                    self.digest -= digest_of(op["key"], before.revision)
                if op["op"] == "set":
                    self.entries[op["key"]] = Held(write["revision"], op["version"], op["value"])
                    self.digest += digest_of(op["key"], write["revision"])
        self.digest %= 2**32


def digest_of(key: str, revision: int) -> int:
    """Return fmix32(crc32(key) + revision × 0x9E3779B1), implemented anew so that the server's is not its own check."""
    mixed = (zlib.crc32(key.encode()) + revision * 0x9E3779B1) % 2**32
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = (mixed ^ mixed >> shift) * factor % 2**32
    return mixed ^ mixed >> 16
