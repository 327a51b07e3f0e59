"""`GET /api/v1/stream`: the messages of a tab as server-sent events, for clients that speak only HTTP (protocol §3).

A stream joins its user's room before it syncs, as a tab does, and changes pushed meanwhile are held back; so it gets
every write once, in order and without gaps. It only listens, so it is no tab and does not appear in `presence`.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from realtime_kv.accounts.credentials.sessions import SessionEnded
from realtime_kv.accounts.service import Accounts
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Runtime, repeat
from realtime_kv.config import Config
from realtime_kv.core.domain.credential_budgets import Budget, Exceeded
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.store import Store
from realtime_kv.errors import RateLimited, Unavailable
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.bookmarks import BOOKMARK_SECONDS
from realtime_kv.realtime.engineio.deadlines import DeadlineQueue
from realtime_kv.realtime.gateway import CLOSE_SOME_SECONDS, SEEN_SECONDS
from realtime_kv.realtime.sse.stream import SseEvent, Stream, event
from realtime_kv.request.addresses import network_of

# this many of the last ended sessions are remembered, for streams that are being admitted
REMEMBERED = 1000

# sent before an end that has nothing to do with the stream itself
_RESTART = event(
    "notice", b'{"kind":"restart","message":"The server restarts; come back in a moment.","retry_after":1}'
)

_encode = msgspec.json.Encoder().encode


class StreamHub:
    """Registry of the open streams; sends them their events."""

    def __init__(self, config: Config, runtime: Runtime, store: Store, accounts: Accounts, limit_log: LimitLog) -> None:
        self._store = store
        self._accounts = accounts
        self._limit_log = limit_log
        self._budget = Budget("streams", config.connections_per_user) if config.rate_limits else None
        self._per_address = config.connections_per_address if config.rate_limits else None
        self._rooms: dict[int, dict[Stream, None]] = {}
        self._networks: Counter[str] = Counter()
        self._closing = False
        self.count = 0
        # counts ended sessions; given to `open`, it shows whether the stream's own session has ended since it was read
        self.endings = 0
        self._ended: deque[int] = deque(maxlen=REMEMBERED)
        store.watch(self.push)
        accounts.watch(self.end_session)
        self._rounds: DeadlineQueue[Stream] = DeadlineQueue(BOOKMARK_SECONDS, self._mark, runtime.call_later)
        repeat(runtime, SEEN_SECONDS, self.see)

    def open(self, caller: Caller, address: str, epoch: str | None, since: int | None, endings: int) -> Stream:
        """Return the body of a response that begins at that position. Raises RateLimited, Unavailable."""
        if self._closing:
            raise Unavailable("The server restarts; try again in a moment.", retry_after=1)
        if (over := self._exceeded(caller, address)) is not None:
            raise RateLimited(over.message, retry_after=CLOSE_SOME_SECONDS)
        return Stream(self, self._store, caller, address, (epoch, since), endings)

    # called by a stream

    def admit(self, stream: Stream) -> bool:
        """Add the stream to its user's room; return False if it is refused. Its client then reconnects."""
        caller, address = stream.caller, stream.address
        if self._closing or self._may_be_over(stream) or self._exceeded(caller, address) is not None:
            return False
        self._rooms.setdefault(caller.user_id, {})[stream] = None
        if self._budget is not None:
            self._budget.take(caller)
        self._networks[network_of(address)] += 1
        self.count += 1
        self._rounds.add(stream)
        return True

    def leave(self, stream: Stream) -> None:
        """Remove the stream from its user's room; nothing more is sent to it."""
        room = self._rooms.get(stream.caller.user_id, {})
        if stream not in room:
            return
        del room[stream]
        if self._budget is not None:
            self._budget.give_back(stream.caller)
        if not room:
            del self._rooms[stream.caller.user_id]

    def forget(self, stream: Stream) -> None:
        """Remove the stream, whose connection is closed, from the counts as well."""
        self.leave(stream)
        self.count -= 1
        network = network_of(stream.address)
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]

    # called by the store and the accounts

    def push(self, committed: Sequence[CommitEvent]) -> None:
        """Send every stream the changes that these commits made to its user's space."""
        for one in committed:
            room = self._rooms.get(one.user_id)
            if room:
                news = SseEvent(one)
                for stream in [*room]:
                    stream.tell(news)

    def end_session(self, ended: SessionEnded) -> None:
        """Notify the streams of a session that it has ended, and end them."""
        self.endings += 1
        self._ended.append(ended.session_id)
        for stream in [*self._rooms.get(ended.user_id, ())]:
            if stream.caller.session_id == ended.session_id:
                stream.end(event("signed_out", _encode({"reason": ended.reason})))

    # called by others

    def after_restore(self) -> None:
        """End all streams because other data has replaced theirs; their clients reconnect by themselves."""
        # streams that are being admitted right now are refused and reconnect as well, whatever their session
        self.endings += 1
        self._ended.clear()
        for stream in self._all():
            stream.end(_RESTART)

    def close_all(self) -> None:
        """End every stream after its queued data, and admit no more: the server stops."""
        self._closing = True
        self.after_restore()

    def see(self) -> None:
        """Update the last-seen time of sessions: one with an open stream is in use."""
        for session_id in {stream.caller.session_id for stream in self._all()}:
            self._accounts.touch_session(session_id)

    def metrics(self) -> dict[str, float]:
        """Return the number of open streams."""
        return {"streams": self.count}

    def _all(self) -> list[Stream]:
        return [stream for room in self._rooms.values() for stream in room]

    def _exceeded(self, caller: Caller, address: str) -> Exceeded | None:
        """Return, and record, the limit that one more stream of the caller would exceed."""
        network = network_of(address)
        over = None if self._budget is None else self._budget.exceeded(caller)
        if over is None and self._per_address is not None and self._networks[network] >= self._per_address:
            text = f"Your address has {self._per_address} streams open, which is the limit; close some."
            over = Exceeded("streams_per_address", text)
        if over is not None:
            self._limit_log.record(over.limit, account=caller.user_id, credential=caller.session, network=network)
        return over

    def _may_be_over(self, stream: Stream) -> bool:
        """Return True if its session has ended since it was looked up, or may have, as older ends are forgotten."""
        since = self.endings - stream.endings
        return since > len(self._ended) or stream.caller.session_id in islice(reversed(self._ended), since)

    def _mark(self, stream: Stream) -> None:
        if stream in self._rooms.get(stream.caller.user_id, ()):
            stream.mark()
            self._rounds.add(stream)
