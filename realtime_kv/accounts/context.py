"""What every part of accounts works with: the writer, the readers, the hashing threads, the clock, the limits.

Nothing here blocks: every answer is a future, and several in a row are `Steps`. Work is queued per user, where the user
is known, else per network. Identity requests (who is calling, signing in and out) have a reader of their own, so that
nothing that takes long is ever in front of them.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.accounts.addresses import network_of
from realtime_kv.accounts.hashing import Here, Process
from realtime_kv.accounts.limits import Limits
from realtime_kv.accounts.sessions import DAY, Ended
from realtime_kv.accounts.steps import Steps, walk
from realtime_kv.accounts.visit import Visit
from realtime_kv.concurrency.fair_pool import SYSTEM, Client, FairPool
from realtime_kv.config import Config
from realtime_kv.core.caller import Caller
from realtime_kv.core.clock import steady_ms
from realtime_kv.core.errors import Forbidden
from realtime_kv.core.runtime import Future, Inline, Runtime
from realtime_kv.metrics.limit_log import LimitLog

log = logging.getLogger(__name__)

T = TypeVar("T")


# passwords that are hashed at once, 19 MiB each; and that may wait for it
HASHING_THREADS = 2
MAX_HASHES_WAITING = 64


class Writer(Protocol):
    """The core's writer, as far as accounts need it."""

    def run(self, fn: Callable[[Connection], T], client: Client = ...) -> Future[T]:
        """`fn` alone in its own transaction; the future resolves once that is durable."""

    def flush(self, user_id: int | None) -> Future[None]:
        """Bring the tables of this user, or of all, up to date."""

    def note(self, fn: Callable[[Connection], T], client: Client = ...) -> Future[T]:
        """As `run`, for what ends no session and touches no space or quota."""

    def end(
        self, fn: Callable[[Connection], tuple[T, Sequence[Any]]], client: Client = ...
    ) -> Future[tuple[T, Sequence[Any]]]:
        """As `note`, for what may end sessions too; comes before everything else."""


class Readers(Protocol):
    """Reading threads, before which work waits in turns."""

    def submit(
        self, fn: Callable[[Connection], T], client: Client = ..., *, kind: str = ..., expected_ms: float = ...
    ) -> Future[T]:
        """`fn` with a connection that only reads."""


class Context:
    """Shared by the parts of one house's accounts."""

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

        `identity` are the readers of identity requests; the same as `readers` where it is not given.
        `check_room` raises Unavailable when the disk is nearly full.
        """
        self.runtime = runtime
        self.config = config
        self.clock = clock
        self.tokens = tokens
        self.random = random
        self.limits = Limits(steady, enabled=config.rate_limits, limit_log=limit_log)
        self.check_room = check_room
        self._writer = writer
        self._readers = readers
        self._identity = identity or readers
        self._hashing = FairPool(
            runtime,
            "password",
            threads=HASHING_THREADS,
            resource=Here if isinstance(runtime, Inline) else Process,
            max_running=HASHING_THREADS,
            max_per_user=MAX_HASHES_WAITING,
            max_total=MAX_HASHES_WAITING,
            measured=False,
            on_limit=lambda client: record_client(limit_log, "passwords_waiting", client),
        )
        self._watchers: list[Callable[[Ended], None]] = []

    def watch(self, fn: Callable[[Ended], None]) -> None:
        """Tell `fn`, on the edge's thread, of every session that is over."""
        self._watchers.append(fn)

    def walk(self, steps: Steps[T]) -> Future[T]:
        """The future of what `steps` returns or raises."""
        return walk(self.runtime, steps)

    def write(self, fn: Callable[[Connection], T], by: Client = SYSTEM) -> Future[T]:
        """`fn(connection)` in a transaction of its own; what it raises undoes it.

        For what changes a quota, or reads or removes entries; `note` costs everybody else much less.
        """
        return self._writer.run(fn, by)

    def note(self, fn: Callable[[Connection], T], by: Client = SYSTEM) -> Future[T]:
        """As `write`, for what ends no session, changes no quota and looks at no entry; shares its transaction."""
        return self._writer.note(fn, by)

    def end(
        self, fn: Callable[[Connection], tuple[T, list[Ended]]], by: Client = SYSTEM, *, apart: bool = False
    ) -> Steps[T]:
        """As `note`, for what ends sessions too: once that is durable, their tabs are told and closed.

        It comes before other account work, unless it is `apart`: what certainly ends none.
        """
        answer: T
        answer, ended = yield (self._writer.note(fn, by) if apart else self._writer.end(fn, by))
        assert not (apart and ended), "the writer still believes in a session that has ended"
        self.tell(ended)
        return answer

    def read(self, fn: Callable[[Connection], T], by: Client = SYSTEM, kind: str = "accounts") -> Future[T]:
        """`fn(connection)` with one reading of the database; for lists, and whatever may take long."""
        return self._readers.submit(_reading(fn), by, kind=kind)

    def look_up(self, fn: Callable[[Connection], T], by: Client) -> Future[T]:
        """As `read`, for identity requests: nothing that takes more than a row or two of one account."""
        return self._identity.submit(_reading(fn), by, kind="identity", expected_ms=0.2)

    def flush(self, user_id: int | None = None) -> Future[None]:
        """The tables of this user, or of all, up to date: before their entries are read here."""
        return self._writer.flush(user_id)

    def hash(self, password: str, username: str, by: Client) -> Future[str]:
        """The hash to keep of a new password, which is judged first. Fails with InvalidPassword or RateLimited."""
        return self._hash(by, lambda hasher: hasher.judge_and_digest(password, username))

    def rehash(self, password: str, by: Client) -> Future[str]:
        """A hash of today's kind of a password that need not be judged. Fails with RateLimited."""
        return self._hash(by, lambda hasher: hasher.digest(password))

    def verify(self, known_hash: str, password: str, by: Client) -> Future[bool]:
        """Whether this is the password. Fails with RateLimited when too much of this client is waiting."""
        return self._hash(by, lambda hasher: hasher.matches(known_hash, password))

    def _hash(self, by: Client, fn: Callable[[Here], T]) -> Future[T]:
        return self._hashing.submit(fn, by, kind="hash")

    def tell(self, ended: list[Ended]) -> None:
        """Let the watchers hear of these sessions, which are over for good."""
        for end in ended:
            for watcher in self._watchers:
                try:
                    watcher(end)
                except Exception:
                    log.exception("a watcher of sessions failed")

    def restorable(self) -> int:
        """Who has deleted their account after this moment is not purged yet, and may come back."""
        return self.clock() - self.config.account_days * DAY

    def stop(self) -> None:
        """End the threads."""
        self._hashing.stop()


def record_client(limit_log: LimitLog | None, limit: str, client: Client) -> None:
    """Record that the work of `client`, a user or a network, was refused because too much of it was waiting."""
    if limit_log is None:
        return
    if isinstance(client.user, int):
        session = client.owner.session if isinstance(client.owner, Caller) else None
        limit_log.record(limit, account=client.user, credential=session)
    else:
        limit_log.record(limit, network=str(client.user))


def require_session(caller: Caller) -> None:
    """Raises Forbidden for an API token: accounts are managed by people who are signed in."""
    if caller.kind != "session":
        raise Forbidden("An API token may not do that; sign in.", needs="session")


def stranger(visit: Visit) -> Client:
    """Somebody who is not known yet, as a client: by network."""
    return Client(network_of(visit.address))


def member(caller: Caller) -> Client:
    """A caller as a client: by user, and by session within the user."""
    return Client(caller.user_id, caller.session_id, caller)


def _reading(fn: Callable[[Connection], T]) -> Callable[[Connection], T]:
    def read(connection: Connection) -> T:
        # closed again: a transaction left open would go on showing this connection the past
        with connection.begin():
            return fn(connection)

    return read
