"""Audit log queries: filtered, newest first, in pages that do not shift while the log grows."""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from realtime_kv.accounts import usernames
from realtime_kv.accounts.audit_log import ACTIONS, Actor
from realtime_kv.clock import TOLERANCE
from realtime_kv.storage.models import AuditRow, User

ACTORS = ("user", "admin", "nobody", "cli", "system")


@dataclass(frozen=True)
class Filters:
    """Filters of a query; empty ones match everything. `user` and `actor` are names or ids.

    `actor` may also be a kind of actor (`cli`). Times in milliseconds: from `since` on, before `until`.
    """

    user: str = ""
    actor: str = ""
    action: str = ""
    since: int | None = None
    until: int | None = None


EVERYTHING = Filters()


@dataclass(frozen=True)
class Event:
    """One entry of the log. Names are current ones, None for nobody and for purged users."""

    id: int
    at: int
    actor: str
    actor_id: int | None
    actor_name: str | None
    user_id: int | None
    username: str | None
    action: str
    ok: bool
    address: str
    label: str
    detail: dict[str, Any]

    @property
    def title(self) -> str:
        """The action, for people."""
        return ACTIONS.get(self.action, self.action)


@dataclass(frozen=True)
class Events:
    """One page, newest first; `next` is the id to continue before, None on the last page."""

    events: list[Event]
    next: int | None


def page(connection: Connection, filters: Filters, *, before: int | None, limit: int) -> Events:
    """Return up to `limit` entries older than the one with the id `before`."""
    actor, concerned = aliased(User), aliased(User)
    statement = (
        select(
            AuditRow.id,
            AuditRow.at,
            AuditRow.actor,
            AuditRow.actor_id,
            actor.username,
            AuditRow.user_id,
            concerned.username,
            AuditRow.action,
            AuditRow.ok,
            AuditRow.address,
            AuditRow.label,
            AuditRow.detail,
        )
        .outerjoin(actor, actor.id == AuditRow.actor_id)
        .outerjoin(concerned, concerned.id == AuditRow.user_id)
        .order_by(AuditRow.id.desc())
        .limit(limit + 1)
    )
    if before is not None:
        statement = statement.where(AuditRow.id < before)
    if filters.user:
        statement = statement.where(AuditRow.user_id == _id(connection, filters.user))
    if filters.actor in ACTORS:
        statement = statement.where(AuditRow.actor == filters.actor)
    elif filters.actor:
        statement = statement.where(AuditRow.actor_id == _id(connection, filters.actor))
    if filters.action:
        statement = statement.where(AuditRow.action == filters.action)
    if filters.since is not None:
        statement = statement.where(AuditRow.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(AuditRow.at < filters.until)
    events = [_event(row) for row in connection.execute(statement)]
    return Events(events[:limit], events[limit - 1].id if len(events) > limit else None)


def was_noted(connection: Connection, action: str, actor: Actor, user_id: int, since: int, now: int) -> bool:
    """Return whether the log has this action of the actor on the account after `since`; future entries do not count."""
    noted = select(AuditRow.id).where(
        AuditRow.user_id == user_id,
        AuditRow.action == action,
        AuditRow.actor == actor.kind,
        AuditRow.actor_id == actor.id,
        AuditRow.at > since,
        AuditRow.at <= now + TOLERANCE,
    )
    return connection.execute(noted.limit(1)).first() is not None


def _id(connection: Connection, who: str) -> int:
    """Return the id that a filter means, -1 for nobody. Names are looked up first, as a name may consist of digits."""
    folded = usernames.folded(who)
    found = connection.execute(select(User.id).where(User.folded == folded)).scalar_one_or_none() if folded else None
    if found is not None:
        return found
    # purged users keep their id in the log
    return int(who) if who.isascii() and who.isdecimal() and len(who) <= 18 else -1


def _event(row: Any) -> Event:
    *known, detail = row
    return Event(*(*known, msgspec.json.decode(detail) if detail else {}))
