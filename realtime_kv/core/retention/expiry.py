"""Expiry: the server deletes expired entries within a second, so that every tab receives the delete.

To `get` and `list` a key is gone as soon as it expires; the delete informs the owner's other copies. The write's
transaction decides whether an entry is still expired: an earlier write that renewed it wins.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future, WorkerPool
from realtime_kv.core.domain.operations import Expire
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.messages import NEVER, CommitEvent
from realtime_kv.core.statements import RetentionStatements
from realtime_kv.core.store import Store
from realtime_kv.errors import Unauthenticated

log = logging.getLogger(__name__)

# how often to check for due entries: one comparison, unless there are any
LOOK_SECONDS = 0.25
# maximum of deletes in one look, and in one write (this many keys, or this many bytes and one entry more, because all
# of them may be restored at once): the rest follows in turn, and other writes run in between
LOOK_KEYS = 4096
WRITE_KEYS = 1000
WRITE_BYTES = 1024 * 1024
# interval of searches for entries that expired meanwhile (ms): nothing reports an account that is restored
RESCAN = 60_000
# a failed look (a full disk) is retried after this time (ms)
RETRY = 5_000

# the time of the next look, and the users whose entries were deleted, which their tables may lack
_Looked = tuple[int, set[int]]

# user, key, and size of the value in bytes
_Due = tuple[int, str, int]


class Expiry:
    """Deletes expired entries on its own thread; `look` is called every LOOK_SECONDS on the event loop's thread."""

    def __init__(self, store: Store, clock: Callable[[], int] | None = None) -> None:
        """`clock` returns the time by which entries expire (by default the store's)."""
        self._store = store
        self._clock = clock or store.clock
        self._workers = WorkerPool(store.runtime, 1, name="expiry")
        self._looking: Future[_Looked] | None = None
        self._stopped = False
        # the time of the next expiry, as far as it is known here
        self._next = 0
        # by user: the first expiry of their recent writes, which the tables may lack
        self._heard: dict[int, int] = {}
        # users whose tables may lack other relevant writes (None: any user's)
        self._behind: set[int] | None = None
        store.watch(self._hear)

    def look(self) -> None:
        """Delete due entries, unless that is being done; costs almost nothing if none is due."""
        now = self._clock()
        if now < self._next or self._stopped or (self._looking is not None and not self._looking.done):
            return
        behind = self._behind
        if behind is not None:
            behind |= {user_id for user_id, at in self._heard.items() if at <= now}
        self._heard = {user_id: at for user_id, at in self._heard.items() if at > now}
        # commits from here on count
        self._behind, self._next = set(), min(self._heard.values(), default=NEVER)
        self._looking = self._workers.submit(lambda _: self._work(behind, now))
        self._looking.then(lambda looked: self._looked(looked, behind, now))

    def after_restore(self) -> None:
        """Start again after the data set has been replaced."""
        self._behind, self._next = None, 0

    def stop(self) -> None:
        """End the thread after its current work."""
        self._stopped = True
        self._workers.stop()

    def _hear(self, committed: Sequence[CommitEvent]) -> None:
        for news in committed:
            if news.expires_at != NEVER:
                self._heard[news.user_id] = min(news.expires_at, self._heard.get(news.user_id, NEVER))
                self._next = min(self._next, news.expires_at)

    def _looked(self, looked: Future[_Looked], behind: set[int] | None, now: int) -> None:
        written: set[int] | None
        try:
            soonest, written = looked.result()
        except Exception as error:
            log.error("what has expired could not be deleted, and is tried again: %r", error)
            soonest, written = now + RETRY, behind
        self._next = min(self._next, soonest, now + RESCAN)
        if self._behind is not None:
            self._behind = None if written is None else self._behind | written

    def _work(self, behind: set[int] | None, now: int) -> _Looked:
        self._flush(behind)
        soonest, due = self._wait(self._store.readers.submit(lambda reader: _find(reader.retention, now)))
        writes = [
            WriteRequest(Caller.system(user_id, "Expired", "expiry"), "expire", [Expire(key) for _, key, _ in part])
            for user_id, keys in itertools.groupby(sorted(due), key=lambda entry: entry[0])
            for part in _parts(keys)
        ]
        for write in writes:
            self._store.writer.submit(write)
        for write in writes:
            try:
                self._wait(write.future)
            except Unauthenticated:
                # the account is being purged
                continue
        return soonest, {write.user_id for write in writes}

    def _flush(self, users: set[int] | None) -> None:
        store = self._store
        flushes = [store.writer.flush(None)] if users is None else [store.flush_user(user_id) for user_id in users]
        for flush in flushes:
            self._wait(flush)

    def _wait(self, future: Future[Any]) -> Any:
        return self._store.runtime.wait(future)


def _find(db: RetentionStatements, now: int) -> tuple[int, list[_Due]]:
    """Return the next expiry after `now`, and some of the expired entries; `now` itself while there may be more."""
    due, soonest = db.expired(now, LOOK_KEYS), db.next_expiry(now)
    return now if len(due) == LOOK_KEYS else NEVER if soonest is None else soonest, due


def _parts(rows: Iterable[_Due]) -> Iterator[list[_Due]]:
    part: list[_Due] = []
    size = 0
    for row in rows:
        part.append(row)
        size += row[2]
        if len(part) >= WRITE_KEYS or size >= WRITE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
