"""A request to write."""

import sqlite3

from msgspec import Struct, field

from realtime_kv.core import permissions
from realtime_kv.core.caller import Caller
from realtime_kv.core.cost import Cost
from realtime_kv.core.errors import Refusal
from realtime_kv.core.ops import Op
from realtime_kv.core.planning import Plan, Planning
from realtime_kv.core.runtime import Future
from realtime_kv.core.space import Outcome


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
    # of one with a plan: how far that is made, and what it has cost
    planning: Planning | None = None

    @property
    def user_id(self) -> int:
        return self.caller.user_id

    @property
    def alone(self) -> bool:
        return self.plan is not None

    @property
    def weight(self) -> int:
        return len(self.ops) + self.bytes_weight

    def make_plan(self, cursor: sqlite3.Cursor, cost: Cost | None = None) -> bool:
        """One step of the planning; whether it was the last: then there are ops, or there is a refusal."""
        assert self.planning is not None
        try:
            ops = self.planning.step(cursor, cost)
            if ops is None:
                return False
            self.ops = ops
            permissions.check_write(self.caller, self.verb, ops)
        except Refusal as refusal:
            self.refusal = refusal
        return True
