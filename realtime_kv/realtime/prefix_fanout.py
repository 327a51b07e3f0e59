"""Fan-out to tabs whose token is limited to a prefix (protocol §4): only the ops on their keys are sent.

A change without such ops is not sent to the tab, so `from` is the last revision that was sent to it: nothing has
happened to its keys since. Before the first one, `from` is the change's own: a tab that is further back sees the gap.
"""

from collections.abc import Callable

import msgspec

from realtime_kv.core.messages import CommitEvent, Position, SyncPage
from realtime_kv.realtime.engineio.server import Frame, event_frame
from realtime_kv.realtime.rooms import Room, Tab

Send = Callable[[Tab, Frame], None]

_encode = msgspec.json.Encoder().encode


def push(room: Room, news: CommitEvent, send: Send) -> None:
    """Send the limited tabs of a room the changes of this commit to their keys; evaluated once per prefix."""
    writes: dict[str, list[tuple[int, str]]] = {}
    frames: dict[tuple[str, int], list[Frame]] = {}
    for tab in room.limited.values():
        prefix = tab.caller.prefix
        assert prefix is not None
        if prefix not in writes:
            writes[prefix] = news.writes_under(prefix)
        # a sync may already have contained it
        if not writes[prefix] or (tab.sent is not None and tab.sent >= news.revision):
            continue
        from_ = news.from_ if tab.sent is None else tab.sent
        if (prefix, from_) not in frames:
            changes = news.changes_of(writes[prefix], from_)
            frames[prefix, from_] = [event_frame("change", change) for change in changes]
        for frame in frames[prefix, from_]:
            send(tab, frame)
        tab.sent = writes[prefix][-1][0]


def synced(tab: Tab, answer: SyncPage, send: Send) -> None:
    """Note that the last page of a sync has been sent to a limited tab, and send a bookmark."""
    # changes pushed since the sync was read are already on their way
    tab.sent = answer.revision if tab.sent is None else max(tab.sent, answer.revision)
    bookmark(tab, answer.epoch, send)


def bookmark(tab: Tab, epoch: str, send: Send) -> None:
    """Send a limited tab the revision up to which it has been told, so that it notices lost messages."""
    if tab.sent is not None:
        send(tab, event_frame("bookmark", _encode(Position(epoch=epoch, revision=tab.sent))))
