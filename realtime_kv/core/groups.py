"""Which of the waiting writes go into the next transaction: all of them, or, when that is too much, in turns."""

from collections import deque
from typing import Any, Protocol

from realtime_kv.core.runtime import Future

# what one transaction takes at most, in ops: a group is a moment, not an epoch
GROUP_WEIGHT = 2048


class Writable(Protocol):
    """A write as the writer sees it: whose, how heavy, and where its outcome goes."""

    future: Future[Any]

    @property
    def user_id(self) -> int: ...

    @property
    def weight(self) -> int: ...

    @property
    def alone(self) -> bool:
        """Whether it wants a group of its own, with its user's tables up to date."""


class Waiting:
    """The writes that wait, by user, each user's in the order of their arrival."""

    def __init__(self) -> None:
        self._writes: dict[int, deque[Writable]] = {}
        self._weight = 0
        self._alone = 0

    def __bool__(self) -> bool:
        return bool(self._writes)

    def add(self, write: Writable) -> None:
        """It waits behind what its user has asked for before."""
        self._weight += write.weight
        self._alone += write.alone
        writes = self._writes.get(write.user_id)
        if writes is None:
            self._writes[write.user_id] = deque((write,))
        else:
            writes.append(write)

    def put_back(self, write: Writable) -> None:
        """It was not its time yet: it comes before what its user has asked for since, and the others go on."""
        self._weight += write.weight
        self._alone += write.alone
        self._writes[write.user_id] = deque((write, *self._writes.pop(write.user_id, ())))

    def next_group(self) -> list[Writable]:
        """Everything; or, when that is too much, users take turns: nobody's flood keeps another's write waiting.

        What wants a group of its own ends the one before it, and is next.
        """
        group: list[Writable] = []
        if self._weight <= GROUP_WEIGHT and not self._alone:
            for writes in self._writes.values():
                group += writes
            self._writes.clear()
            self._weight = 0
            return group
        weight, full = 0, False
        while self._writes and not full:
            for user_id in list(self._writes):
                writes = self._writes[user_id]
                if group and writes[0].alone:
                    self._writes = {user_id: writes} | self._writes
                    full = True
                    break
                write = writes.popleft()
                if not writes:
                    del self._writes[user_id]
                group.append(write)
                weight += write.weight
                self._alone -= write.alone
                full = weight >= GROUP_WEIGHT or write.alone
                if full:
                    # who has had a turn goes to the back of the line
                    if writes:
                        self._writes[user_id] = self._writes.pop(user_id)
                    break
        self._weight -= weight
        return group
