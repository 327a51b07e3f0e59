"""Jobs: the writer's work besides writes and flushes, such as account changes, in fair order of users.

Invariants:
1. Session endings come before all other jobs.
2. Endings share a transaction, and shared jobs share another; each succeeds or fails alone (a savepoint each).
3. Between two groups of writes there is at most one transaction of each kind, so jobs cannot hold up writes.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from realtime_kv.concurrency.fair_queue import FairQueue
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core.backend import own_error
from realtime_kv.core.engine.flusher import Flusher
from realtime_kv.core.engine.transactions import Transactions
from realtime_kv.errors import Unavailable

# maximum of shared jobs or endings in one transaction
MAX_TOGETHER = 32
MAX_PER_USER = 500
MAX_WAITING = 20_000

# `ending`: like `shared`, and answers `(answer, ended)` with the sessions that have ended; `shared`: changes nothing
# that the writer keeps in memory; `alone`: with all tables up to date, and all cached state read again after it;
# `exclusive`: like `alone`, but outside any transaction
Kind = Literal["ending", "shared", "alone", "exclusive"]

# an answer, or an error
_Outcome = tuple[Any, BaseException | None]


class EndedSession(Protocol):
    """A session that a job has ended."""

    @property
    def session_id(self) -> int: ...


@dataclass(slots=True, eq=False)
class Job:
    """A call of `fn(connection)`."""

    fn: Callable[[Any], Any]
    kind: Kind
    user: Hashable = None
    credential: Hashable = None
    cost: float = 1.0
    future: Future[Any] = field(default_factory=Future)


class JobQueue:
    """The waiting jobs, by kind and by user. Used by the writer's thread only."""

    def __init__(self, transactions: Transactions, flusher: Flusher, runtime: Runtime) -> None:
        self._transactions = transactions
        self._flusher = flusher
        self._runtime = runtime
        self._waiting: dict[Kind, FairQueue[Job]] = {
            kind: FairQueue(max_running=1, max_per_user=MAX_PER_USER, max_total=MAX_WAITING)
            for kind in ("ending", "shared", "alone", "exclusive")
        }

    def __bool__(self) -> bool:
        return any(len(queue) for queue in self._waiting.values())

    def add(self, job: Job) -> None:
        """Queue `job`; if too many are waiting, a job of the user with the most of them fails with Unavailable."""
        dropped = self._waiting[job.kind].push(job)
        if dropped is not None:
            self._runtime.deliver(lambda: dropped.future.fail(Unavailable("The server is busy; try again.")))

    def run_some(self) -> None:
        """Run a transaction of endings, one of shared jobs, then one job of each other kind."""
        self._run_together(self._take("ending", MAX_TOGETHER))
        self._run_together(self._take("shared", MAX_TOGETHER))
        for job in self._take("alone", 1):
            self._run_alone(job)
        for job in self._take("exclusive", 1):
            self._run_exclusive(job)

    def _take(self, kind: Kind, most: int) -> list[Job]:
        queue, jobs = self._waiting[kind], list[Job]()
        while len(jobs) < most and (job := queue.pop()) is not None:
            queue.finish(job, job.cost)
            jobs.append(job)
        return jobs

    def _run_together(self, jobs: list[Job]) -> None:
        """Run jobs in one transaction; a job that raises is rolled back alone."""
        if not jobs:
            return
        outcomes: list[_Outcome] = []
        try:
            with self._transactions.db.sql_transaction() as connection:
                for job in jobs:
                    try:
                        with connection.begin_nested():
                            outcomes.append((job.fn(connection), None))
                    except Exception as error:
                        if self._transactions.is_fault(error):
                            raise
                        outcomes.append((None, own_error(error)))
        except Exception as error:
            failed = self._transactions.report(own_error(error))
            outcomes = [(None, failed)] * len(jobs)
        for job, (answer, failure) in zip(jobs, outcomes, strict=True):
            if job.kind == "ending" and failure is None:
                for ended in answer[1]:
                    self._transactions.committer.forget_session(ended.session_id)
        self._runtime.deliver(lambda: _resolve(jobs, outcomes))

    def _run_alone(self, job: Job) -> None:
        committer = self._transactions.committer
        failure: BaseException | None = None
        answer = None
        try:
            with self._transactions.db.sql_transaction() as connection:
                committer.flush()
                answer = job.fn(connection)
            committer.on_commit()
        except Exception as error:
            failure = self._transactions.report(own_error(error))
        # all state that the job may have changed is read again
        committer.invalidate()
        self._runtime.deliver(lambda: _resolve([job], [(answer, failure)]))

    def _run_exclusive(self, job: Job) -> None:
        transactions = self._transactions
        failure: BaseException | None = None
        answer = None
        try:
            transactions.run(transactions.committer.flush)
            answer = transactions.db.maintain(job.fn)
        except Exception as error:
            failure = transactions.report(error)
        transactions.db.roll_back()
        transactions.committer.invalidate()
        self._flusher.recover()
        self._runtime.deliver(lambda: _resolve([job], [(answer, failure)]))


def _resolve(jobs: list[Job], outcomes: list[_Outcome]) -> None:
    for job, (answer, failure) in zip(jobs, outcomes, strict=True):
        if failure is None:
            job.future.resolve(answer)
        else:
            job.future.fail(failure)
