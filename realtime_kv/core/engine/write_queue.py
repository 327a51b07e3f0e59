"""Write queue: selects the waiting writes for the next transaction, a share of each user's.

A share is counted in ops and bytes, so that a user's large batches do not fill a group while others wait.
"""

from collections import deque

from realtime_kv.core.domain.write_request import WriteRequest

# this many bytes of values weigh as much as one op
WEIGHT_BYTES = 1024
# maximum weight of one transaction, during which others wait
GROUP_WEIGHT = 1024
# maximum weight of one user in a transaction, plus one write
SHARE_WEIGHT = 512
# users with so little waiting are served before users with more
LIGHT_WEIGHT = 64


class _Line:
    """The writes of one user, in the order of their arrival."""

    __slots__ = ("alone", "weight", "writes")

    def __init__(self) -> None:
        self.writes: deque[WriteRequest] = deque()
        self.weight = 0
        self.alone = 0


class WriteQueue:
    """The waiting writes, by user."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, write: WriteRequest) -> None:
        """Queue `write` behind its user's earlier writes."""
        line = self._lines.get(write.user_id)
        if line is None:
            line = self._lines[write.user_id] = _Line()
        line.writes.append(write)
        line.weight += write.weight
        line.alone += write.alone

    def put_back(self, write: WriteRequest) -> None:
        """Put back a write that is not ready: it stays before its user's later writes, and other users are served."""
        line = self._lines.pop(write.user_id, None) or _Line()
        line.writes.appendleft(write)
        line.weight += write.weight
        line.alone += write.alone
        self._lines[write.user_id] = line

    def next_group(self) -> list[WriteRequest]:
        """Take a share of each user's writes, small shares first; users who have to wait come first in the next group.

        A write that needs a group of its own ends the group before it, and is next.
        """
        group: list[WriteRequest] = []
        left = GROUP_WEIGHT
        share = max(1, min(SHARE_WEIGHT, GROUP_WEIGHT // max(1, len(self._lines))))
        for user_id in self._light_first():
            if left <= 0:
                break
            line = self._lines[user_id]
            if line.alone and line.writes[0].alone:
                if not group:
                    self._take(user_id, line, group, 1)
                else:
                    # the group ends before this write
                    self._lines = {user_id: line} | self._lines
                break
            if not line.alone and line.weight <= share:
                group += line.writes
                left -= line.weight
                del self._lines[user_id]
            else:
                left -= self._take(user_id, line, group, share)
        return group

    def _light_first(self) -> list[int]:
        """Return the users: first the one who has waited longest, then those with little waiting, then the others."""
        users = list(self._lines)
        return users[:1] + sorted(users[1:], key=lambda user: self._lines[user].weight > LIGHT_WEIGHT)

    def _take(self, user_id: int, line: _Line, group: list[WriteRequest], share: int) -> int:
        """Take this user's first writes, of about this weight, and return it; the rest goes to the back."""
        taken = 0
        while line.writes and taken < share:
            if line.writes[0].alone and taken:
                break
            write = line.writes.popleft()
            group.append(write)
            weight = write.weight
            taken += max(1, weight)
            line.weight -= weight
            line.alone -= write.alone
        del self._lines[user_id]
        if line.writes:
            self._lines[user_id] = line
        return taken
