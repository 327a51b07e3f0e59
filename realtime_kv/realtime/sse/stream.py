"""One stream of server-sent events: a sync first, page by page as the peer takes them, then every change (protocol §3).

`sent` is the revision up to which the peer has been told. An event has it as its id only if the peer then holds all
data up to it, so a client that reconnects (`Last-Event-ID`) resumes at a position, never in the middle of a sync.
"""

import logging
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from realtime_kv import line_separators
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.messages import Bookmark, CommitEvent, Position, SyncPage
from realtime_kv.core.store import Store
from realtime_kv.errors import Refusal
from realtime_kv.realtime.sse.streaming_response import StreamingBody, StreamWriter
from realtime_kv.verbs import registry as verbs

log = logging.getLogger(__name__)

# the time after which a disconnected client reconnects, in milliseconds; a field of the first event, because some
# readers take a block without data for an event
OPENING = b"retry: 1000\n"
COMMENT = b":\n"
# commits during a sync are held back up to this size; beyond it, another sync reads them
HELD_BYTES = 512 * 1024

_encode = msgspec.json.Encoder().encode
_position = msgspec.json.Decoder(Position).decode


def event(name: str, json: bytes, at: str = "") -> bytes:
    """Return one event (HTML Living Standard §9.2). Our JSON contains no line breaks of any kind."""
    data = line_separators.escape(json)
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), b"id: %b\n" % at.encode() if at else b"", data)


class SseEvent:
    """One commit to one space, encoded once for all streams that receive the same events."""

    def __init__(self, committed: CommitEvent) -> None:
        self.epoch = committed.epoch
        self.revision = committed.revision
        self._committed = committed
        self._under: dict[str | None, list[tuple[int, str]]] = {None: committed.writes}
        self._events: dict[tuple[str | None, int], tuple[bytes, int]] = {}

    @property
    def size(self) -> int:
        return sum(len(frame) for _, frame in self._committed.writes)

    def bookmark(self) -> Bookmark:
        return self._committed.bookmark()

    def since(self, prefix: str | None, sent: int) -> tuple[bytes, int]:
        """Return the events for a stream at `sent`, and the revision that it is at then; none if nothing is new."""
        if (prefix, sent) not in self._events:
            self._events[prefix, sent] = self._made(prefix, sent)
        return self._events[prefix, sent]

    def _made(self, prefix: str | None, sent: int) -> tuple[bytes, int]:
        if prefix not in self._under:
            assert prefix is not None
            self._under[prefix] = self._committed.writes_under(prefix)
        writes = self._under[prefix]
        if writes and writes[0][0] <= sent:
            # a sync has already contained some of them
            writes = [write for write in writes if write[0] > sent]
        if not writes:
            return b"", sent
        events = []
        for change in self._committed.changes_of(writes, sent):
            at = _position(change)
            events.append(event("change", change, f"{at.epoch}:{at.revision}"))
        return b"".join(events), writes[-1][0]


class StreamHost(Protocol):
    """The registry of all streams."""

    def admit(self, stream: "Stream") -> bool: ...
    def leave(self, stream: "Stream") -> None: ...
    def forget(self, stream: "Stream") -> None: ...


class Stream(StreamingBody):
    """The body of one streaming response."""

    opening = OPENING

    def __init__(
        self,
        host: StreamHost,
        store: Store,
        caller: Caller,
        address: str,
        start: tuple[str | None, int | None],
        endings: int,
    ) -> None:
        self.caller = caller
        self.address = address
        self.endings = endings
        self._host = host
        self._store = store
        self._epoch, self._since = start
        self._line: StreamWriter
        self._admitted = self._over = False
        # its position, once it is in sync
        self._at_epoch, self._sent = "", 0
        self._next: str | None = None
        self._bookmark: Bookmark | None = None
        # commits held back during a sync; None: in sync, every change is sent at once
        self._held: list[SseEvent] | None = []
        self._held_bytes = 0

    # called by the connection

    def begin(self, line: StreamWriter) -> None:
        self._line = line
        self._admitted = self._host.admit(self)
        if self._admitted:
            self._sync(epoch=self._epoch, since=self._since)
        else:
            line.close()

    def on_taken(self) -> None:
        if self._next is not None:
            following, self._next = self._next, None
            self._sync(next=following)

    def on_end(self) -> None:
        self._over = True
        self._store.abandon(self.caller)
        if self._admitted:
            self._host.forget(self)

    def __iter__(self) -> Iterator[bytes]:
        line = _Kept()
        self.begin(line)
        self.on_end()
        return iter([self.opening, *line.parts])

    # called by the registry

    def tell(self, news: SseEvent) -> None:
        """Send a commit, or hold it back during a sync."""
        if self._held is None:
            if not self._over:
                self._pass_on(news)
            return
        self._held_bytes += news.size
        if self._held_bytes <= HELD_BYTES:
            self._held.append(news)
        else:
            self._held.clear()

    def mark(self) -> None:
        """Send a bookmark; during a sync send a comment as a sign of life."""
        if self._held is not None:
            self._line.send(COMMENT)
        elif self._bookmark is not None:
            self._line.send(event("bookmark", _encode(self._bookmark)))
        else:
            # a token limited to a prefix must not learn how much other data there is
            self._line.send(event("bookmark", _encode(Position(epoch=self._at_epoch, revision=self._sent))))

    def end(self, last: bytes = b"") -> None:
        """End the stream after `last`."""
        if not self._over:
            self._over = True
            self._host.leave(self)
            if last:
                self._line.send(last)
            self._line.close()

    def _sync(self, **position: Any) -> None:
        try:
            self._store.sync(self.caller, **position).then(self._on_page)
        except Refusal:
            # the server is overloaded: the peer tries again later
            self.end()

    def _on_page(self, future: Future[SyncPage]) -> None:
        if self._over:
            return
        try:
            page = future.result()
        except Refusal:
            self.end()
            return
        except Exception:
            log.exception("a stream could not be served")
            self.end()
            return
        if page.next is not None:
            self._line.send(event("sync", verbs.encode(page)))
            self._next = page.next
            # page by page: the next page is read only after this one was taken
            if self._line.empty:
                self.on_taken()
            return
        self._line.send(event("sync", verbs.encode(page), f"{page.epoch}:{page.revision}"))
        self._at_epoch, self._sent = page.epoch, page.revision
        if isinstance(page.keys, int) and isinstance(page.digest, int):
            self._bookmark = Bookmark(epoch=page.epoch, revision=page.revision, keys=page.keys, digest=page.digest)
        self._go_live()

    def _go_live(self) -> None:
        held, missed = self._held or [], self._held_bytes > HELD_BYTES
        self._held, self._held_bytes = ([] if missed else None), 0
        if missed:
            self._sync(epoch=self._at_epoch, since=self._sent)
            return
        for news in held:
            if not self._over:
                self._pass_on(news)

    def _pass_on(self, news: SseEvent) -> None:
        if news.epoch != self._at_epoch:
            # other data has replaced the stream's: the client reconnects and starts anew
            self.end()
        elif news.revision > self._sent:
            events, self._sent = news.since(self.caller.prefix, self._sent)
            if self._bookmark is not None:
                self._bookmark = news.bookmark()
            if events:
                self._line.send(events)


class _Kept:
    """A Line that collects the data for later reading."""

    empty = True

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.parts.append(data)

    def close(self) -> None:
        return None
