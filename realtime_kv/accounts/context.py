"""Shared context of the account modules: writer, readers, hashing threads, clock, rate limits.

Invariants:
1. Nothing here blocks: every answer is a future, and several in a row are `Steps`.
2. Work is queued per user if the user is known, else per network.
3. Identity requests (who is calling, signing in and out) have a reader of their own, so that no slow request delays
   them.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from sqlalchemy import Connection

from realtime_kv.accounts.credentials.hash_workers import InProcessHasher, SubprocessHasher
from realtime_kv.accounts.credentials.sessions import SessionEnded
from realtime_kv.accounts.rate_limits import RateLimiter
from realtime_kv.caller import Caller
from realtime_kv.clock import DAY, steady_ms
from realtime_kv.concurrency.coroutines import Steps, run_flow
from realtime_kv.concurrency.fair_pool import SYSTEM, Client, FairWorkerPool
from realtime_kv.concurrency.runtime import Future, InlineRuntime, Runtime
from realtime_kv.config import Config
from realtime_kv.core.backend import BackendReader
from realtime_kv.errors import Forbidden
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.request.addresses import network_of
from realtime_kv.request.client_info import ClientInfo

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")


# concurrent password hashes, 19 MiB each; and the limit of waiting ones
HASHING_THREADS = 2
MAX_HASHES_WAITING = 64


class Writer(Protocol):
    """The methods of the core's writer that accounts use."""

    def run_in_transaction(self, fn: Callable[[Connection], T], client: Client = ...) -> Future[T]:
        """Run `fn` alone in its own transaction; the future resolves once that is durable."""

    def flush(self, user_id: int | None) -> Future[None]:
        """Bring the tables of this user, or of all users, up to date."""

    def run_in_shared_transaction(self, fn: Callable[[Connection], T], client: Client = ...) -> Future[T]:
        """Like `run_in_transaction`, for functions that end no session and change no space or quota."""

    def end_sessions(
        self, fn: Callable[[Connection], tuple[T, Sequence[Any]]], client: Client = ...
    ) -> Future[tuple[T, Sequence[Any]]]:
        """Like `run_in_shared_transaction`, for functions that may end sessions; precedes all other work."""


class Readers(Protocol):
    """A fair pool of reading threads."""

    def submit(
        self, fn: Callable[[BackendReader], T], client: Client = ..., *, kind: str = ..., expected_ms: float = ...
    ) -> Future[T]:
        """Run `fn` with a read-only connection."""


class Context:
    """State shared by the account modules of one server."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        runtime: Runtime,
        config: Config,
        clock: Callable[[], int],
        tokens: Callable[[int], str] = secrets.token_urlsafe,
        random: Callable[[int], bytes] = secrets.token_bytes,
        steady: Callable[[], int] = steady_ms,
        identity: Readers | None = None,
        check_room: Callable[[], None] = lambda: None,
        limit_log: LimitLog | None = None,
    ) -> None:
        """`clock` is the wall clock, `steady` a monotonic one; both in milliseconds.

        `identity` are the readers of identity requests; the default is `readers`. `check_room` raises Unavailable when
        the disk is nearly full.
        """
        self.runtime = runtime
        self.config = config
        self.clock = clock
        self.tokens = tokens
        self.random = random
        self.limits = RateLimiter(steady, enabled=config.rate_limits, limit_log=limit_log)
        self.check_room = check_room
        self._writer = writer
        self._readers = readers
        self._identity = identity or readers
        self._hashing = FairWorkerPool(
            runtime,
            "password",
            threads=HASHING_THREADS,
            resource=InProcessHasher if isinstance(runtime, InlineRuntime) else SubprocessHasher,
            max_running=HASHING_THREADS,
            max_per_user=MAX_HASHES_WAITING,
            max_total=MAX_HASHES_WAITING,
            measured=False,
            on_limit=lambda client: record_client(limit_log, "passwords_waiting", client),
        )
        self._watchers: list[Callable[[SessionEnded], None]] = []

    def watch(self, fn: Callable[[SessionEnded], None]) -> None:
        """Call `fn` on the event loop's thread for every session that has ended."""
        self._watchers.append(fn)

    def run_flow(self, steps: Steps[T]) -> Future[T]:
        """Run `steps`; return the future of its result or error."""
        return run_flow(self.runtime, steps)

    def write(self, fn: Callable[[Connection], T], by: Client = SYSTEM) -> Future[T]:
        """Run `fn(connection)` in a transaction of its own; an exception rolls it back.

        For functions that change a quota, or read or remove entries; `write_shared` costs other users much less.
        """
        return self._writer.run_in_transaction(fn, by)

    def write_shared(self, fn: Callable[[Connection], T], by: Client = SYSTEM) -> Future[T]:
        """Like `write`, in a shared transaction: `fn` must end no session, change no quota and read no entry."""
        return self._writer.run_in_shared_transaction(fn, by)

    def end_sessions(
        self, fn: Callable[[Connection], tuple[T, list[SessionEnded]]], by: Client = SYSTEM, *, apart: bool = False
    ) -> Steps[T]:
        """Like `write_shared`, for functions that end sessions: once that is durable, their tabs are told and closed.

        It precedes other jobs of the writer, unless it is `apart`, which asserts that no session ends.
        """
        answer: T
        answer, ended = yield (
            self._writer.run_in_shared_transaction(fn, by) if apart else self._writer.end_sessions(fn, by)
        )
        assert not (apart and ended), "the writer still believes in a session that has ended"
        self.tell(ended)
        return answer

    def read(self, fn: Callable[[Connection], T], by: Client = SYSTEM, kind: str = "accounts") -> Future[T]:
        """Run `fn(connection)` on one snapshot of the database; for lists and other reads that may take long."""
        return self._readers.submit(_reading(fn), by, kind=kind)

    def look_up(self, fn: Callable[[Connection], T], by: Client) -> Future[T]:
        """Like `read`, for identity requests: only reads of a row or two of one account."""
        return self._identity.submit(_reading(fn), by, kind="identity", expected_ms=0.2)

    def flush(self, user_id: int | None = None) -> Future[None]:
        """Bring the tables of this user, or of all users, up to date, before their entries are read."""
        return self._writer.flush(user_id)

    def hash(self, password: str, username: str, by: Client) -> Future[str]:
        """Check a new password's strength and return its hash. Fails with InvalidPassword or RateLimited."""
        return self._hash(by, lambda hasher: hasher.judge_and_digest(password, username))

    def rehash(self, password: str, by: Client) -> Future[str]:
        """Return a hash with the current parameters, without a strength check. Fails with RateLimited."""
        return self._hash(by, lambda hasher: hasher.digest(password))

    def verify(self, known_hash: str, password: str, by: Client) -> Future[bool]:
        """Return whether this is the password. Fails with RateLimited when too much work of this client is waiting."""
        return self._hash(by, lambda hasher: hasher.matches(known_hash, password))

    def _hash(self, by: Client, fn: Callable[[InProcessHasher], T]) -> Future[T]:
        return self._hashing.submit(fn, by, kind="hash")

    def tell(self, ended: list[SessionEnded]) -> None:
        """Tell the watchers of these sessions, which have ended for good."""
        for end in ended:
            for watcher in self._watchers:
                try:
                    watcher(end)
                except Exception:
                    log.exception("a watcher of sessions failed")

    def restorable(self) -> int:
        """Return the time (milliseconds) since when deleted accounts are not purged yet and can be restored."""
        return self.clock() - self.config.account_days * DAY

    def stop(self) -> None:
        """End the threads."""
        self._hashing.stop()


class HasContext(Protocol):
    """A service of accounts."""

    context: Context


S = TypeVar("S", bound=HasContext)


def flow(steps: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], Future[T]]:
    """Let a generator method of a service start as a flow and return the future of its result."""

    def start(self: S, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return run_flow(self.context.runtime, steps(self, *args, **kwargs))

    return update_wrapper(cast(Callable[Concatenate[S, P], Future[T]], start), steps)


def record_client(limit_log: LimitLog | None, limit: str, client: Client) -> None:
    """Record that work of `client`, a user or a network, was refused because too much of it was waiting."""
    if limit_log is None:
        return
    if isinstance(client.user, int):
        session = client.owner.session if isinstance(client.owner, Caller) else None
        limit_log.record(limit, account=client.user, credential=session)
    else:
        limit_log.record(limit, network=str(client.user))


def require_session(caller: Caller) -> None:
    """Raise Forbidden for an API token: only signed-in people manage accounts."""
    if caller.kind != "session":
        raise Forbidden("An API token may not do that; sign in.", needs="session")


def stranger(visit: ClientInfo) -> Client:
    """Return an unknown caller as a client of the fair queue: by network."""
    return Client(network_of(visit.address))


def member(caller: Caller) -> Client:
    """Return a caller as a client of the fair queue: by user, and by session within the user."""
    return Client(caller.user_id, caller.session_id, caller)


def _reading(fn: Callable[[Connection], T]) -> Callable[[BackendReader], T]:
    def read(reader: BackendReader) -> T:
        # A transaction left open would keep this connection on an old snapshot.
        with reader.sql.begin():
            return fn(reader.sql)

    return read
