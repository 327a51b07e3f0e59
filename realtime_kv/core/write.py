"""A request to write."""

from typing import ClassVar, Protocol

from msgspec import Struct, field

from realtime_kv.core.caller import Caller
from realtime_kv.core.database import Cursor
from realtime_kv.core.errors import Refusal
from realtime_kv.core.ops import Op
from realtime_kv.core.runtime import Future
from realtime_kv.core.space import Outcome


class Plan(Protocol):
    """What a write is to do, where only the tables can tell which ops that are; a Struct, which is its fingerprint.

    One that is `indexed` also needs the index of the log.
    """

    indexed: ClassVar[bool]

    def ops(self, cursor: Cursor, user_id: int, now: int) -> list[Op]:
        """Made inside the transaction, with the tables of this user up to date. Raises Refusal."""


class Write(Struct, eq=False):
    """A request to write: `verb` is `set`, `delete`, `restore` (one op each), `batch`, or one that counts its ops.

    One with a `plan` has a transaction of its own, in which the plan makes its ops, or comes to a `refusal`.
    `fingerprint` stands for the verb and its payload, so that an `op_id` cannot be used for two things. `op_id`
    includes the namespace of the caller's receipts.
    """

    caller: Caller
    verb: str
    ops: list[Op]
    op_id: str | None = None
    fingerprint: str = ""
    future: Future[Outcome] = field(default_factory=Future)
    plan: Plan | None = None
    dry_run: bool = False
    refusal: Refusal | None = None
    # the write that it takes back
    undoes: int | None = None
    # up to which row its plan needs the index of the log
    until: int | None = None
    # what its values add to its weight
    bytes_weight: int = 0
    # what its plan has come to, in ops and bytes: known once there is an outcome
    planned_ops: int = 0
    planned_bytes: int = 0

    @property
    def user_id(self) -> int:
        return self.caller.user_id

    @property
    def alone(self) -> bool:
        return self.plan is not None

    @property
    def weight(self) -> int:
        return len(self.ops) + self.bytes_weight
