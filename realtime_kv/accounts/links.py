"""One-time secrets: a link in a mail or from a superuser, a ticket between two steps of signing in.

Each is 256 random bits of which only the SHA-256 is kept, good for one thing, once, and for minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import Connection, insert, select, update

from realtime_kv.accounts.sessions import token_hash
from realtime_kv.core.clock import TOLERANCE
from realtime_kv.core.errors import LinkExpired
from realtime_kv.core.models import OneTimeLink

Kind = Literal["recovery", "password", "second_step", "email", "setup"]

MINUTE = 60 * 1000
# how long each is good
LIFETIMES: dict[Kind, int] = {
    "recovery": 30 * MINUTE,
    "password": 15 * MINUTE,
    "second_step": 5 * MINUTE,
    "email": 24 * 60 * MINUTE,
    "setup": 24 * 60 * MINUTE,
}
# wrong codes that one sign-in may send
MOST_TRIES = 5


@dataclass(frozen=True)
class Link:
    """A link that is still good."""

    id: int
    kind: Kind
    user_id: int | None
    expires_at: int
    tries: int
    detail: str | None


@dataclass(frozen=True)
class Ticket:
    """A link's secret, at the only moment when it is known here; `expires_at` in milliseconds."""

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
) -> Ticket:
    """A new link for `user_id`; older ones of its kind are no good any more, but for tickets of other sign-ins.

    One that anybody can ask for stands `beside` the older ones: else a stranger could make them useless.
    """
    if not beside and kind not in {"second_step", "password"}:
        cancel(connection, user_id, now, kind)
    ticket = Ticket(kind, tokens(32), now + LIFETIMES[kind])
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


def find(connection: Connection, secret: str, now: int, *kinds: Kind) -> Link:
    """The link with this secret, which is not used up by looking. Raises LinkExpired."""
    # what was typed or mangled on the way may be no text at all
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
            # one from the future was made while the clock was wrong, and would be good for as much longer
            OneTimeLink.created_at <= now + TOLERANCE,
        )
    ).first()
    if row is None:
        raise LinkExpired()
    found, kind, user_id, expires_at, tries, detail = row
    return Link(found, cast(Kind, kind), user_id, expires_at, tries, detail)


def use(connection: Connection, link: Link, now: int) -> None:
    """The link has done what it was for."""
    connection.execute(update(OneTimeLink).where(OneTimeLink.id == link.id).values(used_at=now))


def tried(connection: Connection, link: Link, now: int) -> None:
    """A wrong code came with this ticket; after a few it is no good any more."""
    used_at = now if link.tries + 1 >= MOST_TRIES else None
    connection.execute(
        update(OneTimeLink).where(OneTimeLink.id == link.id).values(tries=link.tries + 1, used_at=used_at)
    )


def cancel(connection: Connection, user_id: int | None, now: int, *kinds: Kind) -> None:
    """The links of this user (of these kinds, or of all) are no good any more."""
    which = [OneTimeLink.user_id == user_id if user_id is not None else OneTimeLink.user_id.is_(None)]
    if kinds:
        which.append(OneTimeLink.kind.in_(kinds))
    connection.execute(update(OneTimeLink).where(OneTimeLink.used_at.is_(None), *which).values(used_at=now))
