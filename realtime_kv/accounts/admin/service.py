"""Commands of superusers and of the command line: create, disable, delete and help users.

Invariants:
1. Callers have checked that a superuser is calling.
2. Every command acts in the name of `actor`, and writes its audit log entry in the same transaction.
3. No command leaves the server without a superuser who can sign in.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, select, update

from realtime_kv.accounts import audit_log, usernames, users
from realtime_kv.accounts.admin import first_superuser, user_queries
from realtime_kv.accounts.admin.queries import AdminQueries
from realtime_kv.accounts.admin.user_queries import Who
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.credentials import code_budget, one_time_tokens, passwords, sessions, totp
from realtime_kv.accounts.credentials.one_time_tokens import IssuedToken
from realtime_kv.accounts.credentials.sessions import NewSession, Reason, SessionEnded
from realtime_kv.accounts.reauthentication import confirm
from realtime_kv.accounts.users import UserIdentity
from realtime_kv.caller import Caller
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.fair_pool import SYSTEM, Client
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import BadRequest, Forbidden
from realtime_kv.request.client_info import NOWHERE, ClientInfo
from realtime_kv.storage.models import User

T = TypeVar("T")

MAX_QUOTA = 10**15


@dataclass(frozen=True)
class Created:
    """A new user, with a temporary password, a link to choose a password, or neither."""

    user: UserIdentity
    password: str | None = None
    link: IssuedToken | None = None


class AdminService(AdminQueries):
    """Commands on users, named by id or by user name. They fail with NotFound if there is no such user."""

    def confirm(self, caller: Caller, password: str, visit: ClientInfo = NOWHERE) -> Future[None]:
        """Check the caller's password again. Fails with InvalidCredentials or RateLimited."""

        def steps() -> Steps[None]:
            yield from confirm(self._context, caller, password, visit)

        return self._context.run_flow(steps())

    def create_user(
        self, actor: Actor, username: str, *, password: str | None = None, is_admin: bool = False, link: bool = False
    ) -> Future[Created]:
        """Create a user with this password, with a temporary one, or with a link to choose one.

        Fails with InvalidName, InvalidPassword or NameTaken.
        """
        return self._context.run_flow(self._create_user(actor, username, password, is_admin, link))

    def make_admin(self, actor: Actor, who: Who) -> Future[None]:
        """Make the user a superuser from the next sign-in on: existing sessions end, so that none gains rights."""
        return self._context.run_flow(self._set_admin(actor, who, True))

    def unmake_admin(self, actor: Actor, who: Who) -> Future[None]:
        """Make a superuser an ordinary user. Fails with Forbidden for the last superuser."""
        return self._context.run_flow(self._set_admin(actor, who, False))

    def disable(self, actor: Actor, who: Who) -> Future[None]:
        """Disable the user, and end their sessions and tokens. Fails with Forbidden for the last superuser."""
        return self._context.run_flow(self._disable(actor, who))

    def enable(self, actor: Actor, who: Who) -> Future[None]:
        """Let the user sign in again; ended sessions and tokens stay ended."""
        return self._undo(actor, who, "user_enabled", User.disabled_at.is_not(None), disabled_at=None)

    def delete(self, actor: Actor, who: Who) -> Future[None]:
        """Delete the user softly: restorable until the purge. Fails with Forbidden for the last superuser."""
        return self._context.run_flow(self._delete(actor, who))

    def restore(self, actor: Actor, who: Who) -> Future[None]:
        """Restore a deleted account, whether its user or a superuser deleted it; not once its purge has begun."""
        return self._undo(
            actor, who, "account_restored", User.deleted_by.in_(("self", "admin")), deleted_at=None, deleted_by=None
        )

    def recovery_link(self, actor: Actor, who: Who) -> Future[IssuedToken]:
        """Return a link to choose a new password, good once and for 30 minutes; sessions end when it is used.

        Fails with Forbidden for an account that is disabled or deleted.
        """

        def write(connection: Connection) -> IssuedToken:
            user_id = _open_account(connection, who)
            now = self._context.clock()
            audit_log.write(connection, now, actor, "recovery_link_made", user_id)
            return one_time_tokens.make(connection, "recovery", user_id, now, self._context.tokens)

        return self._write(actor, write)

    def temporary_password(self, actor: Actor, who: Who) -> Future[str]:
        """Set and return a temporary password, good only for choosing another; all sessions end.

        Fails with Forbidden for an account that is disabled or deleted.
        """
        return self._context.run_flow(self._temporary_password(actor, who))

    def end_two_step(self, actor: Actor, who: Who) -> Future[None]:
        """Switch off the second step, for a user who has lost both the authenticator and the recovery codes."""

        def write(connection: Connection) -> None:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            if _change(connection, user_id, User.totp_confirmed_at.is_not(None), totp_confirmed_at=None):
                totp.forget(connection, user_id)
                code_budget.reset(connection, user_id)
                audit_log.write(connection, now, actor, "two_step_off", user_id)

        return self._write(actor, write)

    def end_sessions(self, actor: Actor, who: Who, *, tokens: bool = False) -> Future[int]:
        """End all sessions of the user, with `tokens` the API tokens too; return their number."""
        return self._context.run_flow(self._end_sessions(actor, who, tokens))

    def set_quota(self, actor: Actor, who: Who, keys: int | None, size: int | None) -> Future[None]:
        """Set how many keys and bytes this user may keep; None means the server's default. Raises BadRequest."""
        if not all(limit is None or 0 <= limit <= MAX_QUOTA for limit in (keys, size)):
            raise BadRequest(f"A quota is a whole number from 0 to {MAX_QUOTA}.", field="quota")

        def write(connection: Connection) -> None:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            _change(connection, user_id, quota_keys=keys, quota_bytes=size)
            audit_log.write(connection, now, actor, "quota_changed", user_id, keys=keys, bytes=size)

        return self._write(actor, write)

    def note_download(self, actor: Actor, size: int) -> Future[None]:
        """Record that a backup, which holds every user's data, is about to be downloaded; every user sees the entry."""
        now = self._context.clock()
        return self._write(actor, lambda db: audit_log.write_for_all(db, now, actor, "backup_downloaded", bytes=size))

    # the first superuser

    def has_superuser(self) -> Future[bool]:
        """Return whether there is a superuser, even a disabled one."""
        return self._context.look_up(first_superuser.has_superuser, SYSTEM)

    def setup_link(self) -> Future[IssuedToken]:
        """Return a link that makes the first superuser, good once and for a day; older ones become invalid."""
        return self._context.write_shared(
            lambda db: one_time_tokens.make(db, "setup", None, self._context.clock(), self._context.tokens)
        )

    def check_setup(self, secret: str) -> Future[None]:
        """Fail with LinkExpired for a link that makes no superuser any more."""

        def read(connection: Connection) -> None:
            first_superuser.find(connection, secret, self._context.clock())

        return self._context.look_up(read, SYSTEM)

    def use_setup(
        self, secret: str, username: str, password: str, visit: ClientInfo, *, replacing: str | None = None
    ) -> Future[NewSession]:
        """Create the first superuser and sign them in; the link is used up.

        Fails with LinkExpired, InvalidName, InvalidPassword or NameTaken.
        """
        return self._context.run_flow(first_superuser.use(self._context, secret, username, password, visit, replacing))

    # implementation

    def _end(self, actor: Actor, fn: Callable[[Connection], tuple[T, list[SessionEnded]]]) -> Steps[T]:
        """Like `_write`, for transactions that also end sessions."""
        return (yield from self._context.end_sessions(self._if_able(actor, fn), Client(actor.id)))

    def _undo(
        self, actor: Actor, who: Who, action: str, condition: ColumnElement[bool], **values: None
    ) -> Future[None]:
        def write(connection: Connection) -> None:
            user_id = user_queries.find(connection, who)
            if _change(connection, user_id, condition, **values):
                audit_log.write(connection, self._context.clock(), actor, action, user_id)

        return self._write(actor, write)

    def _create_user(
        self, actor: Actor, username: str, password: str | None, is_admin: bool, link: bool
    ) -> Steps[Created]:
        context, temporary = self._context, None
        username = usernames.check(username)
        folded = usernames.folded(username)
        if password is not None:
            passwords.check(password)
            password_hash = yield context.hash(password, username, Client(actor.id))
        else:
            temporary = _new_password()
            password_hash = yield context.rehash(temporary, Client(actor.id))

        def write(connection: Connection) -> Created:
            assert folded is not None
            now = context.clock()
            user = users.create(connection, username, folded, password_hash, now, is_admin=is_admin)
            audit_log.write(connection, now, actor, "user_created", user.id)
            if is_admin:
                audit_log.write(connection, now, actor, "admin_made", user.id)
            if link:
                audit_log.write(connection, now, actor, "recovery_link_made", user.id)
                return Created(user, link=one_time_tokens.make(connection, "recovery", user.id, now, context.tokens))
            if temporary is not None:
                users.set_password(connection, user.id, password_hash, now, temporary=True)
            return Created(user, temporary)

        created: Created = yield self._write(actor, write)
        return created

    def _set_admin(self, actor: Actor, who: Who, is_admin: bool) -> Steps[None]:
        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            if not is_admin:
                _keep_one(connection, user_id)
            if not _change(connection, user_id, User.is_admin.is_not(is_admin), is_admin=is_admin):
                return None, []
            audit_log.write(connection, now, actor, "admin_made" if is_admin else "admin_unmade", user_id)
            return None, sessions.end_sessions(connection, user_id, now, "ended")

        return (yield from self._end(actor, write))

    def _disable(self, actor: Actor, who: Who) -> Steps[None]:
        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            _keep_one(connection, user_id)
            if not _change(connection, user_id, User.disabled_at.is_(None), disabled_at=now):
                return None, []
            audit_log.write(connection, now, actor, "user_disabled", user_id)
            return None, self._end_everything(connection, user_id, now, "disabled")

        return (yield from self._end(actor, write))

    def _delete(self, actor: Actor, who: Who) -> Steps[None]:
        def write(connection: Connection) -> tuple[None, list[SessionEnded]]:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            _keep_one(connection, user_id)
            # users who deleted their own account could still sign in again
            ours = User.deleted_at.is_(None) | (User.deleted_by == "self")
            if not _change(connection, user_id, ours, deleted_at=now, deleted_by="admin"):
                return None, []
            audit_log.write(connection, now, actor, "account_deleted", user_id)
            return None, self._end_everything(connection, user_id, now, "deleted")

        return (yield from self._end(actor, write))

    @staticmethod
    def _end_everything(connection: Connection, user_id: int, now: int, reason: Reason) -> list[SessionEnded]:
        one_time_tokens.cancel(connection, user_id, now)
        return sessions.end_sessions(connection, user_id, now, reason, tokens=True)

    def _temporary_password(self, actor: Actor, who: Who) -> Steps[str]:
        context, temporary = self._context, _new_password()
        password_hash = yield context.rehash(temporary, Client(actor.id))

        def write(connection: Connection) -> tuple[str, list[SessionEnded]]:
            now, user_id = context.clock(), _open_account(connection, who)
            users.set_password(connection, user_id, password_hash, now, temporary=True)
            one_time_tokens.cancel(connection, user_id, now)
            audit_log.write(connection, now, actor, "temporary_password", user_id)
            return temporary, sessions.end_sessions(connection, user_id, now, "password_changed")

        return (yield from self._end(actor, write))

    def _end_sessions(self, actor: Actor, who: Who, tokens: bool) -> Steps[int]:
        def write(connection: Connection) -> tuple[int, list[SessionEnded]]:
            now, user_id = self._context.clock(), user_queries.find(connection, who)
            ended = sessions.end_sessions(connection, user_id, now, "ended", tokens=tokens)
            audit_log.write(connection, now, actor, "sessions_ended", user_id, count=len(ended))
            return len(ended), ended

        return (yield from self._end(actor, write))


def _change(connection: Connection, user_id: int, *condition: ColumnElement[bool], **values: Any) -> bool:
    """Update the user if `condition` holds; return whether it did."""
    return connection.execute(update(User).where(User.id == user_id, *condition).values(**values)).rowcount == 1


def _keep_one(connection: Connection, user_id: int) -> None:
    """Raise Forbidden if this is the last superuser: nobody would be left to undo the command."""
    if users.only_superuser(connection, user_id):
        raise Forbidden("This is the only superuser. Make somebody else one first.", needs="another_superuser")


def _open_account(connection: Connection, who: Who) -> int:
    """Return the id of a user who may sign in. Raise Forbidden for others: a new password would not help them."""
    user_id = user_queries.find(connection, who)
    shut = select(User.disabled_at, User.deleted_at).where(User.id == user_id)
    disabled_at, deleted_at = connection.execute(shut).one()
    if deleted_at is not None:
        raise Forbidden("This account is deleted. Restore it first.", needs="restored")
    if disabled_at is not None:
        raise Forbidden("This account is disabled. Enable it first.", needs="enabled")
    return user_id


def _new_password() -> str:
    """Return 100 random bits as text that is easy to read out and type."""
    text = base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]
    return "-".join(text[at : at + 5] for at in range(0, len(text), 5))
