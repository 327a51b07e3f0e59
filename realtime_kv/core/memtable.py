"""What is committed and not in the tables yet, and what the writer has learnt of the tables.

The log is the truth: a commit appends to it and to nothing else. `entries`, `receipts` and `spaces` show every space as
it was at one revision, `spaces.revision`. A flush brings them up to date for many commits at a time, and after a crash
the log says what they lack (docs/decisions/0004).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from realtime_kv.core.record import Record
from realtime_kv.core.space import Space

# records, spaces and sessions kept because they have been looked at: half a KiB each, or less
MOST_CACHED = 50_000


@dataclass(slots=True)
class Ahead:
    """Since which row of the log the tables lack a space's writes, and how much that is: in ops and KiB."""

    row: int
    weight: int = 0


class Memtable:
    """The writer's own; `holds` and `get` may be called from any thread.

    What the writer has read stays true until it writes itself: nobody else writes to this data set.
    """

    def __init__(self) -> None:
        # the sessions that may write, each with the time it ends
        self.sessions: dict[int, int] = {}
        self.spaces: dict[int, Space] = {}
        self.cached = 0
        # the spaces that are ahead of their tables: since which row of the log, in this order; and by how much
        self.ahead: dict[int, Ahead] = {}
        self.backlog = 0
        self.last_row = 0
        # what is durable and newer than the tables, by user and key
        self._records: dict[int, dict[str, Record]] = {}

    def holds(self, user_id: int) -> bool:
        """Whether the tables may lack something of this user's space."""
        return user_id in self.ahead

    def get(self, user_id: int, key: str) -> Record | None:
        """The record under `key`, where it is newer than the tables. A flush takes its value away: ask them then."""
        records = self._records.get(user_id)
        return None if records is None else records.get(key)

    def get_ahead(self, user_id: int, row: int, weight: int) -> None:
        """The log holds so much more than the tables, from this row on."""
        ahead = self.ahead.get(user_id)
        if ahead is None:
            ahead = self.ahead[user_id] = Ahead(row)
        ahead.weight += weight
        self.backlog += weight

    def longest_ahead(self, most: int) -> list[int]:
        """Whose spaces to flush, so that the backlog is no more than `most`."""
        users, left = [], self.backlog
        for user_id, ahead in self.ahead.items():
            if left <= most:
                break
            users.append(user_id)
            left -= ahead.weight
        return users

    def first_row_left(self, flushed: Collection[int]) -> int:
        """The first row of the log that the tables lack once these users' spaces are flushed."""
        left = (ahead.row for user_id, ahead in self.ahead.items() if user_id not in flushed)
        return next(left, self.last_row + 1)

    def unflushed(self, space: Space) -> Iterator[Record]:
        """What the tables lack of `space`, with what the open transaction has made of it; in the order of the keys."""
        records = {**self._records.get(space.user_id, {}), **space.touched}
        return (records[key] for key in sorted(records))

    def publish(self, space: Space) -> None:
        """What the open transaction has made of `space` is durable: let it be read."""
        if space.touched:
            self._records.setdefault(space.user_id, {}).update(space.touched)
        space.begin()

    def flushed(self, user_id: int) -> None:
        """The tables have everything of this user's space, and that is durable."""
        self.backlog -= self.ahead.pop(user_id).weight
        for record in self._records.pop(user_id, {}).values():
            record.value = None
        self.spaces[user_id].receipts.clear()

    def forget(self) -> None:
        """Somebody else has written, or a transaction came to nothing: read everything anew."""
        self.spaces.clear()
        self.sessions.clear()
        self.cached = 0

    def make_room(self) -> None:
        """Forget what the tables know as well, once it is too much."""
        if self.cached > MOST_CACHED:
            self.sessions.clear()
            self.spaces = {user_id: space for user_id, space in self.spaces.items() if user_id in self.ahead}
            for user_id, space in self.spaces.items():
                space.entries = dict(self._records.get(user_id, {}))
            self.cached = len(self.spaces) + sum(len(space.entries) for space in self.spaces.values())
