"""Queries of superusers: users, the keys of a user, a single value, and the audit log.

Callers have checked that a superuser is calling. Access to a user's keys or values is logged in that user's own log.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, select

from realtime_kv.accounts import audit_log, users
from realtime_kv.accounts.admin import audit_queries, user_queries
from realtime_kv.accounts.admin.audit_queries import EVERYTHING, Events, Filters
from realtime_kv.accounts.admin.user_queries import AdminSessionView, AdminUserView, Entries, Revealed, Sort, Users, Who
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context, member
from realtime_kv.caller import Caller
from realtime_kv.clock import HOUR
from realtime_kv.concurrency.coroutines import Steps
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import Forbidden
from realtime_kv.storage.models import User

T = TypeVar("T")

PAGE = 50
ENTRIES_PAGE = 100
EVENTS_PAGE = 100


class AdminQueries:
    """Queries on users, named by id or by user name. They fail with NotFound if there is no such user."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def users(
        self, *, search: str = "", sort: Sort = "username", page: int = 1, tabs: Mapping[int, int] | None = None
    ) -> Future[Users]:
        """Return a page of users whose names contain `search`; `tabs` says how many tabs each has open."""
        now = self._context.clock()
        return self._read(
            lambda db: user_queries.users(db, now, search=search, sort=sort, page=page, size=PAGE, tabs=tabs or {})
        )

    def user(self, who: Who, tabs: Mapping[int, int] | None = None) -> Future[AdminUserView]:
        """Return one user."""
        now = self._context.clock()
        return self._read(lambda db: user_queries.user(db, now, who, tabs))

    def sessions(self, who: Who) -> Future[list[AdminSessionView]]:
        """Return the user's active sessions and API tokens."""
        now = self._context.clock()
        return self._context.read(
            lambda db: user_queries.sessions(db, now, user_queries.find(db, who)), kind="sessions"
        )

    def entries(
        self, actor: Actor, who: Who, *, prefix: str = "", after: str | None = None, limit: int = ENTRIES_PAGE
    ) -> Future[Entries]:
        """Return the user's keys, including the trash. The access is logged once an hour."""
        return self._context.run_flow(self._entries(actor, who, prefix, after, limit))

    def reveal(self, actor: Actor, who: Who, key: str) -> Future[Revealed]:
        """Return one value of another user, and log that in their own log. Fails with NotFound."""

        def write(connection: Connection) -> Revealed:
            user_id = user_queries.find(connection, who)
            revealed = user_queries.value(connection, user_id, key)
            audit_log.write(connection, self._context.clock(), actor, "value_revealed", user_id, key=key)
            return revealed

        return self._write(actor, write)

    def events(
        self, filters: Filters = EVERYTHING, *, before: int | None = None, limit: int = EVENTS_PAGE
    ) -> Future[Events]:
        """Return the audit log of the whole server, newest first."""
        return self._context.read(lambda db: audit_queries.page(db, filters, before=before, limit=limit), kind="audit")

    def note_export(self, actor: Actor) -> Future[None]:
        """Record that the audit log is about to be exported as a file."""
        now = self._context.clock()
        return self._write(actor, lambda db: audit_log.write(db, now, actor, "audit_exported"))

    def names(self, ids: Sequence[int]) -> Future[dict[int, str]]:
        """Return the user names of these accounts, as far as they exist."""
        wanted = select(User.id, User.username).where(User.id.in_(ids))
        return self._context.read(lambda db: {row[0]: row[1] for row in db.execute(wanted)}, kind="names")

    def two_step(self, caller: Caller) -> Future[bool]:
        """Return whether the caller signs in with two steps."""
        of_caller = select(User.totp_confirmed_at).where(User.id == caller.user_id)
        return self._context.look_up(lambda db: db.execute(of_caller).scalar_one_or_none() is not None, member(caller))

    def _write(self, actor: Actor, fn: Callable[[Connection], T]) -> Future[T]:
        """Run `fn` in a transaction. Fails with Forbidden if the actor is no superuser any more."""

        return self._context.write(self._if_able(actor, fn), Client(actor.id))

    @staticmethod
    def _if_able(actor: Actor, fn: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def write(connection: Connection) -> T:
            # the right may have been withdrawn after the request was authenticated
            if actor.kind == "admin" and not users.is_superuser(connection, actor.id):
                raise Forbidden("Only superusers can do that.", needs="admin")
            return fn(connection)

        return write

    def _read(self, fn: Callable[[Connection], T]) -> Future[T]:
        """Read with all tables up to date."""

        def steps() -> Steps[T]:
            yield self._context.flush()
            answer: T = yield self._context.read(fn, kind="users")
            return answer

        return self._context.run_flow(steps())

    def _entries(self, actor: Actor, who: Who, prefix: str, after: str | None, limit: int) -> Steps[Entries]:
        context, now = self._context, self._context.clock()
        user_id = yield context.read(lambda db: user_queries.find(db, who))
        if not (
            yield context.read(
                lambda db: audit_queries.was_noted(db, "entries_viewed", actor, user_id, now - HOUR, now)
            )
        ):
            yield self._write(actor, lambda db: audit_log.write(db, now, actor, "entries_viewed", user_id))
        yield context.flush(user_id)
        found: Entries = yield context.read(
            lambda db: user_queries.entries(db, user_id, prefix=prefix, after=after, limit=limit)
        )
        return found
