"""Audit log: actions on accounts and on the server, with actor and address. Append-only.

Invariants:
1. An entry is written in the transaction of the action it records, so neither exists without the other.
2. It holds ids and no names, and never a password, a token, a code or a value.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, func, insert, select

from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage import meta
from realtime_kv.storage.models import AuditRow, Meta, User

ActorKind = Literal["user", "admin", "nobody", "cli", "system"]

# all actions in the log, so that pages can name them and filters offer them
ACTIONS = {
    "sign_up": "Signed up",
    "sign_in": "Signed in",
    "sign_in_failed": "Sign-in failed",
    "second_step_failed": "Second step failed",
    "second_step_blocked": "Too many wrong codes: only a recovery code signs in",
    "second_step_reset": "Count of wrong codes reset",
    "sign_out": "Signed out",
    "session_ended": "Session ended",
    "sessions_ended": "Other sessions ended",
    "password_changed": "Password changed",
    "password_refused": "Wrong password entered",
    "recovery_failed": "Recovery failed",
    "recovered": "Password set by recovery",
    "recovery_codes_renewed": "Recovery codes renewed",
    "recovery_mail_sent": "Recovery email sent",
    "recovery_link_made": "Recovery link created",
    "email_changed": "Email address changed",
    "two_step_on": "Two-step sign-in switched on",
    "two_step_off": "Two-step sign-in switched off",
    "token_created": "API token created",
    "token_revoked": "API token revoked",
    "account_deleted": "Account deleted",
    "account_restored": "Account restored",
    "account_purged": "Account purged",
    "invitation_created": "Invitation created",
    "invitation_revoked": "Invitation revoked",
    "user_created": "User created",
    "user_disabled": "User disabled",
    "user_enabled": "User enabled",
    "admin_made": "Superuser rights granted",
    "admin_unmade": "Superuser rights revoked",
    "temporary_password": "Temporary password set",
    "quota_changed": "Quota changed",
    "entries_viewed": "Entries listed by a superuser",
    "value_revealed": "Value revealed to a superuser",
    "audit_exported": "Audit log exported",
    "purged": "Purge run",
    "backup_made": "Backup created",
    "backup_downloaded": "Backup downloaded",
    "restored": "Backup restored",
    "time_confirmed": "System time confirmed",
}


@dataclass(frozen=True)
class AuditEntry:
    """An entry as its user sees it; `at` in milliseconds, `title` for people."""

    id: int
    at: int
    action: str
    title: str
    actor: ActorKind
    ok: bool
    address: str
    label: str
    detail: dict[str, Any]


# in `meta`: ids of the entries that every user sees
FOR_ALL = "audit_for_all"
MAX_FOR_ALL = 100


@dataclass(frozen=True)
class Actor:
    """The actor of an action, and its client; `id` is None for nobody, the command line and the server itself."""

    kind: ActorKind
    id: int | None
    visit: ClientInfo


SYSTEM = Actor("system", None, ClientInfo("The server itself"))
CLI = Actor("cli", None, ClientInfo())


def write(
    connection: Connection,
    now: int,
    actor: Actor,
    action: str,
    user_id: int | None = None,
    *,
    ok: bool = True,
    **detail: Any,
) -> None:
    """Append one entry about the account `user_id` (None: about the server)."""
    assert action in ACTIONS, action
    connection.execute(
        insert(AuditRow).values(
            at=now,
            user_id=user_id,
            actor_id=actor.id,
            actor=actor.kind,
            action=action,
            ok=ok,
            address=actor.visit.address,
            label=actor.visit.label,
            detail=msgspec.json.encode(detail).decode() if detail else None,
        )
    )


def write_for_all(connection: Connection, now: int, actor: Actor, action: str, **detail: Any) -> None:
    """Append one entry about the server that every user sees among their own."""
    write(connection, now, actor, action, None, **detail)
    written = connection.execute(select(func.max(AuditRow.id))).scalar_one()
    # Searching the entries without an account for them would take as long as strangers can make it.
    known = [*_for_all(connection), written][-MAX_FOR_ALL:]
    text = msgspec.json.encode(known).decode()
    meta.write(connection, FOR_ALL, text)


def of_user(connection: Connection, user_id: int, before: int | None, limit: int) -> list[AuditEntry]:
    """Return entries about this user or for all users, with ids below `before`, newest first."""
    joined = select(User.created_at).where(User.id == user_id).scalar_subquery()
    for_all = AuditRow.id.in_(_for_all(connection)) & (AuditRow.at >= joined)
    which: list[ColumnElement[bool]] = [(AuditRow.user_id == user_id) | for_all]
    if before is not None:
        which.append(AuditRow.id < before)
    rows = connection.execute(select(AuditRow.__table__).where(*which).order_by(AuditRow.id.desc()).limit(limit))
    return [
        AuditEntry(
            row.id,
            row.at,
            row.action,
            ACTIONS.get(row.action, row.action),
            row.actor,
            row.ok,
            # users learn that a superuser acted, not from which address
            "" if row.actor == "admin" else row.address,
            row.label,
            msgspec.json.decode(row.detail) if row.detail else {},
        )
        for row in rows
    ]


def _for_all(connection: Connection) -> list[int]:
    known = connection.execute(select(Meta.value).where(Meta.name == FOR_ALL)).scalar_one_or_none()
    return msgspec.json.decode(known, type=list[int]) if known else []
