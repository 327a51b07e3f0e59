"""The delete of what has expired: written by the house within a second, so that every tab hears of it.

To `get` and `list` a key is gone as soon as its time is over; what is done here is that its owner's other copies learn
it. Whether something is still expired is decided inside the write's transaction: whoever has written it anew was first.
"""

import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from realtime_kv.core import database
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Unauthenticated
from realtime_kv.core.frames import NEVER, Committed
from realtime_kv.core.ops import Expire
from realtime_kv.core.runtime import Future, Workers
from realtime_kv.core.store import Store
from realtime_kv.core.write import Write

log = logging.getLogger(__name__)

# how often it is asked whether something is due: a comparison, unless it is
LOOK_SECONDS = 0.25
# what one look deletes at most, and one write (so many keys, or so many bytes and one entry more: they may all be asked
# back at once): more is done in turns, between which other writes go on
LOOK_KEYS = 4096
WRITE_KEYS = 1000
WRITE_BYTES = 1024 * 1024
# nothing tells of an account that is back, so what has expired in the meantime is looked for in any case, so often (ms)
RESCAN = 60_000
# after a failure (a full disk) it is tried again in so long (ms)
RETRY = 5_000

# the keys of an account that is being purged are no longer anybody's
_DUE = """
SELECT json_group_array(json_array(user_id, key, size)) FROM (
    SELECT e.user_id, e.key, length(CAST(e.value AS BLOB)) AS size
    FROM entries AS e CROSS JOIN users AS u ON u.id = e.user_id
    WHERE e.expires_at <= :now AND e.deleted_at IS NULL AND u.deleted_by IS NOT 'purge'
    ORDER BY e.expires_at LIMIT :most
)
"""
_NEXT = "SELECT min(expires_at) FROM entries WHERE expires_at > :now AND deleted_at IS NULL"

# when to look again, and whose entries were deleted, so that the tables may lack it
_Looked = tuple[int, set[int]]

# whose, the key, and how many bytes its value has
_Due = tuple[int, str, int]

_decode_due = msgspec.json.Decoder(list[_Due]).decode


class Expiry:
    """Has `look` called every LOOK_SECONDS on the edge's thread; it works on a thread of its own."""

    def __init__(self, store: Store, clock: Callable[[], int] | None = None) -> None:
        """`clock` says the time that entries expire by (the store's if it is not given)."""
        self._store = store
        self._clock = clock or store.clock
        self._workers = Workers(store.runtime, 1, name="expiry")
        self._looking: Future[_Looked] | None = None
        self._stopped = False
        # when something expires next, as far as is known here
        self._next = 0
        # when the first of what a user has written lately expires: the tables may lack it
        self._heard: dict[int, int] = {}
        # whose tables may lack something else that matters (None: anybody's)
        self._behind: set[int] | None = None
        store.watch(self._hear)

    def look(self) -> None:
        """Delete what is due, unless that is being done; without anything due this costs next to nothing."""
        now = self._clock()
        if now < self._next or self._stopped or (self._looking is not None and not self._looking.done):
            return
        behind = self._behind
        if behind is not None:
            behind |= {user_id for user_id, at in self._heard.items() if at <= now}
        self._heard = {user_id: at for user_id, at in self._heard.items() if at > now}
        # what is heard from here on counts
        self._behind, self._next = set(), min(self._heard.values(), default=NEVER)
        self._looking = self._workers.submit(lambda _: self._work(behind, now))
        self._looking.then(lambda looked: self._looked(looked, behind, now))

    def start_anew(self) -> None:
        """The data are others."""
        self._behind, self._next = None, 0

    def stop(self) -> None:
        """End the thread, once it is through with what it does."""
        self._stopped = True
        self._workers.stop()

    def _hear(self, committed: Sequence[Committed]) -> None:
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
        soonest, due = self._wait(
            self._store.readers.submit(lambda connection: _find(database.driver(connection), now))
        )
        writes = [
            Write(Caller.house(user_id, "Expired", "expiry"), "expire", [Expire(key) for _, key, _ in part])
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
        flushes = [store.writer.flush(None)] if users is None else [store.settled(user_id) for user_id in users]
        for flush in flushes:
            self._wait(flush)

    def _wait(self, future: Future[Any]) -> Any:
        return self._store.runtime.wait(future)


def _find(db: sqlite3.Connection, now: int) -> tuple[int, list[_Due]]:
    """When the next one after `now` expires, and some of those that have expired; at once, while there may be more."""
    due = _decode_due(db.execute(_DUE, {"now": now, "most": LOOK_KEYS}).fetchone()[0])
    soonest = db.execute(_NEXT, {"now": now}).fetchone()[0]
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
