"""Sign-up, sign-in with its second step, and sign-out."""

import dataclasses
from typing import Any

from sqlalchemy import Connection

from realtime_kv.accounts import audit_log, invitations, usernames, users
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, flow, stranger
from realtime_kv.accounts.credentials import code_budget, one_time_tokens, passwords, recovery_codes, sessions, totp
from realtime_kv.accounts.credentials.code_budget import CodeBudget
from realtime_kv.accounts.credentials.one_time_tokens import IssuedToken, OneTimeToken
from realtime_kv.accounts.credentials.sessions import NewSession, Presented, SessionEnded
from realtime_kv.accounts.mail import Mail
from realtime_kv.accounts.users import LoginUser
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.core.messages import timestamp
from realtime_kv.errors import InvalidCode, InvalidCredentials, LinkExpired, PasswordChangeNeeded, SecondStepNeeded
from realtime_kv.request.addresses import network_of
from realtime_kv.request.client_info import NOWHERE, ClientInfo


class Access:
    """The ways into an account, and out of it."""

    def __init__(self, context: Context, mail: Mail) -> None:
        self.context = context
        self._mail = mail

    @flow
    def sign_up(
        self,
        username: str,
        password: str,
        visit: ClientInfo = NOWHERE,
        *,
        replacing: str | None = None,
        kept: bool = True,
        as_token: bool = False,
        invitation: str | None = None,
    ) -> Steps[NewSession]:
        """Create a user and sign them in; end the session of the token `replacing`.

        The new token is for the cookie; with `as_token` it is a bearer token. Neither is accepted as the other. The
        secret of an `invitation` is checked only if the settings require one.

        Fails with InvalidName, InvalidPassword, NameTaken, RateLimited; with Unavailable when the disk is nearly full;
        with Forbidden or LinkExpired if sign-up is not open to everybody.
        """
        context, by = self.context, stranger(visit)
        find_invitation = invitations.require(context, invitation)
        username = usernames.check(username)
        folded = usernames.folded(username)
        passwords.check(password)
        context.check_room()
        context.limits.sign_up(visit.address)
        if find_invitation is not None:
            # without an invitation, no password is hashed
            yield context.look_up(find_invitation, by)
        password_hash = yield context.hash(password, username, by)

        def write(connection: Connection) -> tuple[NewSession, list[SessionEnded]]:
            assert folded is not None
            now = context.clock()
            invited = None if find_invitation is None else find_invitation(connection)
            user = users.create(connection, username, folded, password_hash, now)
            detail: dict[str, Any] = {} if invited is None else {"invitation": invited}
            audit_log.write(connection, now, Actor("user", user.id, visit), "sign_up", user.id, **detail)
            if invited is not None:
                invitations.use(connection, invited, user.id, now)
            made = recovery_codes.renew(connection, user.id, context.random)
            return self._start(
                connection, users.by_id(connection, user.id), visit, replacing, kept, as_token, codes=made
            )

        return (yield from context.end_sessions(write, by, apart=not _is_session(replacing)))

    @flow
    def check_sign_up(self, invitation: str | None = None, visit: ClientInfo = NOWHERE) -> Steps[None]:
        """Check that sign-up is allowed with this invitation. Fails with Forbidden or LinkExpired."""
        find = invitations.require(self.context, invitation)
        if find is not None:
            yield self.context.look_up(find, stranger(visit))

    @flow
    def sign_in(
        self,
        username: str,
        password: str,
        visit: ClientInfo = NOWHERE,
        *,
        replacing: str | None = None,
        kept: bool = True,
        as_token: bool = False,
    ) -> Steps[NewSession]:
        """Start a session and end that of the token `replacing`. Signing in restores an account that its user deleted.

        Fails with InvalidCredentials, RateLimited, SecondStepNeeded or PasswordChangeNeeded.
        """
        context, folded, by = self.context, usernames.folded(username), stranger(visit)
        context.limits.sign_in(visit.address, folded)
        if not passwords.could_be(password):
            raise InvalidCredentials()
        found: LoginUser | None = yield context.look_up(
            lambda db: users.find(db, folded or "", context.restorable()), by
        )
        known_hash = found.password_hash if found else passwords.NOBODYS_HASH
        right = yield context.verify(known_hash, password, by)
        if not (right and found and folded):
            # An unknown name takes the same steps as a known one; nothing is waited for, and only the audit log tells
            # them apart.
            self._note_failure("sign_in_failed", found.person.id if found else None, visit)
            raise InvalidCredentials()
        context.limits.enter(found.person.id)
        renewed = None
        if passwords.is_outdated(known_hash):
            renewed = yield context.rehash(password, by)

        def write(connection: Connection) -> tuple[NewSession | IssuedToken, list[SessionEnded]]:
            # the password may have been changed, or the user disabled, during the hashing
            present = users.find(connection, folded, context.restorable())
            if present is None or present.password_hash != known_hash:
                raise InvalidCredentials()
            if renewed:
                users.renew_hash(connection, present.person.id, renewed)
            if present.two_step:
                return self._ticket(connection, "second_step", present), []
            return self._enter(connection, present, visit, replacing, kept, as_token)

        entered: NewSession | IssuedToken = yield from context.end_sessions(write, by, apart=not _is_session(replacing))
        if isinstance(entered, NewSession) or entered.kind != "second_step":
            context.limits.signed_in(visit.address, folded)
        return _welcome(entered)

    @flow
    def second_step(
        self,
        ticket: str,
        code: str,
        visit: ClientInfo = NOWHERE,
        *,
        replacing: str | None = None,
        kept: bool = True,
        as_token: bool = False,
    ) -> Steps[NewSession]:
        """Complete a sign-in that needs a second step: a code from an authenticator, or a recovery code.

        Fails with LinkExpired, InvalidCode or PasswordChangeNeeded.
        """
        context, by = self.context, stranger(visit)
        guessable, network = recovery_codes.plain(code) is None, network_of(visit.address)
        (_, owing), budget = yield context.look_up(lambda db: self._owing_with_budget(db, ticket), by)
        person = owing.person
        if guessable and budget.is_exhausted:
            raise _codes_exhausted()
        context.limits.second_step(visit.address, person.id, guessable=guessable)

        def write(connection: Connection) -> tuple[NewSession | IssuedToken | CodeBudget, list[SessionEnded]]:
            now, user_id = context.clock(), person.id
            (link, found), budget = self._owing_with_budget(connection, ticket)
            if guessable and budget.is_exhausted:
                # others have used up the budget meanwhile: this code is not checked
                return budget, []
            by_code = recovery_codes.use(connection, user_id, code, now)
            if not (by_code or totp.use(connection, user_id, code, now)):
                one_time_tokens.tried(connection, link, now)
                nobody = Actor("nobody", None, visit)
                audit_log.write(connection, now, nobody, "second_step_failed", user_id, ok=False)
                if guessable:
                    budget = code_budget.record_failure(connection, user_id, network, now)
                    if budget.failures == code_budget.MAX_FAILURES:
                        audit_log.write(connection, now, nobody, "second_step_blocked", user_id, ok=False)
                return budget, []
            one_time_tokens.use(connection, link, now)
            if by_code:
                code_budget.reset(connection, user_id)
            else:
                code_budget.forget_network(connection, user_id, network)
            # logged: one recovery code is used up, and the authenticator was not used
            with_code: dict[str, Any] = {"with": "a recovery code"} if by_code else {}
            return self._enter(connection, found, visit, replacing, kept, as_token, **with_code)

        entered = yield from context.end_sessions(write, by)
        if isinstance(entered, CodeBudget):
            if not (guessable and entered.is_exhausted):
                raise InvalidCode()
            if owing.email is not None and not budget.is_exhausted:
                self._mail.codes_blocked(owing.email, person.username)
            raise _codes_exhausted()
        context.limits.second_step_done(visit.address, person.id)
        context.limits.signed_in(visit.address, usernames.folded(person.username))
        return _welcome(entered)

    @flow
    def sign_out(self, token: str, visit: ClientInfo = NOWHERE) -> Steps[None]:
        """End the token's session, if it has not ended already. API tokens are not ended."""
        # without a session nothing is written: the writer's time is shared by all users
        by = Client(network_of(visit.address), token)
        if not sessions.is_session_token(token) or not (
            yield self.context.look_up(lambda db: sessions.goes_on(db, token), by)
        ):
            return
        now = self.context.clock()

        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            ended = sessions.end(connection, token, now, "signed_out")
            for end in ended:
                audit_log.write(connection, now, Actor("user", end.user_id, visit), "sign_out", end.user_id)
            return None, ended

        yield from self.context.end_sessions(write, by)

    def _owing(self, connection: Connection, ticket: str) -> tuple[OneTimeToken, LoginUser]:
        link = one_time_tokens.find(connection, ticket, self.context.clock(), "second_step")
        found = None if link.user_id is None else users.by_id(connection, link.user_id, self.context.restorable())
        if found is None:
            raise LinkExpired()
        return link, found

    def _owing_with_budget(
        self, connection: Connection, ticket: str
    ) -> tuple[tuple[OneTimeToken, LoginUser], CodeBudget]:
        link, found = self._owing(connection, ticket)
        return (link, found), code_budget.of_user(connection, found.person.id)

    def _enter(
        self,
        connection: Connection,
        found: LoginUser,
        visit: ClientInfo,
        replacing: str | None,
        kept: bool,
        as_token: bool,
        **detail: Any,
    ) -> tuple[NewSession | IssuedToken, list[SessionEnded]]:
        """Finish a sign-in whose credentials were all correct."""
        if found.must_change_password:
            return self._ticket(connection, "password", found), []
        now, user_id = self.context.clock(), found.person.id
        actor = Actor("user", user_id, visit)
        if found.deleted:
            users.undelete(connection, user_id)
            audit_log.write(connection, now, actor, "account_restored", user_id)
        audit_log.write(connection, now, actor, "sign_in", user_id, **detail)
        return self._start(connection, found, visit, replacing, kept, as_token)

    def _start(
        self,
        connection: Connection,
        found: LoginUser | None,
        visit: ClientInfo,
        replacing: str | None,
        kept: bool,
        as_token: bool,
        codes: tuple[str, ...] = (),
    ) -> tuple[NewSession, list[SessionEnded]]:
        assert found is not None
        context, now = self.context, self.context.clock()
        begun = sessions.start(
            connection, found.person, visit, now, context.config, context.tokens, _presented(as_token), kept=kept
        )
        begun = dataclasses.replace(begun, codes=codes, recovered=found.recovered)
        return begun, sessions.end(connection, replacing, now, "ended") if replacing else []

    def _ticket(self, connection: Connection, kind: one_time_tokens.Kind, found: LoginUser) -> IssuedToken:
        return one_time_tokens.make(connection, kind, found.person.id, self.context.clock(), self.context.tokens)

    def _note_failure(self, action: str, user_id: int | None, visit: ClientInfo) -> None:
        now, actor = self.context.clock(), Actor("nobody", None, visit)
        # failures on one account are few, because each waits longer than the one before
        if user_id is None and not self.context.limits.may_note(visit.address):
            return
        self.context.write_shared(
            lambda db: audit_log.write(db, now, actor, action, user_id, ok=False), stranger(visit)
        )


def _codes_exhausted() -> InvalidCode:
    return InvalidCode(
        f"{code_budget.MAX_FAILURES} wrong codes were sent for this account, so codes of an authenticator are not "
        "accepted any more. Use one of your recovery codes.",
        needs="recovery_code",
    )


def _presented(as_token: bool) -> Presented:
    return "bearer" if as_token else "cookie"


def _is_session(token: str | None) -> bool:
    return token is not None and sessions.is_session_token(token)


def _welcome(entered: NewSession | IssuedToken) -> NewSession:
    """Raise SecondStepNeeded or PasswordChangeNeeded for a sign-in that is not complete."""
    if isinstance(entered, NewSession):
        return entered
    owed = SecondStepNeeded if entered.kind == "second_step" else PasswordChangeNeeded
    raise owed(entered.secret, timestamp(entered.expires_at))
