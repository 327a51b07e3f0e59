"""Browser sessions: Flask-Login over the sessions of `accounts`, with the random token as the whole cookie.

Flask-Login's notes about a request (`_fresh`, `_id`) live as long as the request. The cookie is new at every sign-in,
HttpOnly and SameSite=Lax, and worthless once its session has ended.

A session in a cookie with an old name (without the port) continues under the present name: `settle` checks that it is a
session of this server, and the answer replaces the cookie. A cookie of another server on this host is left alone.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from flask import Flask, Request, Response, g, request, session
from flask.sessions import SessionInterface, SessionMixin
from flask_login import UserMixin, current_user, login_user, logout_user

from realtime_kv.accounts.credentials.sessions import NewSession, is_session_token
from realtime_kv.caller import Caller
from realtime_kv.clock import DAY
from realtime_kv.errors import Unauthenticated
from realtime_kv.extensions import login_manager
from realtime_kv.request import authentication, cookies
from realtime_kv.services import services, wait

# where Flask-Login keeps the result of `get_id`
_TOKEN = "_user_id"  # noqa: S105
_EXPIRES_AT = "expires_at"


class TokenSession(dict[str, Any], SessionMixin):
    """The session of one request; only its token outlives the request."""

    def __init__(self, token: str | None, old_name: str | None = None) -> None:
        """`old_name` is the name of the cookie that the token came in, if that is no longer the name to use."""
        super().__init__({_TOKEN: token} if token else {})
        self.came_with = token
        self.old_name = old_name
        # set once the token is known to be of this server
        self.moves = False


class TokenSessions(SessionInterface):
    """Flask's sessions, with the token as the whole cookie."""

    def open_session(self, app: Flask, request: Request) -> TokenSession:
        environ, config = request.environ, services().config
        name, old_name = cookies.cookie_name(environ, config), cookies.unported_name(config)
        if token := cookies.read(environ, name):
            return TokenSession(token if is_session_token(token) else None)
        token = cookies.read(environ, old_name)
        return TokenSession(token, old_name) if token and is_session_token(token) else TokenSession(None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        assert isinstance(session, TokenSession)
        token = session.get(_TOKEN)
        if token == session.came_with and not session.moves:
            return
        config = services().config
        name, secure = cookies.cookie_name(request.environ, config), config.secure
        if session.moves and session.old_name is not None:
            response.delete_cookie(session.old_name, path="/", httponly=True, samesite="Lax", secure=secure)
        if token:
            # without a date the browser deletes the cookie when it is closed
            kept_until = session[_EXPIRES_AT]
            expires = None if kept_until is None else datetime.fromtimestamp(kept_until / 1000, UTC)
            response.set_cookie(name, token, expires=expires, path="/", httponly=True, samesite="Lax", secure=secure)
        else:
            response.delete_cookie(name, path="/", httponly=True, samesite="Lax", secure=secure)
            # nothing of this user stays in the browser: neither the storage of pages nor cached answers
            response.headers["Clear-Site-Data"] = '"cache", "storage"'


class SignedInUser(UserMixin):  # type: ignore[misc]
    """Flask-Login's user, identified by the token, not the user's id, so that each session ends by itself."""

    def __init__(self, token: str, caller: Caller | None = None) -> None:
        self.token = token
        self.caller = caller

    def get_id(self) -> str:
        return self.token


def load(token: str) -> SignedInUser | None:
    """Return the user of the session with this token, if it is still active."""
    try:
        return SignedInUser(token, look_up(token, "cookie"))
    except Unauthenticated:
        return None


def look_up(token: str, kind: Literal["bearer", "cookie"]) -> Caller:
    """Return the caller with this token. Raises Unauthenticated."""
    environ = request.environ
    address = authentication.address(environ, services().config)
    try:
        g.caller = found = wait(services().accounts.caller(token, "http", address, presented=kind))
    except Unauthenticated:
        # not set if the lookup timed out
        environ[authentication.RECOGNISED] = authentication.NOBODY
        raise
    environ[authentication.RECOGNISED] = token, found.user_id
    return found


def settle() -> None:
    """Move a session from a cookie with an old name to the present one, if it is a session of this server."""
    if not isinstance(session, TokenSession) or session.old_name is None:
        return
    caller = visitor()
    if caller is None:
        session.pop(_TOKEN, None)
        session.came_with = None
    else:
        session.moves = True
        # the server ends the session on time, even if the browser keeps the cookie for longer
        latest = services().store.clock() + services().config.session_days * DAY
        session[_EXPIRES_AT] = latest if caller.kept else None


def token_that_came() -> str | None:
    """Return the session token in this request's cookie; None also for a token of another server on this host."""
    return session.came_with if isinstance(session, TokenSession) else None


login_manager.user_loader(load)
# the token is the session: there is no second, weaker way to recognise a browser
login_manager.session_protection = None


def begin(signed_in: NewSession) -> None:
    """Set the new session's token in the browser, with this answer, in place of any other."""
    login_user(SignedInUser(signed_in.token))
    session[_EXPIRES_AT] = signed_in.limit_at if signed_in.kept else None


def forget() -> None:
    """Remove the token from the browser, with this answer."""
    logout_user()


def visitor() -> Caller | None:
    """Return the caller who is signed in by the cookie; None if nobody is."""
    return current_user.caller if current_user.is_authenticated else None


def signed_in() -> Caller:
    """Return the caller who is signed in by the cookie. Raises Unauthenticated, which leads to the sign-in page."""
    caller = visitor()
    if caller is None:
        raise Unauthenticated()
    return caller
