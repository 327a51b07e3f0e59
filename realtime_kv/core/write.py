"""A request to write, and all that a group of them is decided against."""

from dataclasses import dataclass, field

from realtime_kv.core.caller import Caller
from realtime_kv.core.frames import Committed
from realtime_kv.core.ops import Op
from realtime_kv.core.runtime import Future
from realtime_kv.core.space import Outcome, Quota, Space


@dataclass(slots=True, eq=False)
class Write:
    """A request to write: `verb` is `set`, `delete` (one op each) or `batch`.

    `fingerprint` stands for the verb and its payload, so that an `op_id` cannot be used for two things.
    """

    caller: Caller
    verb: str
    ops: list[Op]
    op_id: str | None = None
    fingerprint: str = ""
    future: Future[Outcome] = field(default_factory=Future)

    @property
    def user_id(self) -> int:
        return self.caller.user_id

    @property
    def weight(self) -> int:
        return len(self.ops)


class State:
    """Everything one group needs, and everything it made; `valid_sessions` are those that may still write."""

    def __init__(self, epoch: str, quota: Quota, spaces: dict[int, Space], valid_sessions: set[int]) -> None:
        self.epoch = epoch
        self.quota = quota
        self.spaces = spaces
        self.valid_sessions = valid_sessions

    def commits(self) -> list[Committed]:
        """One for each user whose space was written to."""
        return [space.committed(self.epoch) for space in self.spaces.values() if space.writes]
