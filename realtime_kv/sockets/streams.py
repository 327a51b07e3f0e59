"""`GET /api/v1/stream`: what a tab is told, as server-sent events, for whoever speaks nothing but HTTP (protocol §3).

A stream is in its user's room before it syncs, as a tab is, and what is pushed meanwhile is held back; so it gets every
write once, in order and without gaps. It only listens, so it is no tab: nobody sees it in `presence`.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from realtime_kv.accounts.accounts import Accounts
from realtime_kv.accounts.addresses import network_of
from realtime_kv.accounts.sessions import Ended
from realtime_kv.config import Config
from realtime_kv.core.budgets import Budget, Exceeded
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import RateLimited, Unavailable
from realtime_kv.core.frames import Committed
from realtime_kv.core.runtime import Runtime, repeat
from realtime_kv.core.store import Store
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.sockets.gateway import BOOKMARK_SECONDS, CLOSE_SOME_SECONDS, SEEN_SECONDS
from realtime_kv.sockets.rounds import Rounds
from realtime_kv.sockets.stream import News, Stream, event

# of so many sessions that ended last it is known which they were, for streams that are being let in
REMEMBERED = 1000

# said before an end that is not about this stream
_RESTART = event(
    "notice", b'{"kind":"restart","message":"The server restarts; come back in a moment.","retry_after":1}'
)

_encode = msgspec.json.Encoder().encode


class Streams:
    """Every open stream, and what it is told."""

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
        # how many sessions have ended; given to `open`, it notices that the stream's own ended since it was read
        self.endings = 0
        self._ended: deque[int] = deque(maxlen=REMEMBERED)
        store.watch(self.push)
        accounts.watch(self.end_session)
        self._rounds: Rounds[Stream] = Rounds(BOOKMARK_SECONDS, self._mark, runtime.call_later)
        repeat(runtime, SEEN_SECONDS, self.see)

    def open(self, caller: Caller, address: str, epoch: str | None, since: int | None, endings: int) -> Stream:
        """The body of an answer, which begins at that position. Raises RateLimited, Unavailable."""
        if self._closing:
            raise Unavailable("The server restarts; try again in a moment.", retry_after=1)
        if (over := self._exceeded(caller, address)) is not None:
            raise RateLimited(over.message, retry_after=CLOSE_SOME_SECONDS)
        return Stream(self, self._store, caller, address, (epoch, since), endings)

    # what a stream calls

    def admit(self, stream: Stream) -> bool:
        """Into its user's room; False if it may not come in after all: then it comes back, and is looked at anew."""
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
        """It is told nothing more."""
        room = self._rooms.get(stream.caller.user_id, {})
        if stream not in room:
            return
        del room[stream]
        if self._budget is not None:
            self._budget.give_back(stream.caller)
        if not room:
            del self._rooms[stream.caller.user_id]

    def forget(self, stream: Stream) -> None:
        """Its connection is gone, too."""
        self.leave(stream)
        self.count -= 1
        network = network_of(stream.address)
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]

    # what the store and the accounts call

    def push(self, committed: Sequence[Committed]) -> None:
        """Tell every stream of every user what this commit did to their space."""
        for one in committed:
            room = self._rooms.get(one.user_id)
            if room:
                news = News(one)
                for stream in [*room]:
                    stream.tell(news)

    def end_session(self, ended: Ended) -> None:
        """Tell the streams of a session that it is over, and end them."""
        self.endings += 1
        self._ended.append(ended.session_id)
        for stream in [*self._rooms.get(ended.user_id, ())]:
            if stream.caller.session_id == ended.session_id:
                stream.end(event("signed_out", _encode({"reason": ended.reason})))

    # what others call

    def start_anew(self) -> None:
        """Every stream comes back, by itself: other data has taken the place of theirs."""
        # a stream that is being let in right now comes back, too, whosever it is
        self.endings += 1
        self._ended.clear()
        for stream in self._all():
            stream.end(_RESTART)

    def close_all(self) -> None:
        """End every stream behind what is on its way, and let none in: the server stops."""
        self._closing = True
        self.start_anew()

    def see(self) -> None:
        """A session with an open stream is in use."""
        for session_id in {stream.caller.session_id for stream in self._all()}:
            self._accounts.saw(session_id)

    def metrics(self) -> dict[str, float]:
        """How many streams are open."""
        return {"streams": self.count}

    def _all(self) -> list[Stream]:
        return [stream for room in self._rooms.values() for stream in room]

    def _exceeded(self, caller: Caller, address: str) -> Exceeded | None:
        """The limit that one more stream of the caller would exceed, which is then recorded."""
        network = network_of(address)
        over = None if self._budget is None else self._budget.exceeded(caller)
        if over is None and self._per_address is not None and self._networks[network] >= self._per_address:
            text = f"Your address has {self._per_address} streams open, which is the limit; close some."
            over = Exceeded("streams_per_address", text)
        if over is not None:
            self._limit_log.record(over.limit, account=caller.user_id, credential=caller.session, network=network)
        return over

    def _may_be_over(self, stream: Stream) -> bool:
        """Whether its session has ended since it was looked up, as far as we remember."""
        since = self.endings - stream.endings
        return since > len(self._ended) or stream.caller.session_id in islice(reversed(self._ended), since)

    def _mark(self, stream: Stream) -> None:
        if stream in self._rooms.get(stream.caller.user_id, ()):
            stream.mark()
            self._rounds.add(stream)
