"""Services: the parts of a running application, declared once, and how a request reaches them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from flask import current_app, has_request_context, request

from realtime_kv.accounts.service import Accounts
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.config import Config
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.core.retention.expiry import Expiry
from realtime_kv.core.store import Store
from realtime_kv.core.transfer.jobs import TransferService
from realtime_kv.errors import Unavailable
from realtime_kv.maintenance.service import Maintenance
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.metrics_history import MetricsHistory
from realtime_kv.request import authentication

T = TypeVar("T")

# longer than the database's own busy timeout: a request that takes this long has an unknown outcome
TIMEOUT_SECONDS = 30.0
# how often a waiting request checks whether its client is still connected
LOOK_SECONDS = 0.5


class Tabs(Protocol):
    """All tabs that are connected over Socket.IO."""

    def announce_restart(self) -> None:
        """Tell every tab that the server is about to restart."""

    def open_tabs(self) -> dict[int, int]:
        """Return the number of open tabs of each user, by user id."""


class Streams(Protocol):
    """All event streams."""

    # passed to `open`, which then notices if the caller's session has ended since this was read
    endings: int

    @property
    def count(self) -> int: ...

    def open(self, caller: Caller, address: str, epoch: str | None, since: int | None, endings: int) -> Iterable[bytes]:
        """Return the body of an answer that begins at that position. Raises RateLimited, Unavailable."""

    def close_all(self) -> None:
        """End every stream; its client connects again."""


# functions that return metrics by name
Gauges = list[Callable[[], dict[str, float]]]


@dataclass(frozen=True)
class Services:
    """The services of one running application, as `create_app` connects them: `app.extensions["realtime_kv"]`."""

    config: Config
    runtime: Runtime
    store: Store
    accounts: Accounts
    gateway: Tabs
    streams: Streams
    operations: Maintenance
    transfer: TransferService
    metrics_history: MetricsHistory
    expiry: Expiry
    limit_log: LimitLog
    # time budget of clients that are not signed in; None: rate limits are off
    network_budget: TimeBudget[str] | None
    clock_guard: ClockGuard
    # metrics of the services; the serving process adds its own
    gauges: Gauges = field(compare=False)
    # the number of this process, if the server has several workers
    worker: int | None = None

    def metrics(self) -> dict[str, float]:
        """Return figures of this process, by name; a figure whose name ends in `_total` only grows."""
        return figures(self.gauges)

    def open_tabs(self) -> dict[int, int]:
        """Return the number of open tabs of each user, by user id."""
        return self.gateway.open_tabs()

    def stop(self) -> None:
        """Write everything queued to disk and stop; nothing is accepted afterwards."""
        self.accounts.stop()
        # these still have writes to finish, so they stop before the store
        self.expiry.stop()
        self.transfer.stop()
        self.clock_guard.save()
        self.store.stop()
        self.operations.stop()


def figures(gauges: Gauges) -> dict[str, float]:
    """Return the metrics of all gauges."""
    return {name: value for gauge in gauges for name, value in gauge().items()}


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
