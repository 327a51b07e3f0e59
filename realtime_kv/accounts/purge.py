"""The purge of accounts: users whose deletion is final, sessions and links that are long over, and old audit entries.

What the users' spaces hold is the core's to remove, between `condemn` and `remove`.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from realtime_kv.accounts import audit, invitations
from realtime_kv.accounts.audit import Doer
from realtime_kv.accounts.sessions import DAY
from realtime_kv.accounts.users import LAST_PURGED
from realtime_kv.core.models import AuditRow, Meta, OneTimeLink, User, UserSession

# in `users.deleted_by`: the purge has begun, and nobody can have this account back
CONDEMNED = "purge"
# in `meta`: entries of the audit log from before this may be removed, which a trigger sees to
AUDIT_HORIZON = "audit_horizon"
# how long ended sessions and used links are kept, for their users and for the superuser to look at
KEPT = 30 * DAY
# rows of one step
STEP = 1000


def condemn(connection: Connection, before: int) -> list[int]:
    """The users who were deleted before that time, for whom there is no way back from now on."""
    rows = connection.execute(
        update(User).where(User.deleted_at < before).values(deleted_by=CONDEMNED).returning(User.id)
    )
    return sorted(rows.scalars())


def remove(connection: Connection, user_id: int, now: int, doer: Doer) -> None:
    """Remove the rest of a user, and what the audit log says about them; their id is never used again."""
    # sessions, links, codes and the space go with the row
    connection.execute(delete(User).where(User.id == user_id))
    connection.execute(delete(AuditRow).where(AuditRow.user_id == user_id))
    raise_to(connection, LAST_PURGED, user_id)
    audit.write(connection, now, doer, "account_purged", user_id)


def remove_sessions(connection: Connection, now: int) -> int:
    """Remove some sessions, links and invitations that have been over for a month; how many, none when all are gone."""
    before = now - KEPT
    over = select(UserSession.id).where((UserSession.ended_at < before) | (UserSession.expires_at < before))
    used = select(OneTimeLink.id).where((OneTimeLink.used_at < before) | (OneTimeLink.expires_at < before))
    gone = invitations.remove_old(connection, before, STEP)
    gone += connection.execute(delete(UserSession).where(UserSession.id.in_(over.limit(STEP)))).rowcount
    return gone + connection.execute(delete(OneTimeLink).where(OneTimeLink.id.in_(used.limit(STEP)))).rowcount


def remove_audit(connection: Connection, before: int) -> int:
    """Remove some entries of the audit log from before that time; how many, none when all are gone."""
    raise_to(connection, AUDIT_HORIZON, before)
    old: Sequence[int] = (
        connection.execute(select(AuditRow.id).where(AuditRow.at < before).order_by(AuditRow.id).limit(STEP))
        .scalars()
        .all()
    )
    if not old:
        return 0
    return connection.execute(delete(AuditRow).where(AuditRow.id.in_(old))).rowcount


def raise_to(connection: Connection, name: str, value: int) -> None:
    """A number in `meta` that only ever grows."""
    known = connection.execute(select(Meta.value).where(Meta.name == name)).scalar_one_or_none()
    write_meta(connection, name, str(max(value, int(known or 0))))


def write_meta(connection: Connection, name: str, text: str) -> None:
    """Put `text` into `meta` under this name."""
    statement = insert(Meta).values(name=name, value=text)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": text}))


def read_meta(connection: Connection, name: str) -> str | None:
    """What stands in `meta` under this name."""
    return connection.execute(select(Meta.value).where(Meta.name == name)).scalar_one_or_none()
