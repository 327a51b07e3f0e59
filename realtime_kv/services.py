"""The application's services that the web layer needs, as the app has connected them."""

import time
from collections.abc import Iterable
from typing import Protocol, TypeVar, cast

from flask import current_app, has_request_context, request

from realtime_kv.accounts.service import Accounts
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.config import Config
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.store import Store
from realtime_kv.core.transfer.jobs import TransferService
from realtime_kv.errors import Unavailable
from realtime_kv.maintenance import Maintenance
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.metrics_history import MetricsHistory
from realtime_kv.request import authentication

T = TypeVar("T")

# longer than the database's own busy timeout: a request that takes this long has an unknown outcome
TIMEOUT_SECONDS = 30.0
# how often a waiting request checks whether its client is still connected
LOOK_SECONDS = 0.5


class Streams(Protocol):
    """Streaming answers: the messages that are pushed to a user's tabs."""

    # passed to `open`, which then notices if the caller's session has ended since this was read
    endings: int

    def open(self, caller: Caller, address: str, epoch: str | None, since: int | None, endings: int) -> Iterable[bytes]:
        """Return the body of an answer that begins at that position. Raises RateLimited, Unavailable."""


class Services(Protocol):
    """The application's services, as `create_app` connects them."""

    @property
    def config(self) -> Config: ...

    @property
    def runtime(self) -> Runtime: ...

    @property
    def store(self) -> Store: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def operations(self) -> Maintenance: ...

    @property
    def clock_guard(self) -> ClockGuard: ...

    @property
    def transfer(self) -> TransferService: ...

    @property
    def streams(self) -> Streams: ...

    @property
    def metrics_history(self) -> MetricsHistory: ...

    @property
    def limit_log(self) -> LimitLog: ...

    def open_tabs(self) -> dict[int, int]:
        """Return the number of tabs that each user has open, by user id."""

    def metrics(self) -> dict[str, float]:
        """Return figures of the whole server, by name; a figure whose name ends in `_total` only grows."""


def services() -> Services:
    """Return the services of the app that serves this request."""
    return cast(Services, current_app.extensions["realtime_kv"])


def wait(future: Future[T], seconds: float = TIMEOUT_SECONDS) -> T:
    """Return the future's result. Raises its error; Unavailable after `seconds`, or when the client disconnects."""
    hung_up = request.environ.get(authentication.HUNG_UP) if has_request_context() else None
    if hung_up is None:
        return services().runtime.wait(future, seconds)
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        try:
            return services().runtime.wait(future, max(0.0, min(left, LOOK_SECONDS)))
        except Unavailable:
            # either the future has completed, perhaps at the last moment, or it has no result yet
            if future.done:
                return future.result()
            if left <= LOOK_SECONDS:
                raise
        if hung_up():
            raise Unavailable("The connection that asked for this has closed.")
