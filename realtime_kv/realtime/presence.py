"""Presence: the list of open tabs, sent when one connects or disconnects.

A tab with full access sees all tabs of its user. A tab of a limited token sees the tabs of that token only, and
receives nothing when others connect or disconnect.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.realtime.engineio.server import Frame, event_frame
from realtime_kv.realtime.rooms import Room, Tab

# a room of at most AT_ONCE tabs is told at once; a larger one at most once in SECONDS
AT_ONCE = 8
SECONDS = 0.5

# recipients of the same list: the full tabs of a room (None), or the tabs of one limited token, by its row
_Audience = tuple[Room, int | None]

_encode = msgspec.json.Encoder().encode


class Presence:
    """Sends presence to rooms; `emit` collects a frame for some tabs, `flush` sends the collected frames."""

    def __init__(
        self, runtime: Runtime, emit: Callable[[Mapping[str, Tab], Frame], None], flush: Callable[[], None]
    ) -> None:
        self._runtime = runtime
        self._emit = emit
        self._flush = flush
        # large audiences that were told within the last SECONDS; True: something has changed since
        self._crowded: dict[_Audience, bool] = {}

    def tell(self, tab: Tab) -> None:
        """Send presence after this tab has connected or disconnected."""
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
    """Return the event that lists these tabs."""
    return event_frame("presence", _encode({"tabs": [tab.shown() for tab in tabs.values()]}))
