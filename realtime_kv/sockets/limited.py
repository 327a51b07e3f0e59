"""What a tab is told whose token is limited to a prefix (protocol §4): the ops on its keys, and nothing of the others.

It is not told of a change without such ops, so its `from` is the last revision that was sent to it: nothing has
happened to its keys since. Before it has been sent any, it is the change's own: whoever is further back sees the gap.
"""

from collections.abc import Callable

import msgspec

from realtime_kv.core.frames import Committed, Position, Synced
from realtime_kv.sockets.rooms import Room, Tab
from realtime_kv.sockets.transport import Frame, event_frame

Send = Callable[[Tab, Frame], None]

_encode = msgspec.json.Encoder().encode


def push(room: Room, news: Committed, send: Send) -> None:
    """Tell the limited tabs of a room what this commit did to their keys; looked at once for each prefix."""
    writes: dict[str, list[tuple[int, str]]] = {}
    frames: dict[tuple[str, int], list[Frame]] = {}
    for tab in room.limited.values():
        prefix = tab.caller.prefix
        assert prefix is not None
        if prefix not in writes:
            writes[prefix] = news.writes_under(prefix)
        # a sync may have brought it already
        if not writes[prefix] or (tab.sent is not None and tab.sent >= news.revision):
            continue
        from_ = news.from_ if tab.sent is None else tab.sent
        if (prefix, from_) not in frames:
            changes = news.changes_of(writes[prefix], from_)
            frames[prefix, from_] = [event_frame("change", change) for change in changes]
        for frame in frames[prefix, from_]:
            send(tab, frame)
        tab.sent = writes[prefix][-1][0]


def synced(tab: Tab, answer: Synced, send: Send) -> None:
    """The last page of a sync has gone to a limited tab."""
    # what was pushed since the sync was read is already on its way
    tab.sent = answer.revision if tab.sent is None else max(tab.sent, answer.revision)
    bookmark(tab, answer.epoch, send)


def bookmark(tab: Tab, epoch: str, send: Send) -> None:
    """Tell a limited tab how far it has been told; it notices what got lost on the way."""
    if tab.sent is not None:
        send(tab, event_frame("bookmark", _encode(Position(epoch=epoch, revision=tab.sent))))
