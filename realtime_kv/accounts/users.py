"""The rows of users, and of the space that each one owns."""

from dataclasses import dataclass

from sqlalchemy import Connection, Integer, cast, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from realtime_kv.core.errors import NameTaken
from realtime_kv.core.models import Meta, Space, User

# in `meta`: the highest id of those who have been purged, so that it is not given to somebody else
LAST_PURGED = "last_purged_user"


@dataclass(frozen=True)
class Person:
    """A user, as they may see themselves; `created_at` in milliseconds."""

    id: int
    username: str
    is_admin: bool
    created_at: int


@dataclass(frozen=True)
class Candidate:
    """Somebody who may sign in, if they know the password; `deleted` by themselves, which signing in undoes.

    `recovered` is a recovery that they have not been told of: when (milliseconds), and how.
    """

    person: Person
    password_hash: str
    must_change_password: bool
    two_step: bool
    deleted: bool
    recovered: tuple[int, str] | None


def find(connection: Connection, folded: str) -> Candidate | None:
    """The user of that name; None if there is none who may sign in."""
    row = connection.execute(
        select(
            User.id,
            User.username,
            User.is_admin,
            User.created_at,
            User.password_hash,
            User.must_change_password,
            User.totp_confirmed_at,
            User.deleted_at,
            User.recovered_at,
            User.recovered_how,
        ).where(
            User.folded == folded,
            User.disabled_at.is_(None),
            User.deleted_at.is_(None) | (User.deleted_by == "self"),
        )
    ).first()
    if row is None:
        return None
    recovered = None if row[8] is None else (row[8], row[9] or "")
    return Candidate(Person(*row[:4]), row[4], row[5], row[6] is not None, row[7] is not None, recovered)


def by_id(connection: Connection, user_id: int) -> Candidate | None:
    """As `find`, by id."""
    folded = connection.execute(select(User.folded).where(User.id == user_id)).scalar_one_or_none()
    return None if folded is None else find(connection, folded)


def create(
    connection: Connection,
    username: str,
    folded: str,
    password_hash: str,
    now: int,
    *,
    is_admin: bool = False,
    must_change_password: bool = False,
) -> Person:
    """A new user with an empty space, and an id that nobody has had before. Raises NameTaken."""
    purged = select(cast(Meta.value, Integer)).where(Meta.name == LAST_PURGED).scalar_subquery()
    highest = select(func.max(func.coalesce(func.max(User.id), 0), func.coalesce(purged, 0)))
    values = {
        "id": connection.execute(highest).scalar_one() + 1,
        "username": username,
        "folded": folded,
        "password_hash": password_hash,
        "created_at": now,
        "is_admin": is_admin,
        "must_change_password": must_change_password,
    }
    try:
        user_id = connection.execute(insert(User).values(values).returning(User.id)).scalar_one()
    except IntegrityError:
        raise NameTaken() from None
    connection.execute(insert(Space).values(user_id=user_id))
    return Person(user_id, username, is_admin, now)


def only_superuser(connection: Connection, user_id: int) -> bool:
    """Whether the house would have no superuser left who can sign in, were it not for this one."""
    able = select(User.id).where(User.is_admin, User.disabled_at.is_(None), User.deleted_at.is_(None))
    return list(connection.execute(able.limit(2)).scalars()) == [user_id]


def renew_hash(connection: Connection, user_id: int, password_hash: str) -> None:
    """Keep the same password under a newer hash."""
    connection.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def set_password(
    connection: Connection, user_id: int, password_hash: str, now: int, *, temporary: bool = False
) -> None:
    """A new password; one that is `temporary` is good for choosing another."""
    connection.execute(
        update(User)
        .where(User.id == user_id)
        .values(password_hash=password_hash, password_changed_at=now, must_change_password=temporary)
    )


def undelete(connection: Connection, user_id: int) -> None:
    """The account is there again."""
    connection.execute(update(User).where(User.id == user_id).values(deleted_at=None, deleted_by=None))
