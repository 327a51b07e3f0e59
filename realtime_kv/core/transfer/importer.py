"""Importer: one import on a thread of its own, planned completely, then written in parts, each an ordinary write.

It continues if its client disconnects. After an interruption the written parts remain, and importing the same file once
more adds the rest.
"""

from collections.abc import Callable
from typing import BinaryIO, Protocol

from msgspec import Struct, structs

from realtime_kv.caller import Caller
from realtime_kv.core.backend import BackendReader
from realtime_kv.core.domain import permissions
from realtime_kv.core.domain.operations import Op
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.transfer.import_plan import Counts, ImportOptions, ImportPlan, ImportPlanner, Mode, Step
from realtime_kv.errors import Conflict, Refusal


class Progress(Struct):
    """Progress of an import: `receiving` (bytes), `checking`, `writing` (ops), with `done` of `total`."""

    phase: str = "receiving"
    done: int = 0
    total: int = 0


class ImportReport(Struct, kw_only=True):
    """Result of an import, with `dry_run` the expected one; `revisions` are those of its writes, in their order."""

    ok: bool = True
    mode: Mode
    dry_run: bool
    added: int
    changed: int
    removed: int
    unchanged: int
    skipped: int
    expired: int
    outside: int
    revisions: list[int]
    revision: int


class ImportTarget(Protocol):
    """Target of an import, as its thread may use it."""

    @property
    def quota(self) -> Quota: ...

    @property
    def value_bytes(self) -> int: ...

    @property
    def clock(self) -> Callable[[], int]: ...

    def settle(self, user_id: int) -> None:
        """Bring the tables up to date with this user's acknowledged writes."""

    def write(self, caller: Caller, ops: list[Op]) -> int:
        """Execute one write; return its revision."""


class Importer:
    """Fills a plan from a file, and executes it."""

    def __init__(self, caller: Caller, asked: ImportOptions, plan: ImportPlan, progress: Progress) -> None:
        self._caller = caller
        self._asked = asked
        self._plan = plan
        self._progress = progress

    def run(self, db: BackendReader, file: BinaryIO, target: ImportTarget, *, dry_run: bool) -> ImportReport:
        """Run the import. Raises the errors of the file, with `line` and `key`, and QuotaExceeded.

        Once it has begun to write, Conflict, Unavailable and all other refusals contain the changes `written` by then.
        """
        progress, plan = self._progress, self._plan
        progress.phase, progress.done, progress.total = "checking", 0, 0
        target.settle(self._caller.user_id)
        try:
            planner = ImportPlanner(db, self._caller.user_id, target.clock(), self._asked, plan)
            planner.make(file, target.value_bytes, target.quota)
        except Refusal as refusal:
            if self._caller.prefix is not None:
                permissions.withhold(refusal)
            raise
        if dry_run:
            return self._imported(plan.counts, [], dry_run)
        progress.phase, progress.total = "writing", plan.counts.writes
        return self._write(target)

    def _write(self, target: ImportTarget) -> ImportReport:
        written = structs.replace(self._plan.counts, added=0, changed=0, removed=0)
        revisions: list[int] = []
        for steps in self._plan.writes():
            try:
                revisions.append(target.write(self._caller, [step.op() for step in steps]))
            except Refusal as refusal:
                if isinstance(refusal, Conflict):
                    refusal.message = f"Another write came during the import: {refusal.message}"
                done = {name: getattr(written, name) for name in ("added", "changed", "removed")}
                refusal.extra["written"] = {**done, "revisions": revisions}
                raise
            _count(written, steps)
            self._progress.done += len(steps)
        return self._imported(written, revisions, False)

    def _imported(self, counts: Counts, revisions: list[int], dry_run: bool) -> ImportReport:
        return ImportReport(
            mode=self._asked.mode,
            dry_run=dry_run,
            revisions=revisions,
            revision=revisions[-1] if revisions else self._plan.revision,
            **structs.asdict(counts),
        )


def _count(counts: Counts, steps: list[Step]) -> None:
    for step in steps:
        setattr(counts, step.what, getattr(counts, step.what) + 1)
