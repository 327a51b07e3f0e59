"""Accounts: the services of one server's accounts, and the user that a token identifies.

`access` signs users up and in; `own`, `tokens`, `recovery` and `two_step` hold what they do with their own accounts,
`administration` what superusers do. Watchers are told that a session has ended once that is durable.
"""

import secrets
from collections.abc import Callable

from sqlalchemy import Connection

from realtime_kv.accounts.admin.service import AdminService
from realtime_kv.accounts.api_tokens import Tokens
from realtime_kv.accounts.context import Context, Readers, Writer, flow, require_session
from realtime_kv.accounts.credentials import sessions
from realtime_kv.accounts.credentials.sessions import Presented, SessionEnded
from realtime_kv.accounts.invitations import Invitations
from realtime_kv.accounts.mail import Mail, Send
from realtime_kv.accounts.recovery import Recovery
from realtime_kv.accounts.self_service import SelfService
from realtime_kv.accounts.sign_in import Access
from realtime_kv.accounts.two_factor import TwoFactor
from realtime_kv.accounts.verb_rate_limit import VerbRateLimiter
from realtime_kv.caller import Caller
from realtime_kv.clock import now_ms, steady_ms
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import Future, Runtime, repeat
from realtime_kv.config import Config
from realtime_kv.core.retention.clock_guard import ClockGuard
from realtime_kv.errors import Unauthenticated
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.metrics.security_log import SecurityLog
from realtime_kv.request.addresses import network_of

# how often the last use of sessions is written
SEEN_SECONDS = 60


class Accounts:
    """The accounts of one server, and their sessions."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        runtime: Runtime,
        config: Config,
        clock: Callable[[], int] = now_ms,
        tokens: Callable[[int], str] = secrets.token_urlsafe,
        send: Send | None = None,
        steady: Callable[[], int] = steady_ms,
        guard: ClockGuard | None = None,
        identity: Readers | None = None,
        check_room: Callable[[], None] = lambda: None,
        limit_log: LimitLog | None = None,
    ) -> None:
        """`clock` is the wall clock, `steady` a monotonic one.

        `send` takes a mail; without it, mail is sent as `config.smtp_url` says. `guard` gives the time by which
        sessions expire after a jump of the wall clock. `identity` are readers for identity requests alone.
        """
        self.context = Context(
            writer,
            readers,
            runtime,
            config,
            clock,
            tokens,
            steady=steady,
            identity=identity,
            check_room=check_room,
            limit_log=limit_log,
        )
        self.tokens = Tokens(self.context)
        # rate limiter of verbs; None means no limit
        self.rates = VerbRateLimiter(config.verbs_per_second) if config.rate_limits else None
        if self.rates is not None and limit_log is not None:
            self.rates.on_limit = lambda caller: limit_log.record(
                "verbs_per_token" if caller.kind == "token" else "verbs_per_second",
                account=caller.user_id,
                credential=caller.session,
            )
        self.administration = AdminService(self.context)
        self._mail = Mail(config, runtime, send)
        self.access = Access(self.context, self._mail)
        self.own = SelfService(self.context)
        self.recovery = Recovery(self.context, self._mail)
        self.two_step = TwoFactor(self.context)
        self.invitations = Invitations(self.context)
        self._guard = guard
        self.noticed = SecurityLog(steady)
        # sessions used since the last write of this: when, and from which address
        self._seen: dict[int, tuple[int, str]] = {}
        # sessions of an older version: how their token was presented when first used after the upgrade
        self._bound: dict[int, Presented] = {}
        repeat(runtime, SEEN_SECONDS, self.flush_last_seen)

    @staticmethod
    def require_session(caller: Caller) -> None:
        """Raise Forbidden for an API token: only signed-in people manage accounts."""
        require_session(caller)

    def watch(self, fn: Callable[[SessionEnded], None]) -> None:
        """Call `fn` on the event loop's thread for every session that has ended."""
        self.context.watch(fn)

    @flow
    def caller(self, token: str, via: str, address: str = "", *, presented: Presented) -> Steps[Caller]:
        """Return the caller that the token, a cookie or a bearer token, identifies. Fails with Unauthenticated."""
        if not sessions.is_token(token):
            raise Unauthenticated(sessions.unknown(token)) if token else Unauthenticated()
        context, by = self.context, Client(network_of(address), token)
        found: Caller = yield context.look_up(
            lambda db: sessions.caller(db, token, context.clock(), via, presented), by
        )
        if not found.is_bound:
            # created before sessions recorded how they are presented: the first use decides
            session_id = found.session_id
            if self._bound.setdefault(session_id, presented) != presented:
                raise Unauthenticated(sessions.unknown(token))
            yield context.write_shared(lambda db: sessions.bind(db, session_id, presented), by)
        self.touch_session(found.session_id, address)
        return found

    def touch_session(self, session_id: int, address: str = "") -> None:
        """Note that this session is used now. Without an `address`, its last known address stays."""
        before = self._seen.get(session_id)
        self._seen[session_id] = (self.context.clock(), address or (before[1] if before else ""))

    def flush_last_seen(self) -> Future[None]:
        """Write the last use of the sessions used since the last call."""
        seen, self._seen = self._seen, {}
        if not seen:
            return Future.called(lambda: None)
        return self.context.write(lambda db: sessions.saw(db, seen))

    @flow
    def end_expired(self) -> Steps[int]:
        """End the expired sessions, so that their sockets close; return their number."""
        context, guard = self.context, self._guard

        def write(connection: Connection) -> tuple[int, list[SessionEnded]]:
            now = context.clock() if guard is None else guard.expiry_now()
            # not while the time is in doubt: the clock may have been right before
            if guard is None or guard.jump() is None:
                sessions.date_back(connection, now)
            ended = sessions.end_expired(connection, now)
            return len(ended), ended

        return (yield from self.context.end_sessions(write))

    def stop(self) -> None:
        """Write the last use of sessions, and end the threads."""
        self.flush_last_seen()
        self.context.stop()
        self._mail.stop()
