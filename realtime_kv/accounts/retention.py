"""Purge of accounts: deleted users, ended sessions, used links, and old audit log entries past their retention.

The core removes the contents of the users' spaces, between `condemn` and `remove`.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from realtime_kv.accounts import audit_log, invitations
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.users import LAST_PURGED
from realtime_kv.clock import DAY
from realtime_kv.storage import meta
from realtime_kv.storage.models import AuditRow, OneTimeLink, User, UserSession

# in `users.deleted_by`: the purge has begun, and the account cannot be restored
CONDEMNED = "purge"
# in `meta`: audit log entries from before this time may be removed, which a trigger enforces
AUDIT_HORIZON = "audit_horizon"
# retention of ended sessions and used links, for their users and superusers to look at
KEPT = 30 * DAY
# rows per step
STEP = 1000


def mark_for_purge(connection: Connection, before: int) -> list[int]:
    """Mark users deleted before that time for the purge, which is final; return their ids."""
    rows = connection.execute(
        update(User).where(User.deleted_at < before).values(deleted_by=CONDEMNED).returning(User.id)
    )
    return sorted(rows.scalars())


def remove(connection: Connection, user_id: int, now: int, actor: Actor) -> None:
    """Remove a user's remaining rows and the audit log about them; their id is never used again."""
    # the foreign keys delete sessions, links, codes and the space
    connection.execute(delete(User).where(User.id == user_id))
    connection.execute(delete(AuditRow).where(AuditRow.user_id == user_id))
    set_meta_max(connection, LAST_PURGED, user_id)
    audit_log.write(connection, now, actor, "account_purged", user_id)


def remove_sessions(connection: Connection, now: int) -> int:
    """Remove some sessions, links and invitations that ended a month ago; return their number, 0 when none are left."""
    before = now - KEPT
    over = select(UserSession.id).where((UserSession.ended_at < before) | (UserSession.expires_at < before))
    used = select(OneTimeLink.id).where((OneTimeLink.used_at < before) | (OneTimeLink.expires_at < before))
    gone = invitations.remove_old(connection, before, STEP)
    gone += connection.execute(delete(UserSession).where(UserSession.id.in_(over.limit(STEP)))).rowcount
    return gone + connection.execute(delete(OneTimeLink).where(OneTimeLink.id.in_(used.limit(STEP)))).rowcount


def remove_audit(connection: Connection, before: int) -> int:
    """Remove some audit log entries from before that time; return their number, 0 when none are left."""
    set_meta_max(connection, AUDIT_HORIZON, before)
    old: Sequence[int] = (
        connection.execute(select(AuditRow.id).where(AuditRow.at < before).order_by(AuditRow.id).limit(STEP))
        .scalars()
        .all()
    )
    if not old:
        return 0
    return connection.execute(delete(AuditRow).where(AuditRow.id.in_(old))).rowcount


def set_meta_max(connection: Connection, name: str, value: int) -> None:
    """Raise a number in `meta` to `value`; it never decreases."""
    known = meta.read(connection, name)
    meta.write(connection, name, str(max(value, int(known or 0))))
