"""Writer: one real thread with the only writing connection, which commits all queued writes as one transaction.

Without load a write is committed immediately; under load the groups grow by themselves and share one fsync. No write
waits for a timer. The writer knows nothing of keys: the committer decides what a group does and what is left to flush.
Groups of writes alternate with account work (account_queue.py), in which session endings come first.

Longer than 320 lines: the kinds of work of one thread share its state.
"""

import itertools
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.concurrency.fair_pool import SYSTEM, Client
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core.backend import Backend, BackendWriter, own_error
from realtime_kv.core.engine.account_queue import AccountJob, AccountQueue, Kind
from realtime_kv.core.engine.write_queue import QueuedWrite, WriteQueue
from realtime_kv.core.messages import CommitEvent
from realtime_kv.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

# outcomes of writes, and flushes (a read follows each), in one delivery: the event loop serves others between two
TOGETHER = 128
FLUSHES_TOGETHER = 16

# maximum of waiting writes; beyond `CROWDED`, a user's further writes count twice, which leaves room for others
QUEUE_LIMIT = 20_000
CROWDED = QUEUE_LIMIT // 4
# the backlog is flushed when no work has arrived for this long
IDLE_SECONDS = 0.2
# a failed flush (a full disk) is retried after this time
RETRY_SECONDS = 5.0


class Committer(Protocol):
    """The work inside the writer's transactions."""

    @property
    def ahead(self) -> bool:
        """Return whether there is something to flush."""

    @property
    def index_lags(self) -> bool:
        """Return whether the history index has work for an idle moment."""

    def recover(self) -> None:
        """Load the state from the log; called once, before everything else."""

    def commit(self, writes: list[Any], now: int, /) -> tuple[list[Any | Refusal], list[CommitEvent]]:
        """Commit a group; return its outcomes and the events for the watchers."""

    def flush(self, users: Iterable[int] | None = None, /) -> None:
        """Bring the tables of these users, or of all, up to date."""

    def index(self) -> None:
        """Index one step of the log."""

    def index_for(self, requests: "Sequence[AnyIndexRequest]", /) -> "list[AnyIndexRequest]":
        """Index one step for these requests; return those that need more steps."""

    def prepare_plan(self, write: Any, now: int, /) -> bool:
        """Do one step of flushing, indexing and planning for this write; return whether it was the last."""

    def accept(self) -> None:
        """Publish the results of the transaction, which is now durable."""

    def forget(self) -> None:
        """Drop all cached state: the transaction was rolled back, or something else has written."""

    def forget_session(self, session_id: int, /) -> None:
        """Forget a session whose end is durable."""


class IndexRequest(Protocol):
    """A request for the history index of one user's writes, or of all, up to the present end of the log.

    The committer notes that end in `until`, in its own terms.
    """

    user_id: int | None
    until: int | None


AnyIndexRequest = TypeVar("AnyIndexRequest", bound=IndexRequest)


class EndedSession(Protocol):
    """A session that a job has ended."""

    @property
    def session_id(self) -> int: ...


@dataclass(slots=True, eq=False)
class _MaintenanceJob:
    """A call of `fn` outside any transaction, with all tables up to date."""

    fn: Callable[[Any], Any]
    future: Future[Any] = field(default_factory=Future)


@dataclass(slots=True, eq=False)
class _FlushJob:
    """A flush of the tables of one user, or of all users; with `indexed`, also of the history index."""

    user_id: int | None
    indexed: bool = False
    # the end of the log when the index was asked for, once that is known
    until: int | None = None
    future: Future[None] = field(default_factory=Future)


_Job = QueuedWrite | AccountJob | _MaintenanceJob | _FlushJob
_NO_WRITES = frozenset({type(None), AccountJob, _MaintenanceJob, _FlushJob})


class Writer:
    """Takes writes from any thread; futures resolve on the event loop's thread, after the watchers have been called."""

    def __init__(
        self,
        backend: Backend,
        db: BackendWriter,
        committer: Committer,
        runtime: Runtime,
        clock: Callable[[], int],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._backend = backend
        self._db = db
        self._committer = committer
        self._runtime = runtime
        self._clock = clock
        self._on_fatal = on_fatal
        self._watchers: list[Callable[[Sequence[CommitEvent]], None]] = []
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = WriteQueue()
        self._account_work = AccountQueue()
        self._maintenance: deque[_MaintenanceJob] = deque()
        self._flushes: list[_FlushJob] = []
        self._flush_after = IDLE_SECONDS
        self._accepting = True
        self._stopping = False
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        # submitted writes, from any thread, and writes with an outcome
        self._came = itertools.count(1)
        self._last = 0
        self._finished = 0
        # by user: writes without an outcome that arrived while it was crowded
        self._of_users: dict[int, int] = {}
        self.groups = 0
        self.writes = 0
        self._recover()
        self._thread = runtime.start_thread(self._work, "writer")

    def submit(self, write: QueuedWrite) -> None:
        """Queue `write`; its future resolves once it is durable. Raises Unavailable when too many are waiting."""
        self._last = number = next(self._came)
        if number - self._finished > CROWDED or not self._accepting:
            self._find_room(write, number - self._finished)
        self._put(write)

    def run(self, fn: Callable[[Connection], T], client: Client = SYSTEM) -> Future[T]:
        """Run `fn(connection)` alone in a transaction between two groups; an exception rolls it back.

        All tables are up to date when it runs, and all cached state is read again after it.
        """
        return self._submit_job(fn, "run", client)

    def note(self, fn: Callable[[Connection], T], client: Client = SYSTEM) -> Future[T]:
        """Like `run`, but without flush and reload: for work that ends no session and changes no space or quota."""
        return self._submit_job(fn, "note", client)

    def end(
        self, fn: Callable[[Connection], tuple[T, Sequence[EndedSession]]], client: Client = SYSTEM
    ) -> Future[tuple[T, Sequence[EndedSession]]]:
        """Like `note`, for work that may also end sessions, which `fn` returns as well. Runs before other jobs."""
        return self._submit_job(fn, "end", client)

    def maintain(self, fn: Callable[[Any], T]) -> Future[T]:
        """Run `fn(connection)` alone between two groups and outside any transaction, as VACUUM and a restore need it.

        All tables are up to date when it runs, and all cached state is read again after it: `fn` may replace the data
        set.
        """
        if not self._accepting:
            raise Unavailable("The store is stopping; try again in a moment.", retry_after=5)
        job = _MaintenanceJob(fn)
        self._put(job)
        return job.future

    def flush(self, user_id: int | None, *, indexed: bool = False) -> Future[None]:
        """Bring the tables of this user (None: of all) up to date with the commits; fails with Unavailable.

        With `indexed`, the history index too: in steps, between which other writes run.
        """
        if not self._accepting:
            raise Unavailable("The store is stopping; try again in a moment.", retry_after=5)
        job = _FlushJob(user_id, indexed)
        self._put(job)
        return job.future

    @property
    def queued(self) -> int:
        """The number of submitted writes without an outcome."""
        return max(0, self._last - self._finished)

    @property
    def thread_id(self) -> int | None:
        """The operating system's id of the thread, if there is one."""
        return None if self._thread is None else self._thread.native_id

    def watch(self, fn: Callable[[Sequence[CommitEvent]], None]) -> None:
        """Call `fn` on the event loop's thread after each commit, with its changes to each user's space."""
        self._watchers.append(fn)

    def stop(self) -> None:
        """Accept nothing more, finish queued work, and close."""
        if not self._accepting:
            return
        self._accepting = False
        self._put(None)
        if self._thread is None:
            self._close()
        else:
            self._thread.join()

    def _find_room(self, write: QueuedWrite, queued: int) -> None:
        with self._counting:
            own = self._of_users.get(write.user_id, 0)
            if not self._accepting or queued + own > QUEUE_LIMIT:
                self._finished += 1
                raise Unavailable("The store is busy or stopping; repeat with the same op_id.")
            self._of_users[write.user_id] = own + 1

    def _submit_job(self, fn: Callable[[Connection], T], kind: Kind, client: Client) -> Future[T]:
        if not self._accepting:
            raise Unavailable("The store is stopping; try again in a moment.", retry_after=5)
        job = AccountJob(fn, kind, client.user, client.credential)
        self._put(job)
        return job.future

    def _put(self, job: _Job | None) -> None:
        self._queue.put(job)
        if self._thread is None:
            with self._lock:
                while not self._queue.empty() or self._has_work:
                    self._step()

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._flushes or self._account_work or self._maintenance)

    def _recover(self) -> None:
        self._db.begin()
        try:
            self._committer.recover()
        finally:
            self._db.roll_back()
        self._flush_all()

    def _work(self) -> None:
        try:
            while not self._stopping or self._has_work:
                self._step()
        except BaseException as error:
            self._on_fatal(error)
            raise
        finally:
            self._close()

    def _step(self) -> None:
        self._take()
        if self._account_work:
            self._run_together(self._account_work.next_endings())
            self._run_together(self._account_work.next_notes())
            job = self._account_work.next_run()
            if job is not None:
                self._run_alone(job)
        if self._maintenance:
            self._run_maintenance(self._maintenance.popleft())
        if self._flushes:
            self._run_flushes()
        if self._waiting:
            self._run_group(self._waiting.next_group())

    def _take(self) -> None:
        """Take all queued work; wait only if there is nothing to do."""
        if not self._has_work and not self._stopping:
            behind = self._committer.ahead or self._committer.index_lags
            try:
                self._sort(self._queue.get(timeout=self._flush_after if behind else None))
            except queue.Empty:
                self._flush_all()
                self._index_while_idle()
        while True:
            try:
                self._sort(self._queue.get_nowait())
            except queue.Empty:
                return

    def _sort(self, job: _Job | None) -> None:
        # nearly all are writes
        if job.__class__ not in _NO_WRITES:
            self._waiting.add(job)  # type: ignore[arg-type]
        elif job is None:
            self._stopping = True
        elif isinstance(job, AccountJob):
            dropped = self._account_work.add(job)
            if dropped is not None:
                self._runtime.deliver(lambda: dropped.future.fail(Unavailable("The server is busy; try again.")))
        elif isinstance(job, _MaintenanceJob):
            self._maintenance.append(job)
        elif isinstance(job, _FlushJob):
            self._flushes.append(job)

    def _run_group(self, group: list[QueuedWrite]) -> None:
        try:
            if group[0].alone and not self._transact(lambda: self._committer.prepare_plan(group[0], self._clock())):
                self._waiting.put_back(group[0])
                return
            outcomes, committed = self._transact(lambda: self._committer.commit(group, self._clock()))
        except Exception as error:
            if len(group) == 1 or self._backend.fault(error) is not None:
                self._refuse(group, error)
            else:
                # a write that SQL rejects (or a bug) must not fail the rest of its group
                for write in group:
                    self._run_group([write])
            return
        self.groups += 1
        self.writes += len(group)
        self._runtime.deliver(lambda: self._tell(group[:TOGETHER], outcomes[:TOGETHER], committed))
        for start in range(TOGETHER, len(group), TOGETHER):
            part = slice(start, start + TOGETHER)
            self._runtime.deliver(partial(self._tell, group[part], outcomes[part], []))

    def _count_out(self, group: list[QueuedWrite]) -> None:
        """Count these writes as finished. Not on the writer's thread, because submitting threads would wait for it."""
        with self._counting:
            self._finished += len(group)
            if self._of_users:
                self._count_out_of_crowd(group)

    def _count_out_of_crowd(self, group: list[QueuedWrite]) -> None:
        if self.queued <= CROWDED:
            self._of_users.clear()
        for write in group:
            if own := self._of_users.get(write.user_id):
                self._of_users[write.user_id] = own - 1

    def _transact(self, work: Callable[[], T]) -> T:
        self._db.begin()
        try:
            answer = work()
            self._db.commit()
        except BaseException:
            self._db.roll_back()
            self._committer.forget()
            raise
        self._committer.accept()
        try:
            self._db.after_commit()
        except Exception as error:  # the commit is durable, so its callers get their outcomes
            log.warning("the work that follows a commit failed: %r", error)
            self._failure(error)
        return answer

    def _run_together(self, jobs: list[AccountJob]) -> None:
        """Run endings or notes in one transaction; a job that raises is rolled back alone."""
        if not jobs:
            return
        outcomes: list[tuple[Any, BaseException | None]] = []
        try:
            with self._db.sql_transaction() as connection:
                for job in jobs:
                    try:
                        with connection.begin_nested():
                            outcomes.append((job.fn(connection), None))
                    except Exception as error:
                        if self._backend.fault(error) is not None:
                            raise
                        outcomes.append((None, own_error(error)))
        except Exception as error:
            failed = self._failure(own_error(error))
            outcomes = [(None, failed)] * len(jobs)
        for job, (answer, failure) in zip(jobs, outcomes, strict=True):
            if job.kind == "end" and failure is None:
                for over in answer[1]:
                    self._committer.forget_session(over.session_id)
        self._runtime.deliver(lambda: _settle(jobs, outcomes))

    def _run_alone(self, job: AccountJob) -> None:
        failure: BaseException | None = None
        answer = None
        try:
            with self._db.sql_transaction() as connection:
                self._committer.flush()
                answer = job.fn(connection)
            self._committer.accept()
        except Exception as error:
            failure = self._failure(own_error(error))
        # all state that the job may have changed is read again
        self._committer.forget()
        self._runtime.deliver(lambda: _settle([job], [(answer, failure)]))

    def _run_maintenance(self, job: _MaintenanceJob) -> None:
        failure: BaseException | None = None
        answer = None
        try:
            self._transact(self._committer.flush)
            answer = self._db.maintain(job.fn)
        except Exception as error:
            failure = self._failure(error)
        self._db.roll_back()
        self._committer.forget()
        self._recover()
        self._runtime.deliver(lambda: job.future.resolve(answer) if failure is None else job.future.fail(failure))

    def _run_flushes(self) -> None:
        jobs, self._flushes = self._flushes, []
        failure: BaseException | None = None
        try:
            users = {job.user_id for job in jobs if job.user_id is not None}
            everybody = any(job.user_id is None for job in jobs)
            self._transact(lambda: self._committer.flush(None if everybody else users))
            if indexing := [job for job in jobs if job.indexed]:
                self._flushes = self._transact(lambda: self._committer.index_for(indexing))
            # there may be thousands
            unfinished = set(self._flushes)
            jobs = [job for job in jobs if job not in unfinished]
        except Exception as error:
            failure = self._failure(error)

        def tell(some: list[_FlushJob]) -> None:
            for job in some:
                if failure is None:
                    job.future.resolve(None)
                else:
                    job.future.fail(failure)

        for start in range(0, len(jobs), FLUSHES_TOGETHER):
            self._runtime.deliver(partial(tell, jobs[start : start + FLUSHES_TOGETHER]))

    def _flush_all(self) -> None:
        """Flush everything. If that fails, nothing is lost: the writes stay in the log, and the flush is retried."""
        if self._committer.ahead:
            self._catch_up(self._committer.flush)

    def _index_while_idle(self) -> None:
        while self._committer.index_lags and self._queue.empty():
            if not self._catch_up(self._committer.index):
                return

    def _catch_up(self, work: Callable[[], None]) -> bool:
        try:
            self._transact(work)
            self._flush_after = IDLE_SECONDS
        except Exception as error:
            self._flush_after = RETRY_SECONDS
            log.error("the tables could not be brought up to date: %r", error)
            # no caller waits for it, but an I/O error is fatal here as well
            self._failure(error)
            return False
        return True

    def _refuse(self, group: list[QueuedWrite], error: Exception) -> None:
        log.error("a group of %d writes was not committed: %r", len(group), error)
        failure = self._failure(error)

        def refuse() -> None:
            self._count_out(group)
            for write in group:
                write.future.fail(failure)

        self._runtime.deliver(refuse)

    def _failure(self, error: BaseException) -> BaseException:
        """Return the error for the waiting callers: Unavailable for a fault, a refusal or a bug unchanged."""
        fault = self._backend.fault(error)
        if fault is None:
            return error
        if fault.is_fatal:
            self._on_fatal(error)
        return Unavailable()

    def _tell(self, group: list[QueuedWrite], outcomes: list[Any | Refusal], committed: list[CommitEvent]) -> None:
        self._count_out(group)
        for watcher in self._watchers if committed else ():
            try:
                watcher(committed)
            except Exception:
                log.exception("a watcher failed")
        for write, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                write.future.fail(outcome)
            else:
                write.future.resolve(outcome)

    def _close(self) -> None:
        self._flush_all()
        self._db.close()


def _settle(jobs: list[AccountJob], outcomes: list[tuple[Any, BaseException | None]]) -> None:
    for job, (answer, failure) in zip(jobs, outcomes, strict=True):
        if failure is None:
            job.future.resolve(answer)
        else:
            job.future.fail(failure)
