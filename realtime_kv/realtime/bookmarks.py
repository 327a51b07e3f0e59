"""Bookmarks: the position of a space, which its tabs get after a sync and regularly, to notice a lost message."""

from collections.abc import Callable, Mapping

import msgspec

from realtime_kv.concurrency.runtime import Runtime, repeat
from realtime_kv.core.messages import Bookmark, SyncPage
from realtime_kv.core.store import Store
from realtime_kv.realtime import prefix_fanout
from realtime_kv.realtime.engineio.server import Frame, event_frame
from realtime_kv.realtime.prefix_fanout import Send
from realtime_kv.realtime.rooms import Room, Tab

# how often a tab gets one
BOOKMARK_SECONDS = 20
# the rooms get them in this many slices: all rooms at once would delay everyone else
BOOKMARK_SHARES = 80

_encode = msgspec.json.Encoder().encode


class Bookmarks:
    """Sends bookmarks to tabs: `send` and `emit` collect frames for one tab or several, `flush` sends them."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        rooms: Mapping[int, Room],
        send: Send,
        emit: Callable[[Mapping[str, Tab], Frame], None],
        flush: Callable[[], None],
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._send = send
        self._emit = emit
        self._flush = flush
        # the rooms that are left of this round, and its slices
        self._unmarked: list[Room] = []
        self._shares_left = 0
        repeat(runtime, BOOKMARK_SECONDS / BOOKMARK_SHARES, self.send_slice)

    def send_slice(self) -> None:
        """Send bookmarks to a slice of the rooms."""
        if not self._shares_left:
            self._unmarked, self._shares_left = list(self._rooms.values()), BOOKMARK_SHARES
        share = -(-len(self._unmarked) // self._shares_left)
        self._shares_left -= 1
        for room in self._unmarked[:share]:
            if room.bookmark is not None:
                self._emit(room.whole, event_frame("bookmark", _encode(room.bookmark)))
            for tab in room.limited.values():
                prefix_fanout.bookmark(tab, self._store.epoch, self._send)
        del self._unmarked[:share]
        self._flush()

    def send_after_sync(self, tab: Tab, synced: SyncPage) -> None:
        """Send the bookmark that follows the last page of a sync."""
        if tab.caller.prefix is not None:
            prefix_fanout.synced(tab, synced, self._send)
            return
        assert isinstance(synced.keys, int) and isinstance(synced.digest, int)
        read = Bookmark(epoch=synced.epoch, revision=synced.revision, keys=synced.keys, digest=synced.digest)
        room = tab.room
        if room.bookmark is None:
            room.bookmark = read
        # changes pushed since the sync was read are already on their way to this tab
        latest = max(read, room.bookmark, key=lambda bookmark: bookmark.revision)
        self._send(tab, event_frame("bookmark", _encode(latest)))
