"""Setup of the first superuser, which only the link printed at the first start allows."""

import dataclasses
import secrets

from sqlalchemy import Connection, select

from realtime_kv.accounts import audit_log, usernames, users
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, stranger
from realtime_kv.accounts.credentials import one_time_tokens, passwords, recovery_codes, sessions
from realtime_kv.accounts.credentials.one_time_tokens import OneTimeToken
from realtime_kv.accounts.credentials.sessions import NewSession, SessionEnded
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.errors import LinkExpired
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import User


def has_superuser(connection: Connection) -> bool:
    """Return whether there is a superuser, even a disabled or deleted one."""
    return connection.execute(select(User.id).where(User.is_admin).limit(1)).first() is not None


def find(connection: Connection, secret: str, now: int) -> OneTimeToken:
    """Return the link, if it can still make the first superuser. Raises LinkExpired."""
    link = one_time_tokens.find(connection, secret, now, "setup")
    if has_superuser(connection):
        raise LinkExpired()
    return link


def use(
    context: Context, secret: str, username: str, password: str, visit: ClientInfo, replacing: str | None
) -> Steps[NewSession]:
    """Make the first superuser and sign them in; the link is used up."""
    username = usernames.check(username)
    folded = usernames.folded(username)
    passwords.check(password)
    # without a link, no password is hashed
    by = stranger(visit)
    yield context.look_up(lambda db: find(db, secret, context.clock()).id, by)
    password_hash = yield context.hash(password, username, by)

    def write(connection: Connection) -> tuple[NewSession, list[SessionEnded]]:
        assert folded is not None
        now = context.clock()
        link = find(connection, secret, now)
        user = users.create(connection, username, folded, password_hash, now, is_admin=True)
        one_time_tokens.use(connection, link, now)
        actor = Actor("user", user.id, visit)
        audit_log.write(connection, now, actor, "sign_up", user.id)
        audit_log.write(connection, now, actor, "admin_made", user.id, by="setup link")
        made = recovery_codes.renew(connection, user.id, secrets.token_bytes)
        begun = sessions.start(connection, user, visit, now, context.config, context.tokens, "cookie")
        begun = dataclasses.replace(begun, codes=made)
        return begun, sessions.end(connection, replacing, now, "ended") if replacing else []

    return (yield from context.end_sessions(write, by))
