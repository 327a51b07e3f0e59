"""API tokens: credentials that users give to programs, with as few rights as needed.

A token is a row beside the sessions and ends like them. Its text is shown once. Only signed-in people create, list and
revoke tokens, so that a leaked token cannot create others.
"""

import unicodedata
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select

from realtime_kv.accounts import audit_log
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, member, require_session
from realtime_kv.accounts.credentials import sessions
from realtime_kv.accounts.credentials.sessions import SessionEnded
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core import validation
from realtime_kv.errors import BadRequest, InvalidKey, NotFound, QuotaExceeded
from realtime_kv.request.client_info import NOWHERE, ClientInfo
from realtime_kv.storage.models import UserSession

NAME_LENGTH = 64
MAX_TOKENS = 100
SCOPES = ("read", "write")

# control characters, and line separators
_UNPRINTABLE = {"Cc", "Zl", "Zp"}


@dataclass(frozen=True)
class TokenView:
    """A token as its user sees it; times in milliseconds. `expires_at` and `last_used_at` are None for never."""

    id: str
    name: str
    scope: str
    prefix: str | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


@dataclass(frozen=True)
class NewToken:
    """A new token; its text is known only now."""

    token: str
    shown: TokenView


# a method of `Tokens` shadows the name `list`
ManyShown = list[TokenView]


class Tokens:
    """The API tokens of users."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self,
        caller: Caller,
        name: str,
        scope: str = "write",
        prefix: str | None = None,
        expires_at: int | None = None,
        visit: ClientInfo = NOWHERE,
    ) -> Future[NewToken]:
        """Create a token for the caller's keys, or for those under `prefix`.

        Fails with Forbidden if the caller is a token, BadRequest, InvalidKey, or QuotaExceeded.
        """
        return self._context.run_flow(self._create(caller, name, scope, prefix, expires_at, visit))

    def list(self, caller: Caller) -> Future[ManyShown]:
        """Return the caller's active tokens, oldest first. Fails with Forbidden."""
        return self._context.run_flow(self._list(caller))

    def revoke(self, caller: Caller, id: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """End the caller's token with this public id, and its tabs. Fails with Forbidden or NotFound."""
        return self._context.run_flow(self._revoke(caller, id, visit))

    def _create(
        self, caller: Caller, name: str, scope: str, prefix: str | None, expires_at: int | None, visit: ClientInfo
    ) -> Steps[NewToken]:
        require_session(caller)
        self._context.limits.change(caller.user_id, caller.session_id)
        context, now = self._context, self._context.clock()
        _check_name(name)
        if scope not in SCOPES:
            raise BadRequest("A scope is `read` or `write`.", field="scope")
        if prefix is not None:
            _check_prefix(prefix)
        if expires_at is not None and not now < expires_at <= sessions.NEVER:
            raise BadRequest("A token expires in the future, or never.", field="expires_at")
        made = NewToken(
            sessions.API_PREFIX + context.tokens(32),
            TokenView(context.tokens(9), name, scope, prefix, now, expires_at, None),
        )

        def write(connection: Connection) -> None:
            sessions.check(connection, caller, now)
            used = connection.scalar(select(func.count()).where(*_live(caller, now))) or 0
            if used >= MAX_TOKENS:
                raise QuotaExceeded(f"You have {used} tokens; revoke one first.", limit=MAX_TOKENS, used=used)
            _insert(connection, caller.user_id, made)
            actor = Actor("user", caller.user_id, visit)
            audit_log.write(connection, now, actor, "token_created", caller.user_id, token=made.shown.id, scope=scope)

        yield context.write_shared(write, member(caller))
        return made

    def _list(self, caller: Caller) -> Steps[ManyShown]:
        require_session(caller)
        now = self._context.clock()
        shown: ManyShown = yield self._context.read(lambda connection: _shown(connection, caller, now), member(caller))
        return shown

    def _revoke(self, caller: Caller, id: str, visit: ClientInfo) -> Steps[None]:
        require_session(caller)
        self._context.limits.change(caller.user_id, caller.session_id)
        now = self._context.clock()

        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            sessions.check(connection, caller, now)
            is_theirs = select(UserSession.id).where(*_live(caller, now), UserSession.public_id == id)
            if connection.execute(is_theirs).first() is None:
                raise NotFound("You have no such token.")
            ended = sessions.end_session_row(connection, caller.user_id, id, now, "revoked")
            audit_log.write(
                connection, now, Actor("user", caller.user_id, visit), "token_revoked", caller.user_id, token=id
            )
            return None, ended

        yield from self._context.end_sessions(write, member(caller))


def _check_name(name: str) -> None:
    """Raise BadRequest for an invalid name."""
    if not name.strip() or len(name) > NAME_LENGTH:
        raise BadRequest(f"A token's name has 1 to {NAME_LENGTH} characters.", field="name")
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise BadRequest("A token's name has no control characters, such as line breaks or tabs.", field="name")


def _check_prefix(prefix: str) -> None:
    """Raise InvalidKey for a prefix under which no key can exist."""
    try:
        validation.check_key(prefix)
    except InvalidKey as refusal:
        refusal.extra["field"] = "prefix"
        raise


def _live(caller: Caller, now: int) -> tuple[ColumnElement[bool], ...]:
    return (
        UserSession.user_id == caller.user_id,
        UserSession.kind == "token",
        UserSession.ended_at.is_(None),
        UserSession.expires_at > now,
    )


def _insert(connection: Connection, user_id: int, made: NewToken) -> None:
    shown = made.shown
    connection.execute(
        insert(UserSession).values(
            public_id=shown.id,
            token_hash=sessions.token_hash(made.token),
            user_id=user_id,
            kind="token",
            label=shown.name,
            scope=shown.scope,
            prefix=shown.prefix,
            created_at=shown.created_at,
            expires_at=sessions.NEVER if shown.expires_at is None else shown.expires_at,
        )
    )


def _shown(connection: Connection, caller: Caller, now: int) -> ManyShown:
    rows = connection.execute(
        select(
            UserSession.public_id,
            UserSession.label,
            UserSession.scope,
            UserSession.prefix,
            UserSession.created_at,
            UserSession.expires_at,
            UserSession.last_seen_at,
        )
        .where(*_live(caller, now))
        .order_by(UserSession.id)
    )
    return [
        TokenView(id, name, scope, prefix, created_at, None if expires_at >= sessions.NEVER else expires_at, seen)
        for id, name, scope, prefix, created_at, expires_at, seen in rows
    ]
