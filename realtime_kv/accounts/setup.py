"""Setup of the first superuser, which only the link printed at the first start allows."""

import dataclasses
import secrets

from sqlalchemy import Connection, select

from realtime_kv.accounts import audit, codes, links, names, passwords, sessions, users
from realtime_kv.accounts.audit import Doer
from realtime_kv.accounts.context import Context, stranger
from realtime_kv.accounts.links import Link
from realtime_kv.accounts.sessions import Ended, SignedIn
from realtime_kv.accounts.steps import Steps
from realtime_kv.accounts.visit import Visit
from realtime_kv.core.errors import LinkExpired
from realtime_kv.core.models import User


def has_superuser(connection: Connection) -> bool:
    """Return whether there is a superuser, even a disabled or deleted one."""
    return connection.execute(select(User.id).where(User.is_admin).limit(1)).first() is not None


def find(connection: Connection, secret: str, now: int) -> Link:
    """Return the link, if it can still make the first superuser. Raises LinkExpired."""
    link = links.find(connection, secret, now, "setup")
    if has_superuser(connection):
        raise LinkExpired()
    return link


def use(
    context: Context, secret: str, username: str, password: str, visit: Visit, replacing: str | None
) -> Steps[SignedIn]:
    """Make the first superuser and sign them in; the link is used up."""
    username = names.check(username)
    folded = names.folded(username)
    passwords.check(password)
    # without a link, no password is hashed
    by = stranger(visit)
    yield context.look_up(lambda db: find(db, secret, context.clock()).id, by)
    password_hash = yield context.hash(password, username, by)

    def write(connection: Connection) -> tuple[SignedIn, list[Ended]]:
        assert folded is not None
        now = context.clock()
        link = find(connection, secret, now)
        user = users.create(connection, username, folded, password_hash, now, is_admin=True)
        links.use(connection, link, now)
        doer = Doer("user", user.id, visit)
        audit.write(connection, now, doer, "sign_up", user.id)
        audit.write(connection, now, doer, "admin_made", user.id, by="setup link")
        made = codes.renew(connection, user.id, secrets.token_bytes)
        begun = sessions.start(connection, user, visit, now, context.config, context.tokens, "cookie")
        begun = dataclasses.replace(begun, codes=made)
        return begun, sessions.end(connection, replacing, now, "ended") if replacing else []

    return (yield from context.end(write, by))
