"""Two-step sign-in, switched on and off: a code from an authenticator app, or a recovery code.

It takes effect once a first code has shown that the app has the secret.
"""

from dataclasses import dataclass

import segno
from sqlalchemy import Connection

from realtime_kv.accounts import audit_log
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, member, require_session
from realtime_kv.accounts.credentials import code_budget, recovery_codes, sessions, totp
from realtime_kv.accounts.credentials.sessions import NewSession, SessionEnded
from realtime_kv.accounts.reauthentication import confirm, still
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import BadRequest, Forbidden, InvalidCode
from realtime_kv.request.client_info import NOWHERE, ClientInfo

ISSUER = "realtime_kv"


@dataclass(frozen=True)
class Enrolment:
    """The secret for an authenticator app: `secret` to type, or `uri` as the QR code in `qr_svg` (an `<svg>`)."""

    secret: str
    uri: str
    qr_svg: str


class TwoFactor:
    """The second step of users."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def begin(self, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Future[Enrolment]:
        """Create a secret, which has no effect before `confirm`. Fails with InvalidCredentials, RateLimited.

        Fails with BadRequest when the second step is on already.
        """
        return self._context.run_flow(self._begin(caller, password, visit))

    def confirm(
        self, caller: Caller, code: str, visit: ClientInfo = NOWHERE, *, as_token: bool = False
    ) -> Future[NewSession]:
        """Switch the second step on, with a code of the app. This session gets a new token.

        `codes` of the answer are new recovery codes for a user who had none left. Fails with InvalidCode, RateLimited.
        """
        return self._context.run_flow(self._confirm(caller, code, visit, as_token))

    def end(
        self, caller: Caller, password: str, visit: ClientInfo = NOWHERE, *, as_token: bool = False
    ) -> Future[NewSession]:
        """Switch the second step off. This session gets a new token. Fails with InvalidCredentials, RateLimited.

        Fails with Forbidden for superusers if the settings require it of them.
        """
        return self._context.run_flow(self._end(caller, password, visit, as_token))

    def reset_failures(self, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Reset the count of wrong codes of the second step. Fails with InvalidCredentials, RateLimited."""
        return self._context.run_flow(self._reset_failures(caller, password, visit))

    def _begin(self, caller: Caller, password: str, visit: ClientInfo) -> Steps[Enrolment]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)
        secret = totp.new_secret()

        def write(connection: Connection) -> None:
            still(connection, caller, known, context.clock())
            if not totp.prepare(connection, caller.user_id, secret):
                raise BadRequest("Two-step sign-in is on already; switch it off first.")
            code_budget.reset(connection, caller.user_id)

        yield context.write_shared(write, member(caller))
        uri = totp.address(secret, caller.username, ISSUER)
        return Enrolment(secret, uri, segno.make(uri, error="m").svg_inline(scale=4, border=4, light="#fff"))

    def _confirm(self, caller: Caller, code: str, visit: ClientInfo, as_token: bool) -> Steps[NewSession]:
        context = self._context
        require_session(caller)
        context.limits.confirm(caller.session_id, caller.user_id)

        def write(connection: Connection) -> tuple[NewSession | None, list[SessionEnded]]:
            now, user_id = context.clock(), caller.user_id
            sessions.check(connection, caller, now)
            if not totp.confirm(connection, user_id, code, now):
                if code_budget.record_enrolment_failure(connection, user_id, now):
                    # six digits must not be guessed without end
                    totp.forget_prepared(connection, user_id)
                return None, []
            code_budget.reset(connection, user_id)
            made = (
                ()
                if recovery_codes.left(connection, user_id)
                else recovery_codes.renew(connection, user_id, context.random)
            )
            audit_log.write(connection, now, Actor("user", user_id, visit), "two_step_on", user_id)
            return self._renewed(connection, caller, visit, now, as_token, made)

        begun: NewSession | None = yield from context.end_sessions(write, member(caller))
        if begun is None:
            raise InvalidCode()
        context.limits.confirmed(caller.session_id)
        return begun

    def _end(self, caller: Caller, password: str, visit: ClientInfo, as_token: bool) -> Steps[NewSession]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)
        if context.config.admin_two_step and caller.is_admin:
            raise Forbidden("Superusers of this server sign in with two steps.", needs="two_step")

        def write(connection: Connection) -> tuple[NewSession, list[SessionEnded]]:
            now, user_id = context.clock(), caller.user_id
            still(connection, caller, known, now)
            totp.forget(connection, user_id)
            code_budget.reset(connection, user_id)
            audit_log.write(connection, now, Actor("user", user_id, visit), "two_step_off", user_id)
            return self._renewed(connection, caller, visit, now, as_token)

        return (yield from context.end_sessions(write, member(caller)))

    def _reset_failures(self, caller: Caller, password: str, visit: ClientInfo) -> Steps[None]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)

        def write(connection: Connection) -> None:
            now, user_id = context.clock(), caller.user_id
            still(connection, caller, known, now)
            code_budget.reset(connection, user_id)
            audit_log.write(connection, now, Actor("user", user_id, visit), "second_step_reset", user_id)

        yield context.write_shared(write, member(caller))

    def _renewed(
        self,
        connection: Connection,
        caller: Caller,
        visit: ClientInfo,
        now: int,
        as_token: bool,
        made: tuple[str, ...] = (),
    ) -> tuple[NewSession, list[SessionEnded]]:
        context = self._context
        presented: sessions.Presented = "bearer" if as_token else "cookie"
        begun = sessions.renew(connection, caller, visit, now, context.config, context.tokens, presented, codes=made)
        return begun, sessions.end_session_row(connection, caller.user_id, caller.session, now, "password_changed")
