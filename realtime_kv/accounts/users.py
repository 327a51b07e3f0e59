"""The rows of users, and of the space that each one owns."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Integer, cast, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from realtime_kv.errors import NameTaken
from realtime_kv.storage.models import Meta, Space, User

# in `meta`: the highest id of purged users, so that it is not reused
LAST_PURGED = "last_purged_user"


@dataclass(frozen=True)
class UserIdentity:
    """A user, as they may see themselves; `created_at` in milliseconds."""

    id: int
    username: str
    is_admin: bool
    created_at: int


@dataclass(frozen=True)
class LoginUser:
    """A user who may sign in with the password; `deleted` if they deleted the account, which signing in undoes.

    `recovered` is a recovery that they have not been told of: its time (milliseconds) and its way.
    """

    person: UserIdentity
    password_hash: str
    must_change_password: bool
    two_step: bool
    deleted: bool
    recovered: tuple[int, str] | None
    email: str | None


@dataclass(frozen=True)
class AccountSettings:
    """The settings of an account besides name and password."""

    email: str | None
    two_step: bool
    password_changed_at: int | None
    recovered: tuple[int, str] | None
    quota_keys: int | None
    quota_bytes: int | None


def find(connection: Connection, folded: str, restorable: int = 0) -> LoginUser | None:
    """Return the user with that name; None if no such user may sign in.

    Users who deleted their account after `restorable` (milliseconds) may; others only wait for the purge.
    """
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
            User.email,
        ).where(
            User.folded == folded,
            User.disabled_at.is_(None),
            User.deleted_at.is_(None) | ((User.deleted_by == "self") & (User.deleted_at > restorable)),
        )
    ).first()
    if row is None:
        return None
    person = UserIdentity(*row[:4])
    return LoginUser(
        person, row[4], row[5], row[6] is not None, row[7] is not None, _recovered(row[8], row[9]), row[10]
    )


def by_id(connection: Connection, user_id: int, restorable: int = 0) -> LoginUser | None:
    """Like `find`, by id."""
    folded = connection.execute(select(User.folded).where(User.id == user_id)).scalar_one_or_none()
    return None if folded is None else find(connection, folded, restorable)


def create(
    connection: Connection,
    username: str,
    folded: str,
    password_hash: str,
    now: int,
    *,
    is_admin: bool = False,
    must_change_password: bool = False,
) -> UserIdentity:
    """Create a user with an empty space and an id that was never used before. Raises NameTaken."""
    purged = select(cast(Meta.value, Integer)).where(Meta.name == LAST_PURGED).scalar_subquery()
    used = connection.execute(select(func.coalesce(func.max(User.id), 0), func.coalesce(purged, 0))).one()
    values = {
        "id": max(used) + 1,
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
    return UserIdentity(user_id, username, is_admin, now)


def is_superuser(connection: Connection, user_id: int | None) -> bool:
    """Return whether this user may act as a superuser."""
    able = select(User.id).where(
        User.id == user_id, User.is_admin, User.disabled_at.is_(None), User.deleted_at.is_(None)
    )
    return connection.execute(able).first() is not None


def only_superuser(connection: Connection, user_id: int) -> bool:
    """Return whether this user is the only superuser who can sign in."""
    able = select(User.id).where(User.is_admin, User.disabled_at.is_(None), User.deleted_at.is_(None))
    return list(connection.execute(able.limit(2)).scalars()) == [user_id]


def renew_hash(connection: Connection, user_id: int, password_hash: str) -> None:
    """Replace the hash of the same password."""
    connection.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def set_password(
    connection: Connection, user_id: int, password_hash: str, now: int, *, temporary: bool = False
) -> None:
    """Set a new password; a `temporary` one is good only for choosing another."""
    connection.execute(
        update(User)
        .where(User.id == user_id)
        .values(password_hash=password_hash, password_changed_at=now, must_change_password=temporary)
    )


def hash_of(connection: Connection, user_id: int) -> str | None:
    """Return the hash of the user's password; None if the user is missing, disabled or deleted."""
    found = select(User.password_hash).where(User.id == user_id, User.disabled_at.is_(None), User.deleted_at.is_(None))
    return connection.execute(found).scalar_one_or_none()


def account(connection: Connection, user_id: int) -> AccountSettings | None:
    """Return the settings that the user's own pages show."""
    row = connection.execute(
        select(
            User.email,
            User.totp_confirmed_at,
            User.password_changed_at,
            User.recovered_at,
            User.recovered_how,
            User.quota_keys,
            User.quota_bytes,
        ).where(User.id == user_id)
    ).first()
    if row is None:
        return None
    return AccountSettings(row[0], row[1] is not None, row[2], _recovered(row[3], row[4]), row[5], row[6])


def recovered(connection: Connection, user_id: int, now: int, how: str) -> None:
    """Note a recovery, of which the user must be told."""
    connection.execute(update(User).where(User.id == user_id).values(recovered_at=now, recovered_how=how))


def dismiss_notice(connection: Connection, user_id: int) -> None:
    """Remove the notice of the recovery: the user has been told."""
    connection.execute(update(User).where(User.id == user_id).values(recovered_at=None, recovered_how=None))


def set_email(connection: Connection, user_id: int, email: str | None) -> None:
    """Set the address for mail; None for none."""
    connection.execute(update(User).where(User.id == user_id).values(email=email))


def delete(connection: Connection, user_id: int, now: int, *, by: Literal["self", "admin"]) -> None:
    """Delete the account softly: nobody can sign in until it is restored or purged."""
    connection.execute(update(User).where(User.id == user_id).values(deleted_at=now, deleted_by=by))


def undelete(connection: Connection, user_id: int) -> None:
    """Restore the account."""
    connection.execute(update(User).where(User.id == user_id).values(deleted_at=None, deleted_by=None))


def _recovered(at: int | None, how: str | None) -> tuple[int, str] | None:
    return None if at is None else (at, how or "")
