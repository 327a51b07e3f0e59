"""Sessions: a row each. The client holds a random token, we hold only its SHA-256; `public_id` names it to people.

A token is worth something until its session ends or expires, and from then on nothing, at every door at once.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from realtime_kv.accounts.users import Person
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Unauthenticated
from realtime_kv.core.models import User, UserSession

PREFIX = "rks_"
DAY = 24 * 60 * 60 * 1000

_TOKEN = re.compile(PREFIX + "[A-Za-z0-9_-]{43}")
_CALLER = (
    select(
        User.id,
        User.username,
        User.is_admin,
        User.created_at,
        UserSession.id,
        UserSession.public_id,
        UserSession.label,
    )
    .join(User, User.id == UserSession.user_id)
    .where(
        UserSession.token_hash == bindparam("token_hash"),
        UserSession.ended_at.is_(None),
        UserSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
    )
)


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun: the only moment at which its token is known here."""

    user: Person
    token: str
    session: str
    expires_at: int


@dataclass(frozen=True)
class Ended:
    """A session that is over, and why: `signed_out`, `ended` or `expired` (protocol §3)."""

    session_id: int
    user_id: int
    reason: str


def is_token(text: str) -> bool:
    """Whether this can be a session's token at all: saves the question to the database."""
    return _TOKEN.fullmatch(text) is not None


def start(
    connection: Connection, user: Person, label: str, now: int, days: int, tokens: Callable[[int], str]
) -> SignedIn:
    """A new session for `user`, with a token that nobody has seen before."""
    begun = SignedIn(user, PREFIX + tokens(32), tokens(9), now + days * DAY)
    connection.execute(
        insert(UserSession).values(
            public_id=begun.session,
            token_hash=_hash(begun.token),
            user_id=user.id,
            label=label,
            created_at=now,
            expires_at=begun.expires_at,
        )
    )
    return begun


def end(connection: Connection, token: str, now: int, reason: str) -> list[Ended]:
    """End the token's session; nothing for one that is over already or never was."""
    return _end(connection, now, reason, UserSession.token_hash == _hash(token)) if is_token(token) else []


def end_expired(connection: Connection, now: int) -> list[Ended]:
    """End every session whose time has come."""
    return _end(connection, now, "expired", UserSession.expires_at <= now)


def caller(connection: Connection, token: str, now: int, via: str) -> Caller:
    """Who holds this token. Raises Unauthenticated."""
    row = connection.execute(_CALLER, {"token_hash": _hash(token), "now": now}).first()
    if row is None:
        raise Unauthenticated()
    return Caller(*row, via=via)


def _end(connection: Connection, now: int, reason: str, *which: object) -> list[Ended]:
    rows = connection.execute(
        update(UserSession)
        .where(UserSession.ended_at.is_(None), *which)  # type: ignore[arg-type]
        .values(ended_at=now)
        .returning(UserSession.id, UserSession.user_id)
    )
    return [Ended(session_id, user_id, reason) for session_id, user_id in rows]


def _hash(token: str) -> bytes:
    # the token is 256 random bits: a slow hash would add nothing
    return hashlib.sha256(token.encode()).digest()
