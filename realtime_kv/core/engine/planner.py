"""Planning: looks up the ops of a write in steps, each of them charged, between which the writer serves others.

Invariants:
1. A step reads STEP_ROWS rows or STEP_BYTES bytes, and at most one statement more.
2. Between the steps of a write nothing else changes its user's keys: the writer holds back that user's later writes.
   The results of a step are therefore still true at the last one.
"""

from collections.abc import Generator
from typing import ClassVar, Protocol

from realtime_kv.core.domain.cost import Cost
from realtime_kv.core.domain.operations import Op
from realtime_kv.core.statements import PlanStatements

# a few milliseconds of the writer
STEP_ROWS = 4096
STEP_BYTES = 1024 * 1024
# a lookup of one key takes as long as reading this many rows in order
LOOKUP_ROWS = 8


class Lookup:
    """Read access of a plan: the statements of the present step, and the counter of its cost."""

    __slots__ = ("_bytes", "_cost", "_rows", "db")

    def begin(self, db: PlanStatements, cost: Cost) -> None:
        """Begin a step."""
        self.db, self._cost = db, cost
        self._rows = self._bytes = 0

    def count(self, *, rows: int = 0, lookups: int = 0, bytes: int = 0) -> None:
        """Count the rows, lookups and bytes that were read."""
        rows += LOOKUP_ROWS * lookups
        self._rows += rows
        self._bytes += bytes
        self._cost.add(rows=rows, bytes=bytes)

    @property
    def is_step_over(self) -> bool:
        """Return whether the plan has to yield, so that others are served."""
        return self._rows >= STEP_ROWS or self._bytes >= STEP_BYTES


class Plan(Protocol):
    """The intent of a write whose ops depend on the tables; a Struct, which is its fingerprint.

    An `indexed` plan also needs the history index.
    """

    indexed: ClassVar[bool]

    def ops(self, lookup: Lookup, user_id: int, now: int) -> Generator[None, None, list[Op]]:
        """Return the ops, inside transactions with this user's tables up to date; yield between two steps.

        Raises Refusal. No statement may be left open at a yield or at the end.
        """


class Planning:
    """A plan in progress, for the data set named `epoch`; `cost` is its cost so far."""

    def __init__(self, plan: Plan, user_id: int, now: int, epoch: str = "") -> None:
        self.epoch = epoch
        self.cost = Cost()
        self._lookup = Lookup()
        self._steps = plan.ops(self._lookup, user_id, now)

    def step(self, db: PlanStatements, cost: Cost | None = None) -> list[Op] | None:
        """Do one step; return the ops if it was the last. Raises Refusal.

        The step counts in `cost`, or in its own cost if none is given.
        """
        cost = cost or self.cost
        self._lookup.begin(db, cost)
        try:
            next(self._steps)
        except StopIteration as stop:
            ops: list[Op] = stop.value
            cost.add(ops=len(ops), bytes=sum(len(getattr(op, "value", None) or "") for op in ops))
            return ops
        return None
