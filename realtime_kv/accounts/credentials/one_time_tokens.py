"""One-time tokens: links in mails or from a superuser, and tickets between two steps of signing in.

Each is 256 random bits, stored as SHA-256 only, valid for one purpose, once, and for a limited time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection, insert, select, update

from realtime_kv.accounts.credentials.sessions import token_hash
from realtime_kv.clock import MINUTE, TOLERANCE
from realtime_kv.errors import LinkExpired
from realtime_kv.storage.models import OneTimeLink

Kind = Literal["recovery", "password", "second_step", "email", "setup"]

# how long each kind is valid
LIFETIMES: dict[Kind, int] = {
    "recovery": 30 * MINUTE,
    "password": 15 * MINUTE,
    "second_step": 5 * MINUTE,
    "email": 24 * 60 * MINUTE,
    "setup": 24 * 60 * MINUTE,
}
# wrong codes that one sign-in may send
MAX_TRIES = 5


@dataclass(frozen=True)
class OneTimeToken:
    """A link that is still valid."""

    id: int
    kind: Kind
    user_id: int | None
    expires_at: int
    tries: int
    detail: str | None


@dataclass(frozen=True)
class IssuedToken:
    """The secret of a link, which is known only when it is made; `expires_at` in milliseconds."""

    kind: Kind
    secret: str
    expires_at: int


def make(
    connection: Connection,
    kind: Kind,
    user_id: int | None,
    now: int,
    tokens: Callable[[int], str],
    detail: str | None = None,
    *,
    beside: bool = False,
) -> IssuedToken:
    """Create a link for `user_id`; older ones of its kind become invalid, except tickets of other sign-ins.

    With `beside` the older ones stay valid: for links that anybody can request, else strangers could invalidate them.
    """
    if not beside and kind not in {"second_step", "password"}:
        cancel(connection, user_id, now, kind)
    ticket = IssuedToken(kind, tokens(32), now + LIFETIMES[kind])
    connection.execute(
        insert(OneTimeLink).values(
            kind=kind,
            token_hash=token_hash(ticket.secret),
            user_id=user_id,
            created_at=now,
            expires_at=ticket.expires_at,
            detail=detail,
        )
    )
    return ticket


def find(connection: Connection, secret: str, now: int, *kinds: Kind) -> OneTimeToken:
    """Return the link with this secret, without using it up. Raises LinkExpired."""
    # mistyped or mangled input may not be valid text
    wanted = token_hash(secret.encode("utf-8", "replace").decode()[:512])
    row = connection.execute(
        select(
            OneTimeLink.id,
            OneTimeLink.kind,
            OneTimeLink.user_id,
            OneTimeLink.expires_at,
            OneTimeLink.tries,
            OneTimeLink.detail,
        ).where(
            OneTimeLink.token_hash == wanted,
            OneTimeLink.kind.in_(kinds),
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > now,
            # one from the future was made while the clock was wrong, and would be valid for too long
            OneTimeLink.created_at <= now + TOLERANCE,
        )
    ).first()
    if row is None:
        raise LinkExpired()
    found, kind, user_id, expires_at, tries, detail = row
    return OneTimeToken(found, cast(Kind, kind), user_id, expires_at, tries, detail)


def use(connection: Connection, link: OneTimeToken, now: int) -> None:
    """Mark the link as used."""
    connection.execute(update(OneTimeLink).where(OneTimeLink.id == link.id).values(used_at=now))


def tried(connection: Connection, link: OneTimeToken, now: int) -> None:
    """Count a wrong code sent with this ticket; after `MOST_TRIES` the ticket is used up."""
    used_at = now if link.tries + 1 >= MAX_TRIES else None
    connection.execute(
        update(OneTimeLink).where(OneTimeLink.id == link.id).values(tries=link.tries + 1, used_at=used_at)
    )


def cancel(connection: Connection, user_id: int | None, now: int, *kinds: Kind) -> None:
    """Invalidate the open links of this user, of these kinds or of all."""
    which = [OneTimeLink.user_id == user_id if user_id is not None else OneTimeLink.user_id.is_(None)]
    if kinds:
        which.append(OneTimeLink.kind.in_(kinds))
    connection.execute(update(OneTimeLink).where(OneTimeLink.used_at.is_(None), *which).values(used_at=now))
