"""Presence: the tabs that are open, sent when one comes or goes.

A tab with full access sees all tabs of its user. A tab of a limited token sees the tabs of that token only, and is sent
nothing when others come or go.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from realtime_kv.core.runtime import Runtime
from realtime_kv.sockets.rooms import Room, Tab
from realtime_kv.sockets.transport import Frame, event_frame

# a small room hears of it at once; a large one a few times a second
AT_ONCE = 8
SECONDS = 0.5

# those who are told the same: the full tabs of a room (None), or the tabs of one limited token, by its row
_Audience = tuple[Room, int | None]

_encode = msgspec.json.Encoder().encode


class Presence:
    """Tells rooms; `emit` gathers a frame for some tabs, `flush` sends what has been gathered."""

    def __init__(
        self, runtime: Runtime, emit: Callable[[Mapping[str, Tab], Frame], None], flush: Callable[[], None]
    ) -> None:
        self._runtime = runtime
        self._emit = emit
        self._flush = flush
        # told a moment ago; True: something has changed since
        self._crowded: dict[_Audience, bool] = {}

    def tell(self, tab: Tab) -> None:
        """This tab has come or gone."""
        self._tell((tab.room, None))
        if tab.caller.is_limited:
            self._tell((tab.room, tab.caller.session_id))

    def _tell(self, audience: _Audience) -> None:
        if audience in self._crowded:
            self._crowded[audience] = True
            return
        room, token = audience
        shown = room.tabs if token is None else room.by_token.get(token, {})
        self._emit(room.full if token is None else shown, frame(shown))
        if len(shown) > AT_ONCE:
            self._crowded[audience] = False
            self._runtime.call_later(SECONDS, partial(self._tell_later, audience))

    def _tell_later(self, audience: _Audience) -> None:
        if self._crowded.pop(audience):
            self._tell(audience)
            self._flush()


def frame(tabs: Mapping[str, Tab]) -> Frame:
    """The event that shows these tabs."""
    return event_frame("presence", _encode({"tabs": [tab.shown() for tab in tabs.values()]}))
