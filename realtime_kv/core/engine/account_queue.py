"""Account work: transactions on users and sessions that wait for the writer, in fair order of users.

Invariants:
1. Session endings come before all other account work.
2. Endings share a transaction, and notes share another; each succeeds or fails alone (a savepoint each).
3. Between two groups of writes there is at most one transaction of each kind, so account work cannot hold up writes.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection

from realtime_kv.concurrency.fair_queue import FairQueue
from realtime_kv.concurrency.runtime import Future

# maximum in one transaction, during which all writes wait: a job takes about a millisecond
ENDINGS_TOGETHER = 8
NOTES_TOGETHER = 4
MAX_PER_USER = 500
MAX_WAITING = 20_000

# `run`: with all tables up to date, and all cached state read again after it; `note`: changes nothing that the writer
# keeps in memory; `end`: like a note, and answers `(answer, ended)` with the sessions that have ended
Kind = Literal["run", "note", "end"]


@dataclass(slots=True, eq=False)
class AccountJob:
    """A call of `fn(connection)` in a transaction."""

    fn: Callable[[Connection], Any]
    kind: Kind
    user: Hashable = None
    credential: Hashable = None
    cost: float = 1.0
    future: Future[Any] = field(default_factory=Future)


class AccountQueue:
    """The waiting jobs, by kind and by user. Used by the writer only."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, FairQueue[AccountJob]] = {
            kind: FairQueue(max_running=1, max_per_user=MAX_PER_USER, max_total=MAX_WAITING)
            for kind in ("end", "note", "run")
        }

    def __bool__(self) -> bool:
        return any(len(queue) for queue in self._waiting.values())

    def add(self, job: AccountJob) -> AccountJob | None:
        """Queue `job`. Returns the job that was dropped for it, if any."""
        return self._waiting[job.kind].push(job)

    def next_endings(self) -> list[AccountJob]:
        """Take session endings for one transaction."""
        return self._take("end", ENDINGS_TOGETHER)

    def next_notes(self) -> list[AccountJob]:
        """Take notes for one transaction."""
        return self._take("note", NOTES_TOGETHER)

    def next_run(self) -> AccountJob | None:
        """Take a job for a transaction of its own."""
        return next(iter(self._take("run", 1)), None)

    def _take(self, kind: Kind, most: int) -> list[AccountJob]:
        queue, jobs = self._waiting[kind], list[AccountJob]()
        while len(jobs) < most and (job := queue.pop()) is not None:
            queue.finish(job, job.cost)
            jobs.append(job)
        return jobs
