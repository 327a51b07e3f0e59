"""Transactions of the writer's thread: what follows a commit or a rollback, and the errors that waiting callers get."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from realtime_kv.core.backend import Backend
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.writers import BackendWriter
from realtime_kv.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


class IndexRequest(Protocol):
    """A request for the history index of one user's writes, or of all, up to the present end of the log.

    The committer notes that end in `until`, in its own terms.
    """

    user_id: int | None
    until: int | None


AnyIndexRequest = TypeVar("AnyIndexRequest", bound=IndexRequest)


class Committer(Protocol):
    """The work inside the writer's transactions."""

    @property
    def has_backlog(self) -> bool:
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

    def on_commit(self) -> None:
        """Publish the results of the transaction, which is now durable."""

    def invalidate(self) -> None:
        """Drop all cached state: the transaction was rolled back, or something else has written."""

    def forget_session(self, session_id: int, /) -> None:
        """Forget a session whose end is durable."""


class Transactions:
    """Runs work in transactions of the one writing connection."""

    def __init__(
        self, backend: Backend, db: BackendWriter, committer: Committer, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._backend = backend
        self._on_fatal = on_fatal
        self.db = db
        self.committer = committer

    def run(self, work: Callable[[], T]) -> T:
        """Run `work()` in a transaction; an exception rolls it back."""
        self.db.begin()
        try:
            answer = work()
            self.db.commit()
        except BaseException:
            self.db.roll_back()
            self.committer.invalidate()
            raise
        self.committer.on_commit()
        try:
            self.db.after_commit()
        except Exception as error:  # the commit is durable, so its callers get their outcomes
            log.warning("the work that follows a commit failed: %r", error)
            self.report(error)
        return answer

    def is_fault(self, error: BaseException) -> bool:
        """Return whether the database raised this error because of its own state."""
        return self._backend.fault(error) is not None

    def report(self, error: BaseException) -> BaseException:
        """Return the error for the waiting callers: Unavailable for a fault, a refusal or a bug unchanged.

        A fault after which nothing may be acknowledged stops the server.
        """
        fault = self._backend.fault(error)
        if fault is None:
            return error
        if fault.is_fatal:
            self._on_fatal(error)
        return Unavailable()
