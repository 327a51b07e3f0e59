"""Accounts: signing up, signing in, signing out, and whom a token stands for.

Nothing here blocks: passwords are judged and hashed in a small pool of real threads, rows are written by the core's
writer and read by its readers, and every answer is a future. Watchers hear that a session is over once that is durable.
"""

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from realtime_kv.accounts import names, passwords, sessions, users
from realtime_kv.accounts.limits import Limits
from realtime_kv.accounts.sessions import Ended, SignedIn
from realtime_kv.accounts.steps import Steps, walk
from realtime_kv.accounts.users import Person
from realtime_kv.config import Config
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import InvalidCredentials, RateLimited, Unauthenticated
from realtime_kv.core.runtime import Future, Runtime, Workers

log = logging.getLogger(__name__)

T = TypeVar("T")


class Writer(Protocol):
    """The core's writer, as far as accounts need it."""

    def run(self, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn` alone in its own transaction; the future resolves once that is durable."""


class Readers(Protocol):
    """The core's reading threads."""

    def submit(self, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn` with a connection that only reads."""


def _now() -> int:
    return time.time_ns() // 1_000_000


class Accounts:
    """The people of one house, and their sessions."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        runtime: Runtime,
        config: Config,
        clock: Callable[[], int] = _now,
        tokens: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._runtime = runtime
        self._days = config.session_days
        self._clock = clock
        self._tokens = tokens
        self._limits = Limits(clock, enabled=config.rate_limits)
        # two threads, 19 MiB each while they hash; whoever would wait for more than a second is sent away at once
        self._hashing = Workers(runtime, 2, name="password", queue_limit=64, on_full=RateLimited)
        self._watchers: list[Callable[[Ended], None]] = []

    def watch(self, fn: Callable[[Ended], None]) -> None:
        """Tell `fn`, on the edge's thread, of every session that is over."""
        self._watchers.append(fn)

    def sign_up(
        self, username: str, password: str, label: str, address: str = "", *, replacing: str | None = None
    ) -> Future[SignedIn]:
        """A new user, signed in; the session of the token `replacing` is over.

        Fails with InvalidName, InvalidPassword, NameTaken or RateLimited.
        """
        return walk(self._runtime, self._sign_up(username, password, label, address, replacing))

    def sign_in(
        self, username: str, password: str, label: str, address: str = "", *, replacing: str | None = None
    ) -> Future[SignedIn]:
        """A new session; that of the token `replacing` is over. Fails with InvalidCredentials or RateLimited."""
        return walk(self._runtime, self._sign_in(username, password, label, address, replacing))

    def sign_out(self, token: str) -> Future[None]:
        """End the token's session; no matter if it is over already."""
        return walk(self._runtime, self._sign_out(token))

    def end_expired(self) -> Future[int]:
        """End the sessions whose time has come, so that their sockets close; how many there were."""
        return walk(self._runtime, self._end_expired())

    def caller(self, token: str, via: str) -> Future[Caller]:
        """Whom the token stands for. Fails with Unauthenticated."""
        if sessions.is_token(token):
            return self._read(lambda db: sessions.caller(db, token, self._clock(), via))
        refused: Future[Caller] = Future()
        refused.fail(Unauthenticated())
        return refused

    def stop(self) -> None:
        """End the threads."""
        self._hashing.stop()

    def _sign_up(
        self, username: str, password: str, label: str, address: str, replacing: str | None
    ) -> Steps[SignedIn]:
        folded = names.folded(names.check(username))
        passwords.check(password)
        self._limits.sign_up(address, folded)

        def judge_and_hash(_: Any) -> str:
            passwords.judge(password, username)
            return passwords.digest(password)

        password_hash = yield self._hashing.submit(judge_and_hash)

        def write(connection: Connection) -> tuple[SignedIn, list[Ended]]:
            assert folded is not None
            user = users.create(connection, username, folded, password_hash, self._clock())
            return self._start(connection, user, label, replacing)

        return (yield from self._begin(write))

    def _sign_in(
        self, username: str, password: str, label: str, address: str, replacing: str | None
    ) -> Steps[SignedIn]:
        folded = names.folded(username)
        self._limits.sign_in(address, folded)
        if not passwords.could_be(password):
            raise InvalidCredentials()
        found = (yield self._read(lambda db: users.find(db, folded))) if folded else None
        known_hash = found[1] if found else passwords.NOBODYS_HASH

        def verify(_: Any) -> tuple[bool, str | None]:
            right = passwords.matches(known_hash, password)
            renewed = passwords.digest(password) if right and passwords.is_outdated(known_hash) else None
            return right, renewed

        right, renewed = yield self._hashing.submit(verify)
        if not (right and found and folded):
            raise InvalidCredentials()

        def write(connection: Connection) -> tuple[SignedIn, list[Ended]]:
            # while we were hashing, the password may have been changed or the user disabled
            if users.find(connection, folded) != found:
                raise InvalidCredentials()
            if renewed:
                users.renew_hash(connection, found[0].id, renewed)
            return self._start(connection, found[0], label, replacing)

        signed_in = yield from self._begin(write)
        self._limits.signed_in(address, folded)
        return signed_in

    def _sign_out(self, token: str) -> Steps[None]:
        if sessions.is_token(token):
            self._tell((yield self._writer.run(lambda db: sessions.end(db, token, self._clock(), "signed_out"))))

    def _end_expired(self) -> Steps[int]:
        ended = yield self._writer.run(lambda db: sessions.end_expired(db, self._clock()))
        self._tell(ended)
        return len(ended)

    def _start(
        self, connection: Connection, user: Person, label: str, replacing: str | None
    ) -> tuple[SignedIn, list[Ended]]:
        now = self._clock()
        begun = sessions.start(connection, user, label, now, self._days, self._tokens)
        return begun, sessions.end(connection, replacing, now, "ended") if replacing else []

    def _begin(self, write: Callable[[Connection], tuple[SignedIn, list[Ended]]]) -> Steps[SignedIn]:
        begun: SignedIn
        begun, ended = yield self._writer.run(write)
        self._tell(ended)
        return begun

    def _read(self, fn: Callable[[Connection], T]) -> Future[T]:
        def read(connection: Connection) -> T:
            # closed again: a transaction left open would go on showing this connection the past
            with connection.begin():
                return fn(connection)

        return self._readers.submit(read)

    def _tell(self, ended: list[Ended]) -> None:
        for end in ended:
            for watcher in self._watchers:
                try:
                    watcher(end)
                except Exception:
                    log.exception("a watcher of sessions failed")
