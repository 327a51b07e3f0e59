"""Self-service of users: their sessions, password, deletion, and the audit log of their account."""

from dataclasses import dataclass

from sqlalchemy import Connection

from realtime_kv.accounts import audit_log, users
from realtime_kv.accounts.audit_log import Actor, AuditEntry
from realtime_kv.accounts.context import Context, member, require_session
from realtime_kv.accounts.credentials import code_budget, one_time_tokens, passwords, recovery_codes, sessions
from realtime_kv.accounts.credentials.sessions import NewSession, SessionEnded, SessionView
from realtime_kv.accounts.reauthentication import confirm, still
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import Forbidden, NotFound, Unauthenticated
from realtime_kv.request.client_info import NOWHERE, ClientInfo


@dataclass(frozen=True)
class Profile:
    """An account as its user sees it; times in milliseconds. `notice` is a recovery: its time and its way.

    A quota of None is the server's default.
    """

    username: str
    is_admin: bool
    created_at: int
    email: str | None
    two_step: bool
    codes_left: int
    password_changed_at: int | None
    notice: tuple[int, str] | None
    quota_keys: int | None = None
    quota_bytes: int | None = None
    # wrong codes of the second step, their limit, and the time of the last one
    wrong_codes: int = 0
    wrong_codes_limit: int = code_budget.MAX_FAILURES
    wrong_code_at: int | None = None


class SelfService:
    """Self-service. Calls fail with Forbidden for an API token, and with Unauthenticated when the session has ended."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def profile(self, caller: Caller) -> Future[Profile]:
        """Return the account's profile."""

        def read(connection: Connection) -> Profile:
            account = users.account(connection, caller.user_id)
            if account is None:
                raise Unauthenticated()
            wrong_codes = code_budget.of_user(connection, caller.user_id)
            return Profile(
                caller.username,
                caller.is_admin,
                caller.user_created_at,
                account.email,
                account.two_step,
                recovery_codes.left(connection, caller.user_id),
                account.password_changed_at,
                account.recovered,
                account.quota_keys,
                account.quota_bytes,
                wrong_codes.failures,
                wrong_code_at=wrong_codes.last_at,
            )

        require_session(caller)
        return self._context.look_up(read, member(caller))

    def sessions(self, caller: Caller) -> Future[list[SessionView]]:
        """Return the user's sessions: this one first, then the most recently used."""
        require_session(caller)
        now = self._context.clock()
        return self._context.read(lambda db: sessions.shown(db, caller.user_id, caller.session_id, now), member(caller))

    def events(self, caller: Caller, before: int | None = None, limit: int = 50) -> Future[list[AuditEntry]]:
        """Return the account's audit log, newest first; `before` is the id of the last entry already seen."""
        require_session(caller)
        return self._context.read(lambda db: audit_log.of_user(db, caller.user_id, before, limit), member(caller))

    def recovery_notice(self, caller: Caller) -> Future[tuple[int, str] | None]:
        """Return a recovery that the user has not been told of yet: its time and its way."""
        require_session(caller)

        def read(connection: Connection) -> tuple[int, str] | None:
            account = users.account(connection, caller.user_id)
            return account.recovered if account else None

        return self._context.look_up(read, member(caller))

    def dismiss_notice(self, caller: Caller) -> Future[None]:
        """Mark the recovery notice as read."""
        require_session(caller)
        self._context.limits.change(caller.user_id, caller.session_id)
        now = self._context.clock()

        def write(connection: Connection) -> None:
            sessions.check(connection, caller, now)
            users.dismiss_notice(connection, caller.user_id)

        return self._context.write_shared(write, member(caller))

    def end_session(self, caller: Caller, id: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Sign out the session with this public id. Fails with NotFound."""
        require_session(caller)
        self._context.limits.change(caller.user_id, caller.session_id)
        return self._context.run_flow(self._end_session(caller, id, visit))

    def end_other_sessions(self, caller: Caller, visit: ClientInfo = NOWHERE) -> Future[int]:
        """Sign out every session but this one; return their number."""
        require_session(caller)
        self._context.limits.change(caller.user_id, caller.session_id)
        return self._context.run_flow(self._end_other_sessions(caller, visit))

    def change_password(
        self, caller: Caller, password: str, new_password: str, visit: ClientInfo = NOWHERE, *, as_token: bool = False
    ) -> Future[NewSession]:
        """Change the password. This session gets a new token, all others end; API tokens stay.

        The new token is for the cookie, or, with `as_token`, a bearer token.

        Fails with InvalidCredentials, InvalidPassword or RateLimited.
        """
        return self._context.run_flow(self._change_password(caller, password, new_password, visit, as_token))

    def delete_account(self, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Delete the account; until it is purged, signing in restores it.

        API tokens end as well, and stay ended. Fails with InvalidCredentials or RateLimited, for the last superuser
        with Forbidden.
        """
        return self._context.run_flow(self._delete_account(caller, password, visit))

    def _end_session(self, caller: Caller, id: str, visit: ClientInfo) -> Steps[None]:
        context, now = self._context, self._context.clock()

        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            sessions.check(connection, caller, now)
            reason: sessions.Reason = "signed_out" if id == caller.session else "ended"
            ended = sessions.end_session_row(connection, caller.user_id, id, now, reason, kind="session")
            if not ended:
                raise NotFound("There is no such session; it may have ended already.")
            audit_log.write(connection, now, Actor("user", caller.user_id, visit), "session_ended", caller.user_id)
            return None, ended

        yield from context.end_sessions(write, member(caller))

    def _end_other_sessions(self, caller: Caller, visit: ClientInfo) -> Steps[int]:
        context, now = self._context, self._context.clock()

        def write(connection: Connection) -> tuple[int, list[SessionEnded]]:
            sessions.check(connection, caller, now)
            ended = sessions.end_sessions(connection, caller.user_id, now, "ended", but=caller.session_id)
            actor = Actor("user", caller.user_id, visit)
            audit_log.write(connection, now, actor, "sessions_ended", caller.user_id, sessions=len(ended))
            return len(ended), ended

        return (yield from context.end_sessions(write, member(caller)))

    def _change_password(
        self, caller: Caller, password: str, new_password: str, visit: ClientInfo, as_token: bool
    ) -> Steps[NewSession]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)
        passwords.check(new_password)
        password_hash = yield context.hash(new_password, caller.username, member(caller))

        def write(connection: Connection) -> tuple[NewSession, list[SessionEnded]]:
            now, user_id = context.clock(), caller.user_id
            still(connection, caller, known, now)
            users.set_password(connection, user_id, password_hash, now)
            # links issued under the old password must not give access any more
            one_time_tokens.cancel(connection, user_id, now)
            ended = sessions.end_sessions(connection, user_id, now, "password_changed")
            audit_log.write(connection, now, Actor("user", user_id, visit), "password_changed", user_id)
            presented: sessions.Presented = "bearer" if as_token else "cookie"
            return sessions.renew(connection, caller, visit, now, context.config, context.tokens, presented), ended

        return (yield from context.end_sessions(write, member(caller)))

    def _delete_account(self, caller: Caller, password: str, visit: ClientInfo) -> Steps[None]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)

        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            now, user_id = context.clock(), caller.user_id
            still(connection, caller, known, now)
            if users.only_superuser(connection, user_id):
                raise Forbidden("You are the only superuser. Make somebody else one first.", needs="another_superuser")
            users.delete(connection, user_id, now, by="self")
            one_time_tokens.cancel(connection, user_id, now)
            ended = sessions.end_sessions(connection, user_id, now, "deleted", tokens=True)
            audit_log.write(connection, now, Actor("user", user_id, visit), "account_deleted", user_id)
            return None, ended

        yield from context.end_sessions(write, member(caller))
