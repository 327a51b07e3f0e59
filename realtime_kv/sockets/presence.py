"""Who else is there: every tab of a room is told when one comes or goes."""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from realtime_kv.core.runtime import Runtime
from realtime_kv.sockets.rooms import Room, Tab
from realtime_kv.sockets.transport import Frame, event_frame

# a small room hears of it at once; a large one a few times a second
AT_ONCE = 8
SECONDS = 0.5

_encode = msgspec.json.Encoder().encode


class Presence:
    """Tells rooms; `emit` gathers a frame for some tabs, `flush` sends what has been gathered."""

    def __init__(
        self, runtime: Runtime, emit: Callable[[Mapping[str, Tab], Frame], None], flush: Callable[[], None]
    ) -> None:
        self._runtime = runtime
        self._emit = emit
        self._flush = flush
        # they have been told a moment ago
        self._crowded: set[Room] = set()

    def tell(self, room: Room) -> None:
        """A tab has come or gone."""
        if room in self._crowded:
            room.presence_due = True
        else:
            self._emit(room.tabs, frame(room))
            if len(room.tabs) > AT_ONCE:
                self._crowded.add(room)
                self._runtime.call_later(SECONDS, partial(self._tell_later, room))

    def _tell_later(self, room: Room) -> None:
        self._crowded.discard(room)
        if room.presence_due:
            room.presence_due = False
            self.tell(room)
            self._flush()


def frame(room: Room) -> Frame:
    """What a tab is told: all tabs of its room."""
    return event_frame("presence", _encode({"tabs": [tab.shown() for tab in room.tabs.values()]}))
