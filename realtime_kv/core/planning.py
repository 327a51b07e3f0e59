"""Planning: the ops of a write are looked up in steps, between which the writer serves others, and each is charged.

Invariants:
1. A step looks at STEP_ROWS rows or STEP_BYTES bytes, and at most one statement more.
2. Between the steps of a write nothing else changes its user's keys: the writer holds back what that user has asked for
   since. What a step has found is therefore still true at the last one.
"""

import sqlite3
from collections.abc import Generator
from typing import ClassVar, Protocol

from realtime_kv.core.cost import Cost
from realtime_kv.core.ops import Op

# some milliseconds of the writer
STEP_ROWS = 4096
STEP_BYTES = 1024 * 1024
# a lookup of one key takes as long as reading so many rows in order
LOOKUP_ROWS = 8


class Lookup:
    """What a plan reads with: the cursor of the present step, and where it counts what it has looked at."""

    __slots__ = ("_bytes", "_cost", "_rows", "cursor")

    def begin(self, cursor: sqlite3.Cursor, cost: Cost) -> None:
        """A step begins."""
        self.cursor, self._cost = cursor, cost
        self._rows = self._bytes = 0

    def count(self, *, rows: int = 0, lookups: int = 0, bytes: int = 0) -> None:
        """So much was looked at."""
        rows += LOOKUP_ROWS * lookups
        self._rows += rows
        self._bytes += bytes
        self._cost.add(rows=rows, bytes=bytes)

    @property
    def is_step_over(self) -> bool:
        """Whether the plan is to yield, so that others are served."""
        return self._rows >= STEP_ROWS or self._bytes >= STEP_BYTES


class Plan(Protocol):
    """What a write is to do, where only the tables can tell which ops that are; a Struct, which is its fingerprint.

    One that is `indexed` also needs the index of the log.
    """

    indexed: ClassVar[bool]

    def ops(self, lookup: Lookup, user_id: int, now: int) -> Generator[None, None, list[Op]]:
        """Made inside transactions, with the tables of this user up to date; yields between two steps. Raises Refusal.

        No statement may be left open at a yield or at the end.
        """


class Planning:
    """A plan that is being asked for its ops, in the data set that is named `epoch`; `cost` is what that has cost."""

    def __init__(self, plan: Plan, user_id: int, now: int, epoch: str = "") -> None:
        self.epoch = epoch
        self.cost = Cost()
        self._lookup = Lookup()
        self._steps = plan.ops(self._lookup, user_id, now)

    def step(self, cursor: sqlite3.Cursor, cost: Cost | None = None) -> list[Op] | None:
        """Go on by one step; the ops once that was the last. Raises Refusal.

        `cost` is where it counts, its own if it is not given.
        """
        cost = cost or self.cost
        self._lookup.begin(cursor, cost)
        try:
            next(self._steps)
        except StopIteration as stop:
            ops: list[Op] = stop.value
            cost.add(ops=len(ops), bytes=sum(len(getattr(op, "value", None) or "") for op in ops))
            return ops
        return None
