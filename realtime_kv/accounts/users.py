"""The rows of users, and of the space that each one owns."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from realtime_kv.core.errors import NameTaken
from realtime_kv.core.models import Space, User


@dataclass(frozen=True)
class Person:
    """A user, as they may see themselves; `created_at` in milliseconds."""

    id: int
    username: str
    is_admin: bool
    created_at: int


def find(connection: Connection, folded: str) -> tuple[Person, str] | None:
    """The user of that name and the hash of their password; None if there is none who may sign in."""
    row = connection.execute(
        select(User.id, User.username, User.is_admin, User.created_at, User.password_hash).where(
            User.folded == folded, User.disabled_at.is_(None)
        )
    ).first()
    return (Person(*row[:4]), row[4]) if row else None


def create(connection: Connection, username: str, folded: str, password_hash: str, now: int) -> Person:
    """A new user with an empty space. Raises NameTaken."""
    values = {"username": username, "folded": folded, "password_hash": password_hash, "created_at": now}
    try:
        user_id = connection.execute(insert(User).values(values).returning(User.id)).scalar_one()
    except IntegrityError:
        raise NameTaken() from None
    connection.execute(insert(Space).values(user_id=user_id))
    return Person(user_id, username, False, now)


def renew_hash(connection: Connection, user_id: int, password_hash: str) -> None:
    """Keep the same password under a newer hash."""
    connection.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
