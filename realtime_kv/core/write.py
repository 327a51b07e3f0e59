"""A request to write."""

from msgspec import Struct, field

from realtime_kv.core.caller import Caller
from realtime_kv.core.ops import Op
from realtime_kv.core.runtime import Future
from realtime_kv.core.space import Outcome


class Write(Struct, eq=False):
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
