"""Writer: one real thread with the only writing connection, which commits all queued writes as one transaction.

Without load a write is committed immediately; under load the groups grow by themselves and share one fsync. No write
waits for a timer. The writer knows nothing of keys: the committer decides what a group does and what is left to flush.
Groups of writes alternate with jobs (jobs.py), of which session endings come first, and with flushes (flusher.py).
"""

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from realtime_kv.concurrency.fair_pool import SYSTEM, Client
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core.backend import Backend
from realtime_kv.core.domain.space import Outcome
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.flusher import Flusher, FlushRequest
from realtime_kv.core.engine.jobs import EndedSession, Job, JobQueue, Kind
from realtime_kv.core.engine.transactions import Committer, Transactions
from realtime_kv.core.engine.write_queue import WriteQueue
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.writers import BackendWriter
from realtime_kv.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

# outcomes of writes in one delivery: the event loop serves others between two
TOGETHER = 128

# maximum of waiting writes; beyond `CROWDED`, a user's further writes count twice, which leaves room for others
QUEUE_LIMIT = 20_000
CROWDED = QUEUE_LIMIT // 4


_Queued = WriteRequest | Job | FlushRequest


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
        self._db = db
        self._committer = committer
        self._runtime = runtime
        self._clock = clock
        self._on_fatal = on_fatal
        self._watchers: list[Callable[[Sequence[CommitEvent]], None]] = []
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._transactions = Transactions(backend, db, committer, on_fatal)
        self._waiting = WriteQueue()
        self._flusher = Flusher(self._transactions, runtime)
        self._jobs = JobQueue(self._transactions, self._flusher, runtime)
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
        self._flusher.recover()
        self._thread = runtime.start_thread(self._work, "writer")

    def submit(self, write: WriteRequest) -> None:
        """Queue `write`; its future resolves once it is durable. Raises Unavailable when too many are waiting."""
        self._last = number = next(self._came)
        if number - self._finished > CROWDED or not self._accepting:
            self._check_room(write, number - self._finished)
        self._put(write)

    def run_in_transaction(self, fn: Callable[[Connection], T], client: Client = SYSTEM) -> Future[T]:
        """Run `fn(connection)` in a transaction of its own between two groups; an exception rolls it back.

        All tables are up to date when it runs, and all cached state is read again after it.
        """
        return self._submit_job(fn, "alone", client)

    def run_in_shared_transaction(self, fn: Callable[[Connection], T], client: Client = SYSTEM) -> Future[T]:
        """Like `run_in_transaction`, but keep the caches: only for jobs that change no session, entry or quota.

        Jobs of several callers share a transaction; an exception rolls back only what its job did.
        """
        return self._submit_job(fn, "shared", client)

    def end_sessions(
        self, fn: Callable[[Connection], tuple[T, Sequence[EndedSession]]], client: Client = SYSTEM
    ) -> Future[tuple[T, Sequence[EndedSession]]]:
        """Like `run_in_shared_transaction`, for a job that may also end sessions, which `fn` returns as well.

        Runs before other jobs.
        """
        return self._submit_job(fn, "ending", client)

    def run_exclusive(self, fn: Callable[[Any], T]) -> Future[T]:
        """Run `fn(connection)` alone between two groups and outside any transaction, as VACUUM and a restore need it.

        All tables are up to date when it runs, and all cached state is read again after it: `fn` may replace the data
        set.
        """
        return self._submit_job(fn, "exclusive", SYSTEM)

    def flush(self, user_id: int | None, *, indexed: bool = False) -> Future[None]:
        """Bring the tables of this user (None: of all) up to date with the commits; fails with Unavailable.

        With `indexed`, the history index too: in steps, between which other writes run.
        """
        self._check_accepting()
        request = FlushRequest(user_id, indexed)
        self._put(request)
        return request.future

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

    def _check_room(self, write: WriteRequest, queued: int) -> None:
        with self._counting:
            own = self._of_users.get(write.user_id, 0)
            if not self._accepting or queued + own > QUEUE_LIMIT:
                self._finished += 1
                raise Unavailable("The store is busy or stopping; repeat with the same op_id.")
            self._of_users[write.user_id] = own + 1

    def _submit_job(self, fn: Callable[[Any], T], kind: Kind, client: Client) -> Future[T]:
        self._check_accepting()
        job = Job(fn, kind, client.user, client.credential)
        self._put(job)
        return job.future

    def _check_accepting(self) -> None:
        if not self._accepting:
            raise Unavailable("The store is stopping; try again in a moment.", retry_after=5)

    def _put(self, job: _Queued | None) -> None:
        self._queue.put(job)
        if self._thread is None:
            with self._lock:
                while not self._queue.empty() or self._has_work:
                    self._step()

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._flusher or self._jobs)

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
        self._take_queued()
        if self._jobs:
            self._jobs.run_some()
        if self._flusher:
            self._flusher.run_all()
        if self._waiting:
            self._run_group(self._waiting.next_group())

    def _take_queued(self) -> None:
        """Take all queued work; wait only if there is nothing to do."""
        if not self._has_work and not self._stopping:
            try:
                self._sort(self._queue.get(timeout=self._flusher.idle_seconds))
            except queue.Empty:
                self._flusher.flush_all()
                self._flusher.index_while(self._queue.empty)
        while True:
            try:
                self._sort(self._queue.get_nowait())
            except queue.Empty:
                return

    def _sort(self, job: _Queued | None) -> None:
        # nearly all are writes
        if isinstance(job, WriteRequest):
            self._waiting.add(job)
        elif job is None:
            self._stopping = True
        elif isinstance(job, FlushRequest):
            self._flusher.add(job)
        else:
            self._jobs.add(job)

    def _run_group(self, group: list[WriteRequest]) -> None:
        transactions, committer = self._transactions, self._committer
        try:
            if group[0].alone and not transactions.run(lambda: committer.prepare_plan(group[0], self._clock())):
                self._waiting.put_back(group[0])
                return
            outcomes, committed = transactions.run(lambda: committer.commit(group, self._clock()))
        except Exception as error:
            if len(group) == 1 or transactions.is_fault(error):
                self._refuse(group, error)
            else:
                # a write that SQL rejects (or a bug) must not fail the rest of its group
                for write in group:
                    self._run_group([write])
            return
        self.groups += 1
        self.writes += len(group)
        self._runtime.deliver(lambda: self._publish(group[:TOGETHER], outcomes[:TOGETHER], committed))
        for start in range(TOGETHER, len(group), TOGETHER):
            part = slice(start, start + TOGETHER)
            self._runtime.deliver(partial(self._publish, group[part], outcomes[part], []))

    def _refuse(self, group: list[WriteRequest], error: Exception) -> None:
        log.error("a group of %d writes was not committed: %r", len(group), error)
        failure = self._transactions.report(error)

        def refuse() -> None:
            self._count_finished(group)
            for write in group:
                write.future.fail(failure)

        self._runtime.deliver(refuse)

    def _publish(
        self, group: list[WriteRequest], outcomes: list[Outcome | Refusal], committed: list[CommitEvent]
    ) -> None:
        """Call the watchers, then resolve the futures."""
        self._count_finished(group)
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

    def _count_finished(self, group: list[WriteRequest]) -> None:
        """Count these writes as finished. Not on the writer's thread, because submitting threads would wait for it."""
        with self._counting:
            self._finished += len(group)
            if self._of_users:
                self._count_finished_of_users(group)

    def _count_finished_of_users(self, group: list[WriteRequest]) -> None:
        if self.queued <= CROWDED:
            self._of_users.clear()
        for write in group:
            if own := self._of_users.get(write.user_id):
                self._of_users[write.user_id] = own - 1

    def _close(self) -> None:
        self._flusher.flush_all()
        self._db.close()
