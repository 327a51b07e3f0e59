"""Invitations: one-time permissions to sign up on a server with `RKV_SIGNUPS=invite`.

Invariants:
1. An invitation is good for one account; it is used up in the transaction that creates the account.
2. Its secret is 256 random bits, shown once; only the SHA-256 is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, or_, select, update

from realtime_kv.accounts import audit_log
from realtime_kv.accounts.audit_log import Actor
from realtime_kv.accounts.context import Context
from realtime_kv.accounts.credentials.sessions import token_hash
from realtime_kv.clock import DAY
from realtime_kv.concurrency.runtime import Future
from realtime_kv.errors import BadRequest, Forbidden, LinkExpired, NotFound
from realtime_kv.storage.models import Invitation, User

MAX_NOTE = 200
MAX_DAYS = 365
DEFAULT_DAYS = 7
MAX_SHOWN = 200

Status = Literal["open", "used", "revoked", "expired"]

_EXPIRED = "This invitation has expired, was revoked or was already used. Ask for a new one."


@dataclass(frozen=True)
class NewInvitation:
    """An invitation and its secret, which is known only now; `expires_at` in milliseconds."""

    id: int
    secret: str
    note: str
    expires_at: int


@dataclass(frozen=True)
class InvitationView:
    """An invitation as superusers see it; times in milliseconds. `used_by` is a user name, None for a purged user."""

    id: int
    note: str
    status: Status
    created_at: int
    expires_at: int
    used_at: int | None
    used_by: str | None
    used_by_id: int | None


# a method of `Invitations` shadows the name `list`
ManyShown = list[InvitationView]


class Invitations:
    """Commands of superusers and the command line on invitations."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, actor: Actor, note: str = "", days: int = DEFAULT_DAYS) -> Future[NewInvitation]:
        """Create an invitation that is valid for `days`. Raises BadRequest at once."""
        note = note.strip()
        if len(note) > MAX_NOTE or not note.isprintable():
            raise BadRequest(f"A note has at most {MAX_NOTE} characters, all on one line.", field="note")
        if not 1 <= days <= MAX_DAYS:
            raise BadRequest(f"An invitation is good for 1 to {MAX_DAYS} days.", field="days")
        context = self._context

        def write(connection: Connection) -> NewInvitation:
            now, secret = context.clock(), context.tokens(32)
            expires_at = now + days * DAY
            row = {"token_hash": token_hash(secret), "note": note, "created_at": now, "created_by": actor.id}
            made = insert(Invitation).values(**row, expires_at=expires_at).returning(Invitation.id)
            id = connection.execute(made).scalar_one()
            audit_log.write(connection, now, actor, "invitation_created", invitation=id)
            return NewInvitation(id, secret, note, expires_at)

        return context.write_shared(write)

    def list(self) -> Future[ManyShown]:
        """Return the newest invitations first, at most `MAX_SHOWN`."""
        now = self._context.clock()
        return self._context.read(lambda connection: _shown(connection, now))

    def revoke(self, actor: Actor, id: int) -> Future[None]:
        """Revoke an open invitation. Fails with NotFound."""
        context = self._context

        def write(connection: Connection) -> None:
            now = context.clock()
            is_open = (Invitation.id == id) & Invitation.used_at.is_(None) & Invitation.revoked_at.is_(None)
            if connection.execute(update(Invitation).where(is_open).values(revoked_at=now)).rowcount != 1:
                raise NotFound("There is no such open invitation.")
            audit_log.write(connection, now, actor, "invitation_revoked", invitation=id)

        return context.write_shared(write)


def require(context: Context, secret: str | None) -> Callable[[Connection], int] | None:
    """Return a function that finds the invitation that a sign-up needs; None if it needs none.

    Raises Forbidden if nobody may sign up, or if an invitation is needed and none was sent.
    """
    signups = context.config.signups
    if signups == "on":
        return None
    if signups == "off":
        raise Forbidden("Nobody can sign up on this server. Ask whoever runs it for an account.")
    if not secret:
        raise Forbidden("Signing up needs an invitation. Ask whoever runs this server for one.", needs="invitation")
    return lambda connection: find(connection, secret, context.clock())


def find(connection: Connection, secret: str, now: int) -> int:
    """Return the id of the open invitation with this secret, without using it up. Raises LinkExpired."""
    # mistyped or mangled input may not be valid text
    wanted = token_hash(secret.encode("utf-8", "replace").decode()[:512])
    found = select(Invitation.id).where(
        Invitation.token_hash == wanted,
        Invitation.used_at.is_(None),
        Invitation.revoked_at.is_(None),
        Invitation.expires_at > now,
    )
    id = connection.execute(found).scalar_one_or_none()
    if id is None:
        raise LinkExpired(_EXPIRED)
    return id


def use(connection: Connection, id: int, user_id: int, now: int) -> None:
    """Mark the invitation as used by this user."""
    connection.execute(update(Invitation).where(Invitation.id == id).values(used_at=now, used_by=user_id))


def remove_old(connection: Connection, before: int, most: int) -> int:
    """Remove some invitations that were used, revoked or expired before that time; return their number."""
    over = select(Invitation.id).where(
        or_(Invitation.used_at < before, Invitation.revoked_at < before, Invitation.expires_at < before)
    )
    return connection.execute(delete(Invitation).where(Invitation.id.in_(over.limit(most)))).rowcount


def _shown(connection: Connection, now: int) -> ManyShown:
    rows = connection.execute(
        select(Invitation, User.username)
        .outerjoin(User, User.id == Invitation.used_by)
        .with_only_columns(
            Invitation.id,
            Invitation.note,
            Invitation.created_at,
            Invitation.expires_at,
            Invitation.used_at,
            Invitation.used_by,
            Invitation.revoked_at,
            User.username,
        )
        .order_by(Invitation.id.desc())
        .limit(MAX_SHOWN)
    )
    return [
        InvitationView(
            row.id,
            row.note,
            _status(row.used_at, row.revoked_at, row.expires_at, now),
            row.created_at,
            row.expires_at,
            row.used_at,
            row.username,
            row.used_by,
        )
        for row in rows
    ]


def _status(used_at: int | None, revoked_at: int | None, expires_at: int, now: int) -> Status:
    if used_at is not None:
        return "used"
    if revoked_at is not None:
        return "revoked"
    return "open" if expires_at > now else "expired"
