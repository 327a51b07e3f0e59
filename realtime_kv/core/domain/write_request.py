"""Write request."""

from msgspec import Struct, field

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core.domain import permissions
from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.operations import Op
from realtime_kv.core.domain.space import Outcome
from realtime_kv.core.engine.planner import Plan, Planning
from realtime_kv.core.statements import PlanStatements
from realtime_kv.errors import Refusal


class WriteRequest(Struct, eq=False):
    """A write request: `verb` is `set`, `delete`, `restore` (one op each), `batch`, or a verb that counts its ops.

    A request with a `plan` has its own transaction, in which the plan produces ops or a `refusal`. `fingerprint`
    identifies the verb and its payload, so that an `op_id` cannot be used for two requests. `op_id` includes the
    namespace of the caller's receipts.
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
    # revision of the write that this one undoes
    undoes: int | None = None
    # log row that the history index must reach for its plan
    until: int | None = None
    # weight of its values
    bytes_weight: int = 0
    # of a request with a plan: the progress of planning, and its cost
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

    def make_plan(self, db: PlanStatements, cost: Cost | None = None) -> bool:
        """Do one step of planning; return whether it was the last, after which there are ops or a refusal."""
        assert self.planning is not None
        try:
            ops = self.planning.step(db, cost)
            if ops is None:
                return False
            self.ops = ops
            permissions.check_write(self.caller, self.verb, ops)
        except Refusal as refusal:
            self.refusal = refusal
        return True
