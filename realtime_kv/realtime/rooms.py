"""Connected clients: a tab is one Socket.IO client, a room is all tabs of one user."""

from collections.abc import Mapping
from typing import Any

from realtime_kv.caller import Caller
from realtime_kv.core.messages import Bookmark, timestamp
from realtime_kv.realtime.engineio.server import Frame


class Room:
    """All tabs of one user, and the last position of their space that was sent to them.

    `tabs` is divided into `limited` (tabs whose token is limited to a prefix) and `whole` (the others).

    `by_token` has the tabs of each limited token (in scope or prefix), by its row; `full` has all other tabs.
    """

    __slots__ = ("bookmark", "by_token", "full", "limited", "name", "tabs", "user_id", "whole")

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.name = f"user:{user_id}"
        self.tabs: dict[str, Tab] = {}
        self.whole: dict[str, Tab] = {}
        self.limited: dict[str, Tab] = {}
        self.full: dict[str, Tab] = {}
        self.by_token: dict[int, dict[str, Tab]] = {}
        self.bookmark: Bookmark | None = None

    def add(self, tab: "Tab") -> None:
        """Add a tab."""
        self.tabs[tab.eio_sid] = tab
        self._kind(tab)[tab.eio_sid] = tab
        if tab.caller.is_limited:
            self.by_token.setdefault(tab.caller.session_id, {})[tab.eio_sid] = tab
        else:
            self.full[tab.eio_sid] = tab

    def remove(self, tab: "Tab") -> None:
        """Remove a tab."""
        del self.tabs[tab.eio_sid]
        del self._kind(tab)[tab.eio_sid]
        if not tab.caller.is_limited:
            del self.full[tab.eio_sid]
            return
        own = self.by_token[tab.caller.session_id]
        del own[tab.eio_sid]
        if not own:
            del self.by_token[tab.caller.session_id]

    def _kind(self, tab: "Tab") -> "dict[str, Tab]":
        return self.whole if tab.caller.prefix is None else self.limited


class Tab:
    """One connected client; its caller is resolved once, at connect.

    `sent` is the last revision that was sent to a limited tab.
    """

    __slots__ = ("busy", "caller", "eio_sid", "outgoing", "room", "sent", "sid", "since", "unanswered")

    def __init__(self, sid: str, eio_sid: str, caller: Caller, room: Room, now: int) -> None:
        self.sid = sid
        self.eio_sid = eio_sid
        self.caller = caller
        self.room = room
        self.since = now
        self.unanswered = 0
        # too much is unanswered: it is not read from
        self.busy = False
        self.sent: int | None = None
        self.outgoing: list[Frame] = []

    def visible_tabs(self) -> Mapping[str, "Tab"]:
        """Return the tabs that `presence` shows to this one: all tabs of the user; for a limited token only its own."""
        if self.caller.is_limited:
            return self.room.by_token.get(self.caller.session_id, {})
        return self.room.tabs

    def shown(self) -> dict[str, Any]:
        """Return the tab as `presence` shows it; `id` is the client's own `socket.id`."""
        return {
            "id": self.sid,
            "session": self.caller.session,
            "label": self.caller.label,
            "since": timestamp(self.since),
        }
