"""Memtable: committed changes that the tables lack, and the writer's cache of the tables.

The log is the source of truth: a commit appends to it and to nothing else. `entries`, `receipts` and `spaces` show
every space as it was at one revision, `spaces.revision`. A flush brings them up to date for many commits at a time, and
after a crash the log has the writes that they lack (docs/decisions/0004).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import Space

# maximum of cached records, spaces and sessions: half a KiB each, or less
MAX_CACHED = 50_000


@dataclass(slots=True)
class Backlog:
    """Backlog of a space: the first log row that the tables lack, and the weight (`space.weight_of`)."""

    row: int
    weight: int = 0


class Memtable:
    """The writer's own state; `has_unflushed` and `get` may be called from any thread.

    Cached state stays valid until the writer writes: nothing else writes to this data set.
    """

    def __init__(self) -> None:
        # sessions that may write, with the time they end
        self.sessions: dict[int, int] = {}
        self.spaces: dict[int, Space] = {}
        self.cached = 0
        # spaces that are ahead of their tables, in the order of their first log row, with the weight of their backlog
        self.ahead: dict[int, Backlog] = {}
        self.backlog = 0
        self.last_row = 0
        # durable records that are newer than the tables, by user and key
        self._records: dict[int, dict[str, EntryState]] = {}

    def has_unflushed(self, user_id: int) -> bool:
        """Return whether the tables may lack something of this user's space."""
        return user_id in self.ahead

    def get(self, user_id: int, key: str) -> EntryState | None:
        """Return the record under `key` if it is newer than the tables. A flush removes its value: ask the tables."""
        records = self._records.get(user_id)
        return None if records is None else records.get(key)

    def mark_unflushed(self, user_id: int, row: int, weight: int) -> None:
        """Note that the log is ahead of the tables by this much more, from this row on."""
        ahead = self.ahead.get(user_id)
        if ahead is None:
            ahead = self.ahead[user_id] = Backlog(row)
        ahead.weight += weight
        self.backlog += weight

    def oldest_unflushed(self, most: int) -> list[int]:
        """Return the users whose spaces must be flushed to reduce the backlog to `most`."""
        users, left = [], self.backlog
        for user_id, ahead in self.ahead.items():
            if left <= most:
                break
            users.append(user_id)
            left -= ahead.weight
        return users

    def flush_low_watermark(self, flushed: Collection[int]) -> int:
        """Return the first log row that the tables lack once these users' spaces are flushed."""
        left = (ahead.row for user_id, ahead in self.ahead.items() if user_id not in flushed)
        return next(left, self.last_row + 1)

    def unflushed(self, space: Space) -> Iterator[EntryState]:
        """Return the records of `space` that the tables lack, with the open transaction's, in the order of the keys."""
        records = {**self._records.get(space.user_id, {}), **space.touched}
        return (records[key] for key in sorted(records))

    def publish(self, space: Space) -> None:
        """Make the open transaction's results for `space` readable: they are durable."""
        if space.touched:
            self._records.setdefault(space.user_id, {}).update(space.touched)
        space.begin()

    def flushed(self, user_id: int) -> None:
        """Drop the backlog of this user: the flush of their space is durable."""
        self.backlog -= self.ahead.pop(user_id).weight
        for record in self._records.pop(user_id, {}).values():
            record.value = None
        self.spaces[user_id].receipts.clear()

    def invalidate(self) -> None:
        """Drop the cache: something else has written, or a transaction was rolled back."""
        self.spaces.clear()
        self.sessions.clear()
        self.cached = 0

    def make_room(self) -> None:
        """Evict cached state that the tables have as well, once there is too much."""
        if self.cached > MAX_CACHED:
            self.sessions.clear()
            self.spaces = {user_id: space for user_id, space in self.spaces.items() if user_id in self.ahead}
            for user_id, space in self.spaces.items():
                space.entries = dict(self._records.get(user_id, {}))
            self.cached = len(self.spaces) + sum(len(space.entries) for space in self.spaces.values())
