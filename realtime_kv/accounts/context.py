"""What every part of accounts works with: the writer, the readers, the hashing threads, the clock, the limits.

Nothing here blocks: every answer is a future, and several in a row are `Steps`.
"""

import logging
import secrets
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.accounts.addresses import network_of
from realtime_kv.accounts.hashing import Here, Process
from realtime_kv.accounts.limits import Limits
from realtime_kv.accounts.sessions import DAY, Ended
from realtime_kv.accounts.steps import Steps, walk
from realtime_kv.accounts.turns import Turns
from realtime_kv.accounts.visit import Visit
from realtime_kv.config import Config
from realtime_kv.core.caller import Caller
from realtime_kv.core.clock import steady_ms
from realtime_kv.core.errors import Forbidden
from realtime_kv.core.runtime import Future, Inline, Runtime

log = logging.getLogger(__name__)

T = TypeVar("T")


class Writer(Protocol):
    """The core's writer, as far as accounts need it."""

    def run(self, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn` alone in its own transaction; the future resolves once that is durable."""

    def flush(self, user_id: int | None) -> Future[None]:
        """Bring the tables of this user, or of all, up to date."""

    def note(self, fn: Callable[[Connection], T]) -> Future[T]:
        """As `run`, for what ends no session and touches no space or quota."""


class Readers(Protocol):
    """The core's reading threads."""

    def submit(self, fn: Callable[[Connection], T]) -> Future[T]:
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
    ) -> None:
        """`clock` is the wall clock, `steady` a monotonic one; both in milliseconds."""
        self.runtime = runtime
        self.config = config
        self.clock = clock
        self.tokens = tokens
        self.random = random
        self.limits = Limits(steady, enabled=config.rate_limits)
        self._writer = writer
        self._readers = readers
        # two at once, 19 MiB each while they hash
        self._hashing = Turns(runtime, "password", Here if isinstance(runtime, Inline) else Process)
        self._watchers: list[Callable[[Ended], None]] = []

    def watch(self, fn: Callable[[Ended], None]) -> None:
        """Tell `fn`, on the edge's thread, of every session that is over."""
        self._watchers.append(fn)

    def walk(self, steps: Steps[T]) -> Future[T]:
        """The future of what `steps` returns or raises."""
        return walk(self.runtime, steps)

    def write(self, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn(connection)` in a transaction of its own; what it raises undoes it."""
        return self._writer.run(fn)

    def note(self, fn: Callable[[Connection], T]) -> Future[T]:
        """As `write`, for an entry of the audit log that stands for itself: strangers can cause many."""
        return self._writer.note(fn)

    def end(self, fn: Callable[[Connection], tuple[T, list[Ended]]], *, apart: bool = False) -> Steps[T]:
        """As `write`, for what ends sessions too: once that is durable, their tabs are told and closed.

        What certainly ends none and changes no quota may be done `apart`, which costs everybody else much less.
        """
        answer: T
        answer, ended = yield (self._writer.note(fn) if apart else self._writer.run(fn))
        assert not (apart and ended), "the writer still believes in a session that has ended"
        self.tell(ended)
        return answer

    def read(self, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn(connection)` with one reading of the database."""

        def read(connection: Connection) -> T:
            # closed again: a transaction left open would go on showing this connection the past
            with connection.begin():
                return fn(connection)

        return self._readers.submit(read)

    def flush(self, user_id: int | None = None) -> Future[None]:
        """The tables of this user, or of all, up to date: before their entries are read here."""
        return self._writer.flush(user_id)

    def hash(self, password: str, username: str, visit: Visit) -> Future[str]:
        """The hash to keep of a new password, which is judged first. Fails with InvalidPassword or RateLimited."""
        return self._hashing.submit(
            network_of(visit.address), lambda hasher: hasher.judge_and_digest(password, username)
        )

    def rehash(self, password: str, visit: Visit) -> Future[str]:
        """A hash of today's kind of a password that need not be judged. Fails with RateLimited."""
        return self._hashing.submit(network_of(visit.address), lambda hasher: hasher.digest(password))

    def verify(self, known_hash: str, password: str, visit: Visit) -> Future[bool]:
        """Whether this is the password. Fails with RateLimited when too many of this network are waiting."""
        return self._hashing.submit(network_of(visit.address), lambda hasher: hasher.matches(known_hash, password))

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


def require_session(caller: Caller) -> None:
    """Raises Forbidden for an API token: accounts are managed by people who are signed in."""
    if caller.kind != "session":
        raise Forbidden("An API token may not do that; sign in.", needs="session")
