"""Account recovery: a new password by a recovery code, a one-time link, or a mail with such a link.

Invariants:
1. No answer, and no response time, tells whether a name is known: unknown names take the same steps, as far as the
   caller waits for them.
2. Every recovery ends all sessions and open links, and is reported at the next sign-in.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from realtime_kv.accounts import audit_log, usernames, users
from realtime_kv.accounts import mail as mails
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, member, stranger
from realtime_kv.accounts.credentials import one_time_tokens, passwords, recovery_codes, sessions
from realtime_kv.accounts.credentials.sessions import SessionEnded
from realtime_kv.accounts.mail import Mail
from realtime_kv.accounts.reauthentication import confirm, still
from realtime_kv.accounts.users import LoginUser
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.fair_pool import SYSTEM
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import InvalidCode, InvalidPassword, LinkExpired, NotFound, RateLimited
from realtime_kv.request.client_info import NOWHERE, ClientInfo

# in a link's `detail`: it was sent to the address of its user
_BY_MAIL = "mail"
# an id without codes, checked for an unknown name so that the steps are the same
_NOBODY = 0


class Recovery:
    """Recovery codes, links and mails."""

    def __init__(self, context: Context, mail: Mail) -> None:
        self._context = context
        self._mail = mail

    @property
    def mail_enabled(self) -> bool:
        """Return whether this server can send mail."""
        return self._mail.enabled

    def renew_codes(self, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Future[tuple[str, ...]]:
        """Replace the recovery codes by ten new ones, which are shown this once; the old ones become invalid.

        Fails with InvalidCredentials, RateLimited, or Forbidden for an API token.
        """
        return self._context.run_flow(self._renew_codes(caller, password, visit))

    def by_code(self, username: str, code: str, new_password: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Set a new password by a recovery code, which is used up. Signs nobody in.

        Fails with InvalidCode (also for an unknown name), InvalidPassword or RateLimited.
        """
        return self._context.run_flow(self._by_code(username, code, new_password, visit))

    def by_link(self, secret: str, new_password: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Set a new password by a one-time link, or by the ticket of a password that must be changed. Signs nobody in.

        Fails with LinkExpired, InvalidPassword or RateLimited.
        """
        return self._context.run_flow(self._by_link(secret, new_password, visit))

    def who(self, secret: str) -> Future[str]:
        """Return the user name that a link of `by_link` is for. Fails with LinkExpired."""
        return self._context.look_up(lambda db: self._linked(db, secret)[1].person.username, SYSTEM)

    def by_mail(self, username: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Mail a link, if that user has a confirmed address; the answer is the same for everybody, and immediate.

        Fails with RateLimited, or NotFound on a server that sends no mail.
        """
        return self._context.run_flow(self._by_mail(username, visit))

    def set_email(self, caller: Caller, password: str, email: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Send a link to this address, which counts once it is confirmed; "" removes the address at once.

        Fails with InvalidCredentials, BadRequest, RateLimited, or NotFound on a server that sends no mail.
        """
        return self._context.run_flow(self._set_email(caller, password, email, visit))

    def confirm_email(self, secret: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Make the address of this link the user's. Fails with LinkExpired or RateLimited."""
        return self._context.run_flow(self._confirm_email(secret, visit))

    def _renew_codes(self, caller: Caller, password: str, visit: ClientInfo) -> Steps[tuple[str, ...]]:
        context = self._context
        known = yield from confirm(context, caller, password, visit)

        def write(connection: Connection) -> tuple[str, ...]:
            now, user_id = context.clock(), caller.user_id
            still(connection, caller, known, now)
            audit_log.write(connection, now, Actor("user", user_id, visit), "recovery_codes_renewed", user_id)
            return recovery_codes.renew(connection, user_id, context.random)

        made: tuple[str, ...] = yield context.write_shared(write, member(caller))
        return made

    def _by_code(self, username: str, code: str, new_password: str, visit: ClientInfo) -> Steps[None]:
        context, folded = self._context, usernames.folded(username)
        context.limits.recover(visit.address, folded)
        passwords.check(new_password)
        # before the look-up: hashing is nearly all of the response time
        password_hash = yield context.hash(new_password, folded or "", stranger(visit))

        def write(connection: Connection) -> tuple[LoginUser | None, list[SessionEnded]]:
            now = context.clock()
            found = users.find(connection, folded or "", context.restorable())
            user_id = found.person.id if found else None
            if not recovery_codes.use(connection, user_id or _NOBODY, code, now) or found is None:
                actor = Actor("nobody", None, visit)
                audit_log.write(connection, now, actor, "recovery_failed", user_id, ok=False)
                return None, []
            return found, self._recover(connection, found, password_hash, "code", visit)

        recovered: LoginUser | None = yield from context.end_sessions(write, stranger(visit))
        if recovered is None:
            raise InvalidCode()
        context.limits.recovered(visit.address, folded)
        self._tell(recovered)

    def _by_link(self, secret: str, new_password: str, visit: ClientInfo) -> Steps[None]:
        context, by = self._context, stranger(visit)
        context.limits.recover(visit.address, None)
        passwords.check(new_password)
        known, found = yield context.look_up(lambda db: self._linked(db, secret), by)
        # a temporary password is known to the superuser who set it, so it must not be kept
        if known.kind == "password" and (yield context.verify(found.password_hash, new_password, by)):
            raise InvalidPassword("Choose another password than the one that you were given.")
        password_hash = yield context.hash(new_password, found.person.username, by)

        def write(connection: Connection) -> tuple[LoginUser | None, list[SessionEnded]]:
            link, found = self._linked(connection, secret)
            if link.kind == "password":
                # the user knew the password, so this is no recovery
                return None, self._set_password(connection, found, password_hash, "password_changed", visit)
            how = "mail" if link.detail == _BY_MAIL else "link"
            return found, self._recover(connection, found, password_hash, how, visit)

        recovered: LoginUser | None = yield from context.end_sessions(write, stranger(visit))
        context.limits.recovered(visit.address, None)
        self._tell(recovered)

    def _by_mail(self, username: str, visit: ClientInfo) -> Steps[None]:
        if not self.mail_enabled:
            raise NotFound("This server sends no mail: use a recovery code, or ask whoever runs it for a link.")
        folded = usernames.folded(username)
        self._context.limits.recover(visit.address, folded)
        # not waited for: the answer does not depend on the result
        self._context.run_flow(self._send_link(folded or "", visit))
        return
        yield

    def _send_link(self, folded: str, visit: ClientInfo) -> Steps[None]:
        context = self._context
        found: LoginUser | None = yield context.look_up(
            lambda db: users.find(db, folded, context.restorable()), stranger(visit)
        )
        user_id = found.person.id if found else None
        email = found.email if found and context.limits.may_mail("recovery", found.person.id) else None

        def write(connection: Connection) -> Callable[[], None]:
            now, actor = context.clock(), Actor("nobody", None, visit)
            if found is None or email is None:
                audit_log.write(connection, now, actor, "recovery_failed", user_id, ok=False)
                return lambda: None
            link = one_time_tokens.make(connection, "recovery", user_id, now, context.tokens, _BY_MAIL, beside=True)
            audit_log.write(connection, now, actor, "recovery_mail_sent", user_id)
            return partial(self._mail.recovery, email, found.person.username, link.secret)

        send: Callable[[], None] = yield context.write_shared(write, stranger(visit))
        send()

    def _set_email(self, caller: Caller, password: str, email: str, visit: ClientInfo) -> Steps[None]:
        context, user_id = self._context, caller.user_id
        known = yield from confirm(context, caller, password, visit)
        if email:
            if not self.mail_enabled:
                raise NotFound("This server sends no mail, so an address would be of no use.")
            mails.check(email)
            context.limits.mail_elsewhere(visit.address)
            if not context.limits.may_mail("email", user_id):
                raise RateLimited("Too many mails; try again in 5 minutes.", retry_after=300)

        def write(connection: Connection) -> Callable[[], None]:
            now = context.clock()
            still(connection, caller, known, now)
            if not email:
                return self._move(connection, user_id, None, visit)
            link = one_time_tokens.make(connection, "email", user_id, now, context.tokens, email)
            return partial(self._mail.confirmation, email, caller.username, link.secret)

        send: Callable[[], None] = yield context.write_shared(write, member(caller))
        send()

    def _confirm_email(self, secret: str, visit: ClientInfo) -> Steps[None]:
        context = self._context
        context.limits.recover(visit.address, None)
        # without a valid link, nothing is written
        yield context.look_up(lambda db: one_time_tokens.find(db, secret, context.clock(), "email").id, stranger(visit))

        def write(connection: Connection) -> Callable[[], None]:
            now = context.clock()
            link = one_time_tokens.find(connection, secret, now, "email")
            if link.user_id is None or users.hash_of(connection, link.user_id) is None:
                raise LinkExpired()
            one_time_tokens.use(connection, link, now)
            return self._move(connection, link.user_id, link.detail, visit)

        send: Callable[[], None] = yield context.write_shared(write, stranger(visit))
        context.limits.recovered(visit.address, None)
        send()

    def _move(self, connection: Connection, user_id: int, email: str | None, visit: ClientInfo) -> Callable[[], None]:
        """Set or remove the address; return a function that notifies the old one."""
        now = self._context.clock()
        account = users.by_id(connection, user_id)
        users.set_email(connection, user_id, email)
        # links on their way to the old address
        one_time_tokens.cancel(connection, user_id, now, "email")
        one_time_tokens.cancel(connection, user_id, now, "recovery")
        audit_log.write(connection, now, Actor("user", user_id, visit), "email_changed", user_id)
        if account is None or account.email is None or account.email == email:
            return lambda: None
        return partial(self._mail.moved, account.email, account.person.username)

    def _linked(self, connection: Connection, secret: str) -> tuple[one_time_tokens.OneTimeToken, LoginUser]:
        link = one_time_tokens.find(connection, secret, self._context.clock(), "recovery", "password")
        found = None if link.user_id is None else users.by_id(connection, link.user_id, self._context.restorable())
        if found is None:
            raise LinkExpired()
        return link, found

    def _recover(
        self, connection: Connection, found: LoginUser, password_hash: str, how: str, visit: ClientInfo
    ) -> list[SessionEnded]:
        users.recovered(connection, found.person.id, self._context.clock(), how)
        return self._set_password(connection, found, password_hash, "recovered", visit, how=how)

    def _set_password(
        self,
        connection: Connection,
        found: LoginUser,
        password_hash: str,
        action: str,
        visit: ClientInfo,
        **detail: Any,
    ) -> list[SessionEnded]:
        now, user_id = self._context.clock(), found.person.id
        users.set_password(connection, user_id, password_hash, now)
        one_time_tokens.cancel(connection, user_id, now)
        audit_log.write(connection, now, Actor("user", user_id, visit), action, user_id, **detail)
        # API tokens stay: each was made on purpose for one program, manages no account, is listed with its last use and
        # can be revoked. Ending them would break programs that are unrelated to a forgotten password.
        return sessions.end_sessions(connection, user_id, now, "password_changed")

    def _tell(self, recovered: LoginUser | None) -> None:
        if recovered is not None and recovered.email is not None:
            self._mail.recovered(recovered.email, recovered.person.username)
