"""Flusher: brings the tables and the history index up to date with the log, on request and while the writer is idle."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core.engine.transactions import Transactions

log = logging.getLogger(__name__)

# flushes that are reported in one delivery (a read follows each): the event loop serves others between two deliveries
REPORTED_TOGETHER = 16
# the backlog is flushed when no work has arrived for this long
IDLE_SECONDS = 0.2
# a failed flush (a full disk) is retried after this time
RETRY_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class FlushRequest:
    """A flush of the tables of one user, or of all users; with `indexed`, also of the history index."""

    user_id: int | None
    indexed: bool = False
    # the end of the log when the index was asked for, once that is known
    until: int | None = None
    future: Future[None] = field(default_factory=Future)


class Flusher:
    """The waiting flushes. Used by the writer's thread only."""

    def __init__(self, transactions: Transactions, runtime: Runtime) -> None:
        self._transactions = transactions
        self._committer = transactions.committer
        self._runtime = runtime
        self._requests: list[FlushRequest] = []
        self._wait_seconds = IDLE_SECONDS

    def __bool__(self) -> bool:
        return bool(self._requests)

    @property
    def idle_seconds(self) -> float | None:
        """After how many seconds without work the tables or the index are brought up to date; None if they are."""
        return self._wait_seconds if self._committer.has_backlog or self._committer.index_lags else None

    def add(self, request: FlushRequest) -> None:
        """Queue a flush."""
        self._requests.append(request)

    def run_all(self) -> None:
        """Flush for all waiting requests in one transaction; those that need the index may take several calls."""
        requests, self._requests = self._requests, []
        failure: BaseException | None = None
        try:
            users = {request.user_id for request in requests if request.user_id is not None}
            everybody = any(request.user_id is None for request in requests)
            self._transactions.run(lambda: self._committer.flush(None if everybody else users))
            if indexing := [request for request in requests if request.indexed]:
                self._requests = self._transactions.run(lambda: self._committer.index_for(indexing))
            # there may be thousands
            unfinished = set(self._requests)
            requests = [request for request in requests if request not in unfinished]
        except Exception as error:
            failure = self._transactions.report(error)

        def resolve(some: list[FlushRequest]) -> None:
            for request in some:
                if failure is None:
                    request.future.resolve(None)
                else:
                    request.future.fail(failure)

        for start in range(0, len(requests), REPORTED_TOGETHER):
            self._runtime.deliver(partial(resolve, requests[start : start + REPORTED_TOGETHER]))

    def recover(self) -> None:
        """Load the writes that the tables lack from the log, and flush them."""
        self._transactions.db.begin()
        try:
            self._committer.recover()
        finally:
            self._transactions.db.roll_back()
        self.flush_all()

    def flush_all(self) -> None:
        """Flush everything. If that fails, nothing is lost: the writes stay in the log, and the flush is retried."""
        if self._committer.has_backlog:
            self._attempt(self._committer.flush)

    def index_while(self, is_idle: Callable[[], bool]) -> None:
        """Index the log in steps, as long as `is_idle()` before each."""
        while self._committer.index_lags and is_idle():
            if not self._attempt(self._committer.index):
                return

    def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            self._transactions.run(work)
            self._wait_seconds = IDLE_SECONDS
        except Exception as error:
            self._wait_seconds = RETRY_SECONDS
            log.error("the tables could not be brought up to date: %r", error)
            # no caller waits for it, but an I/O error is fatal here as well
            self._transactions.report(error)
            return False
        return True
