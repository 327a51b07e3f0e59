"""Sessions and API tokens: one row each. The client holds a random token, the server its SHA-256; `public_id` names it.

A token is valid until its session ends or expires, and then invalid on every transport at once.

Longer than 320 lines: all rules about the rows of one table.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, text, update

from realtime_kv.accounts.users import UserIdentity
from realtime_kv.caller import Caller
from realtime_kv.clock import DAY, TOLERANCE
from realtime_kv.config import Config
from realtime_kv.errors import Unauthenticated
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.dialects import dialect
from realtime_kv.storage.models import User, UserSession

PREFIX = "rks_"
API_PREFIX = "rkv_"
# for a browser that is not kept signed in
SHORT = DAY
# for a token that does not expire: the last time with a four-digit year
NEVER = 253_402_300_799_000

_TOKEN = re.compile(f"(?:{PREFIX}|{API_PREFIX})[A-Za-z0-9_-]{{43}}")
_CALLER = (
    select(
        User.id,
        User.username,
        User.is_admin,
        User.created_at,
        UserSession.id,
        UserSession.public_id,
        UserSession.label,
        UserSession.kind,
        UserSession.scope,
        UserSession.prefix,
        UserSession.created_at,
        UserSession.limit_at,
        UserSession.presented,
    )
    .join(User, User.id == UserSession.user_id)
    .where(
        UserSession.token_hash == bindparam("token_hash"),
        UserSession.ended_at.is_(None),
        UserSession.expires_at > bindparam("now"),
        User.disabled_at.is_(None),
        User.deleted_at.is_(None),
    )
)

# one statement for thousands of open tabs, to save the writer's time
_SAW = """
    UPDATE sessions SET
        -- never back: a clock that was set back must not shorten a session
        last_seen_at = {greatest}(coalesce(last_seen_at, 0), seen.at),
        address = CASE seen.address WHEN '' THEN sessions.address ELSE seen.address END,
        -- sessions of before there was an idle time, and tokens, keep the end that they have
        expires_at = CASE WHEN idle IS NULL THEN expires_at
            ELSE {greatest}(expires_at, {least}(limit_at, seen.at + idle)) END
    FROM ({seen}) AS seen
    WHERE sessions.id = seen.id AND ended_at IS NULL AND expires_at > seen.at
"""


# how the token of a session is sent; the other way is not accepted
Presented = Literal["cookie", "bearer"]

Reason = Literal["signed_out", "ended", "expired", "password_changed", "disabled", "deleted", "revoked"]


@dataclass(frozen=True)
class NewSession:
    """A session that has just begun; its token is known only now.

    Unused, it expires at `expires_at`; used, at `limit_at` at the latest. `kept` says whether the browser keeps the
    token when it is closed. `codes` are a new user's recovery codes. `recovered` is a recovery that the user has not
    been told of yet: its time (milliseconds) and its way.
    """

    user: UserIdentity
    token: str
    session: str
    expires_at: int
    limit_at: int
    kept: bool = True
    codes: tuple[str, ...] = ()
    recovered: tuple[int, str] | None = None


@dataclass(frozen=True)
class SessionView:
    """A session as its user sees it: `id` is the public id, times in milliseconds, `current` the caller's session."""

    id: str
    label: str
    created_at: int
    last_seen_at: int
    expires_at: int
    address: str
    current: bool


@dataclass(frozen=True)
class SessionEnded:
    """An ended session or token, and the reason (protocol §3)."""

    session_id: int
    user_id: int
    reason: Reason


def is_token(text: str) -> bool:
    """Return whether the text has the form of a token, to save a database query."""
    return _TOKEN.fullmatch(text) is not None


def unknown(token: str) -> str:
    """Return the error message for a token that is not valid."""
    if token.startswith(API_PREFIX):
        return "This API token is unknown, has expired or was revoked. Create a new one on the page /account/tokens."
    if token.startswith(PREFIX):
        return "This session is unknown, has expired or was ended. Sign in again."
    return f"This is not a token of this server. Tokens begin with {API_PREFIX} or {PREFIX}."


def is_session_token(text: str) -> bool:
    """Return whether the text has the form of a session token, not of an API token."""
    return is_token(text) and text.startswith(PREFIX)


def start(
    connection: Connection,
    user: UserIdentity,
    visit: ClientInfo,
    now: int,
    config: Config,
    tokens: Callable[[int], str],
    presented: Presented,
    *,
    kept: bool = True,
) -> NewSession:
    """Create a session for `user`, with a new random token."""
    limit_at = now + (config.session_days * DAY if kept else SHORT)
    idle = config.session_idle_days * DAY
    begun = NewSession(user, PREFIX + tokens(32), tokens(9), min(limit_at, now + idle), limit_at, kept)
    connection.execute(
        insert(UserSession).values(
            public_id=begun.session,
            token_hash=token_hash(begun.token),
            user_id=user.id,
            label=visit.label,
            address=visit.address,
            created_at=now,
            last_seen_at=now,
            idle=idle,
            limit_at=limit_at,
            presented=presented,
            expires_at=begun.expires_at,
        )
    )
    return begun


def renew(
    connection: Connection,
    caller: Caller,
    visit: ClientInfo,
    now: int,
    config: Config,
    tokens: Callable[[int], str],
    presented: Presented,
    *,
    codes: tuple[str, ...] = (),
) -> NewSession:
    """Create a session for the caller's browser, kept like the old one, which the calling function has to end.

    A token from before a privilege change must not be valid afterwards (OWASP, session management).
    """
    old = select(UserSession.created_at, UserSession.limit_at).where(UserSession.id == caller.session_id)
    created_at, limit_at = connection.execute(old).one()
    kept = _is_kept(created_at, limit_at)
    person = UserIdentity(caller.user_id, caller.username, caller.is_admin, caller.user_created_at)
    begun = start(connection, person, visit, now, config, tokens, presented, kept=kept)
    return dataclasses.replace(begun, codes=codes)


def _is_kept(created_at: int, limit_at: int | None) -> bool:
    return limit_at is None or limit_at - created_at > SHORT


def shown(connection: Connection, user_id: int, current: int, now: int) -> list[SessionView]:
    """Return the user's sessions: the current one first, then the most recently used."""
    rows = connection.execute(
        select(UserSession.__table__).where(
            UserSession.user_id == user_id,
            UserSession.kind == "session",
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
        )
    )
    found = [
        SessionView(
            row.public_id,
            row.label,
            row.created_at,
            now if row.id == current else row.last_seen_at or row.created_at,
            row.expires_at,
            row.address,
            row.id == current,
        )
        for row in rows
    ]
    return sorted(found, key=lambda session: (session.current, session.last_seen_at), reverse=True)


def end(connection: Connection, token: str, now: int, reason: Reason) -> list[SessionEnded]:
    """End the token's session; does nothing for an ended or unknown one, and for an API token."""
    if not is_session_token(token):
        return []
    return _end(connection, now, reason, UserSession.token_hash == token_hash(token))


def goes_on(connection: Connection, token: str) -> bool:
    """Return whether a session with this token exists and has not been ended."""
    wanted = select(UserSession.id).where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None))
    return connection.execute(wanted).first() is not None


def end_session_row(
    connection: Connection, user_id: int, public_id: str, now: int, reason: Reason, *, kind: str | None = None
) -> list[SessionEnded]:
    """End this session or token of the user's, if it is of that `kind`."""
    if not public_id.isascii():
        return []
    which = [UserSession.user_id == user_id, UserSession.public_id == public_id]
    if kind is not None:
        which.append(UserSession.kind == kind)
    return _end(connection, now, reason, *which)


def end_sessions(
    connection: Connection,
    user_id: int,
    now: int,
    reason: Reason,
    *,
    but: int | None = None,
    tokens: bool = False,
) -> list[SessionEnded]:
    """End the sessions of a user except one; with `tokens` their API tokens too."""
    which = [UserSession.user_id == user_id]
    if but is not None:
        which.append(UserSession.id != but)
    if not tokens:
        which.append(UserSession.kind == "session")
    return _end(connection, now, reason, *which)


def end_expired(connection: Connection, now: int) -> list[SessionEnded]:
    """End every expired session."""
    return _end(connection, now, "expired", UserSession.expires_at <= now)


def date_back(connection: Connection, now: int) -> None:
    """Move sessions with a start in the future to now: else they would exceed the limits in the settings by as much.

    They began while the clock was wrong. API tokens keep the expiry that their user has chosen.
    """
    ahead = UserSession.created_at - now
    connection.execute(
        update(UserSession)
        .where(UserSession.created_at > now + TOLERANCE, UserSession.ended_at.is_(None), UserSession.kind == "session")
        .values(
            created_at=now,
            limit_at=UserSession.limit_at - ahead,
            expires_at=UserSession.expires_at - ahead,
            last_seen_at=None,
        )
    )


def saw(connection: Connection, seen: Mapping[int, tuple[int, str]]) -> None:
    """Write the last use of sessions (by id) and its address: their idle time starts again.

    A session that had expired by then stays expired.
    """
    rows = [(session, at, address) for session, (at, address) in seen.items()]
    sql = dialect(connection)
    saw = _SAW.format(greatest=sql.greatest, least=sql.least, seen=sql.seen.format(":rows"))
    connection.execute(text(saw), {"rows": msgspec.json.encode(rows).decode()})


def caller(connection: Connection, token: str, now: int, via: str, presented: Presented) -> Caller:
    """Return the caller with this token, which was presented in that way. Raises Unauthenticated.

    A session's token is accepted only as it was issued, an API token only as a bearer token. So the protection of the
    cookie (the server's own origins, form tokens, HttpOnly) cannot be bypassed by sending its token otherwise, and
    programs cannot use the pages, which accept only the cookie.
    """
    row = connection.execute(_CALLER, {"token_hash": token_hash(token), "now": now}).first()
    if row is None:
        raise Unauthenticated(unknown(token))
    user_id, username, is_admin, since, session_id, public_id, label, kind, scope, prefix, created_at, limit_at, way = (
        row
    )
    wanted = "bearer" if kind == "token" else way
    if wanted not in {None, presented}:
        raise Unauthenticated(unknown(token))
    kept = _is_kept(created_at, limit_at)
    caller = Caller(user_id, username, is_admin, since, session_id, public_id, label, via, kind, scope, prefix, kept)
    return caller if wanted is not None else dataclasses.replace(caller, is_bound=False)


def bind(connection: Connection, session_id: int, presented: Presented) -> None:
    """Set how this session is presented from now on, if that was not known."""
    unbound = (UserSession.id == session_id) & UserSession.presented.is_(None)
    connection.execute(update(UserSession).where(unbound).values(presented=presented))


def check(connection: Connection, caller: Caller, now: int) -> None:
    """Raise Unauthenticated if the caller's session has ended: for use inside a write."""
    going_on = select(UserSession.id).where(
        UserSession.id == caller.session_id, UserSession.ended_at.is_(None), UserSession.expires_at > now
    )
    if connection.execute(going_on).first() is None:
        raise Unauthenticated("Your session has ended; sign in again.")


def token_hash(token: str) -> bytes:
    """Return the stored hash of a token. Tokens are 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()


def _end(connection: Connection, now: int, reason: Reason, *which: ColumnElement[bool]) -> list[SessionEnded]:
    rows = connection.execute(
        update(UserSession)
        .where(UserSession.ended_at.is_(None), *which)
        .values(ended_at=now)
        .returning(UserSession.id, UserSession.user_id)
    )
    return [SessionEnded(session_id, user_id, reason) for session_id, user_id in rows]
