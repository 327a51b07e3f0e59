"""What a superuser looks at: the people, the keys of one of them, a value where it has to be, and the audit log.

Whoever calls this has been let in as a superuser. Looking at somebody's keys or values is in that user's own log too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, select

from realtime_kv.accounts import audit, census, events, users
from realtime_kv.accounts.audit import Doer
from realtime_kv.accounts.census import Entries, Revealed, SessionShown, Sort, Users, UserShown, Who
from realtime_kv.accounts.context import Context, member
from realtime_kv.accounts.events import EVERYTHING, Events, Filters
from realtime_kv.accounts.steps import Steps
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.core.caller import Caller
from realtime_kv.core.errors import Forbidden
from realtime_kv.core.models import User
from realtime_kv.core.runtime import Future

T = TypeVar("T")

PAGE = 50
ENTRIES_PAGE = 100
EVENTS_PAGE = 100
HOUR = 60 * 60 * 1000


class Oversight:
    """A user is named by id or by name; NotFound says that there is no such user."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def users(
        self, *, search: str = "", sort: Sort = "username", page: int = 1, tabs: Mapping[int, int] | None = None
    ) -> Future[Users]:
        """A page of users whose names contain `search`; `tabs` says how many tabs each has open."""
        now = self._context.clock()
        return self._read(
            lambda db: census.users(db, now, search=search, sort=sort, page=page, size=PAGE, tabs=tabs or {})
        )

    def user(self, who: Who, tabs: Mapping[int, int] | None = None) -> Future[UserShown]:
        """One user."""
        now = self._context.clock()
        return self._read(lambda db: census.user(db, now, who, tabs))

    def sessions(self, who: Who) -> Future[list[SessionShown]]:
        """What the user is signed in with, and their API tokens."""
        now = self._context.clock()
        return self._context.read(lambda db: census.sessions(db, now, census.find(db, who)), kind="sessions")

    def entries(
        self, doer: Doer, who: Who, *, prefix: str = "", after: str | None = None, limit: int = ENTRIES_PAGE
    ) -> Future[Entries]:
        """The user's keys, those in the trash too. That somebody looks is noted once an hour."""
        return self._context.walk(self._entries(doer, who, prefix, after, limit))

    def reveal(self, doer: Doer, who: Who, key: str) -> Future[Revealed]:
        """One value of somebody else's; they see in their own log that it was looked at. Fails with NotFound."""

        def write(connection: Connection) -> Revealed:
            user_id = census.find(connection, who)
            revealed = census.value(connection, user_id, key)
            audit.write(connection, self._context.clock(), doer, "value_revealed", user_id, key=key)
            return revealed

        return self._write(doer, write)

    def events(
        self, filters: Filters = EVERYTHING, *, before: int | None = None, limit: int = EVENTS_PAGE
    ) -> Future[Events]:
        """The audit log of the whole house, newest first."""
        return self._context.read(lambda db: events.page(db, filters, before=before, limit=limit), kind="audit")

    def note_export(self, doer: Doer) -> Future[None]:
        """The audit log is about to leave the house as a file."""
        now = self._context.clock()
        return self._write(doer, lambda db: audit.write(db, now, doer, "audit_exported"))

    def names(self, ids: Sequence[int]) -> Future[dict[int, str]]:
        """The user names of these accounts, as far as they are there."""
        wanted = select(User.id, User.username).where(User.id.in_(ids))
        return self._context.read(lambda db: {row[0]: row[1] for row in db.execute(wanted)}, kind="names")

    def two_step(self, caller: Caller) -> Future[bool]:
        """Whether the caller signs in with two steps."""
        of_caller = select(User.totp_confirmed_at).where(User.id == caller.user_id)
        return self._context.look_up(lambda db: db.execute(of_caller).scalar_one_or_none() is not None, member(caller))

    def _write(self, doer: Doer, fn: Callable[[Connection], T]) -> Future[T]:
        """`fn` in a transaction, unless the doer has ceased to be a superuser. Fails with Forbidden."""

        return self._context.write(self._if_able(doer, fn), Client(doer.id))

    @staticmethod
    def _if_able(doer: Doer, fn: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def write(connection: Connection) -> T:
            # between the door and here, somebody may have seen to it that they are none any more
            if doer.actor == "admin" and not users.is_superuser(connection, doer.id):
                raise Forbidden("Only superusers can do that.", needs="admin")
            return fn(connection)

        return write

    def _read(self, fn: Callable[[Connection], T]) -> Future[T]:
        """Read with all tables up to date."""

        def steps() -> Steps[T]:
            yield self._context.flush()
            answer: T = yield self._context.read(fn, kind="users")
            return answer

        return self._context.walk(steps())

    def _entries(self, doer: Doer, who: Who, prefix: str, after: str | None, limit: int) -> Steps[Entries]:
        context, now = self._context, self._context.clock()
        user_id = yield context.read(lambda db: census.find(db, who))
        if not (yield context.read(lambda db: events.was_noted(db, "entries_viewed", doer, user_id, now - HOUR, now))):
            yield self._write(doer, lambda db: audit.write(db, now, doer, "entries_viewed", user_id))
        yield context.flush(user_id)
        found: Entries = yield context.read(
            lambda db: census.entries(db, user_id, prefix=prefix, after=after, limit=limit)
        )
        return found
