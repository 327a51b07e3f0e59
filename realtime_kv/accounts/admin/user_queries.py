"""Queries about users for superusers: users, their totals, sessions and keys; a value only through `value`.

Entries and totals are those of the tables: flush first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, select, text

from realtime_kv.accounts import usernames
from realtime_kv.accounts.credentials.sessions import NEVER
from realtime_kv.errors import NotFound
from realtime_kv.storage.dialects import dialect
from realtime_kv.storage.models import User

Who = int | str
Sort = Literal["username", "entries", "bytes", "seen", "tabs", "created"]
Status = Literal["active", "disabled", "deleted"]

# orders of the list: names from A, everything else from the highest
_ORDERS: dict[str, str] = {
    "username": "u.folded",
    "entries": "entries DESC, u.folded",
    "bytes": "bytes DESC, u.folded",
    "seen": "seen_at DESC NULLS LAST, u.folded",
    "tabs": "tabs DESC, u.folded",
    "created": "u.created_at DESC, u.id DESC",
}
SORTS = tuple(_ORDERS)

_GOES_ON = "s.user_id = u.id AND s.ended_at IS NULL AND s.expires_at > :now"
_USERS = f"""
WITH connected (user_id, tabs) AS MATERIALIZED ({{integers}})
SELECT u.id, u.username, u.is_admin, u.created_at, u.disabled_at, u.deleted_at, u.deleted_by, u.must_change_password,
    u.totp_confirmed_at IS NOT NULL AS two_step, u.password_changed_at, u.quota_keys, u.quota_bytes,
    p.keys AS entries, p.bytes AS bytes,
    (SELECT count(*) FROM sessions AS s WHERE {_GOES_ON} AND s.kind = 'session') AS sessions,
    (SELECT count(*) FROM sessions AS s WHERE {_GOES_ON} AND s.kind = 'token') AS tokens,
    (SELECT max(s.last_seen_at) FROM sessions AS s WHERE s.user_id = u.id) AS seen_at,
    coalesce(c.tabs, 0) AS tabs
FROM users AS u JOIN spaces AS p ON p.user_id = u.id LEFT JOIN connected AS c ON c.user_id = u.id
"""
_TOTALS = """
SELECT count(*), CAST(coalesce(sum(p.keys), 0) AS bigint), CAST(coalesce(sum(p.bytes), 0) AS bigint) FROM spaces AS p
"""
_SESSIONS = """
SELECT public_id, kind, label, scope, prefix, created_at, last_seen_at, expires_at, address
FROM sessions WHERE user_id = :user AND ended_at IS NULL AND expires_at > :now
ORDER BY kind, coalesce(last_seen_at, created_at) DESC LIMIT 200
"""
_ENTRIES = """
SELECT key, {size}, revision, version, created_at, updated_at, expires_at, deleted_at
FROM entries WHERE user_id = :user AND key >= :prefix AND key > :after AND key < :end
ORDER BY key LIMIT :limit + 1
"""
# greater than any text that can follow in a key of 512 bytes
_LAST = "\U0010ffff" * 129
_ENTRY = """
SELECT key, value, revision, created_at, updated_at, deleted_at FROM entries WHERE user_id = :user AND key = :key
"""


@dataclass(frozen=True)
class AdminUserView:
    """A user as superusers see them. Times in milliseconds; a quota of None is the server's default."""

    id: int
    username: str
    is_admin: bool
    created_at: int
    disabled_at: int | None
    deleted_at: int | None
    deleted_by: str | None
    must_change_password: bool
    two_step: bool
    password_changed_at: int | None
    quota_keys: int | None
    quota_bytes: int | None
    entries: int
    bytes: int
    sessions: int
    tokens: int
    seen_at: int | None
    tabs: int

    @property
    def status(self) -> Status:
        """Deleted takes precedence over disabled."""
        return "deleted" if self.deleted_at is not None else "disabled" if self.disabled_at is not None else "active"


@dataclass(frozen=True)
class Users:
    """One page of the users found, the number found, and the server's totals."""

    users: list[AdminUserView]
    found: int
    page: int
    pages: int
    all_users: int
    all_entries: int
    all_bytes: int


@dataclass(frozen=True)
class AdminSessionView:
    """An active session or API token (`kind`: `session`, `token`); `expires_at` is None if it does not expire."""

    id: str
    kind: str
    label: str
    scope: str
    prefix: str | None
    created_at: int
    last_seen_at: int | None
    expires_at: int | None
    address: str


@dataclass(frozen=True)
class AdminEntryView:
    """A key and its metadata; `bytes` as the quota counts them. `deleted_at` is set for a key in the trash."""

    key: str
    bytes: int
    revision: int
    version: int
    created_at: int
    updated_at: int
    expires_at: int | None
    deleted_at: int | None


@dataclass(frozen=True)
class Entries:
    """One page of a user's keys; `next` is the key to continue after, None on the last page."""

    entries: list[AdminEntryView]
    next: str | None


@dataclass(frozen=True)
class Revealed:
    """One value, as JSON text; for a key in the trash, its last value."""

    key: str
    value: str
    revision: int
    created_at: int
    updated_at: int
    deleted_at: int | None


def users(
    connection: Connection, now: int, *, search: str, sort: Sort, page: int, size: int, tabs: Mapping[int, int]
) -> Users:
    """Return a page (from 1) of the users whose name contains `search`; `tabs` is how many each has open."""
    # the search is plain text, not a pattern
    where = "WHERE " + dialect(connection).contains.format("u.folded", ":search") if search else ""
    asked: dict[str, Any] = {"now": now, "tabs": msgspec.json.encode(tabs).decode(), "search": search.lower()}
    count = f"SELECT count(*) FROM users AS u {where}"
    found = connection.execute(text(count), {"search": asked["search"]} if search else {}).scalar_one()
    pages = max(1, -(-found // size))
    page = min(max(1, page), pages)
    statement = f"{_users(connection)} {where} ORDER BY {_ORDERS[sort]} LIMIT :size OFFSET :skipped"
    rows = connection.execute(text(statement), {**asked, "size": size, "skipped": (page - 1) * size})
    totals = connection.execute(text(_TOTALS)).one()
    return Users([_user(row) for row in rows], found, page, pages, *totals)


def user(connection: Connection, now: int, who: Who, tabs: Mapping[int, int] | None = None) -> AdminUserView:
    """Return this user, by id or by name. Raises NotFound."""
    user_id = find(connection, who)
    known = {user_id: (tabs or {}).get(user_id, 0)}
    asked = {"now": now, "tabs": msgspec.json.encode(known).decode(), "user": user_id}
    return _user(connection.execute(text(f"{_users(connection)} WHERE u.id = :user"), asked).one())


def find(connection: Connection, who: Who) -> int:
    """Return the id of a user, by id or by name. Raises NotFound."""
    if isinstance(who, int):
        # a number too large for the database is no user's id
        wanted = select(User.id).where(User.id == who) if who < 2**63 else None
    else:
        wanted = select(User.id).where(User.folded == folded) if (folded := usernames.folded(who)) else None
    user_id = None if wanted is None else connection.execute(wanted).scalar_one_or_none()
    if user_id is None:
        raise NotFound("There is no such user.")
    return user_id


def sessions(connection: Connection, now: int, user_id: int) -> list[AdminSessionView]:
    """Return the user's active sessions and API tokens, the most recently used first."""
    rows = connection.execute(text(_SESSIONS), {"user": user_id, "now": now})
    # the end of a token that does not expire is a placeholder
    return [AdminSessionView(*(*row[:-2], row[-2] if row[-2] < NEVER else None, row[-1])) for row in rows]


def entries(connection: Connection, user_id: int, *, prefix: str, after: str | None, limit: int) -> Entries:
    """Return the user's keys that start with `prefix`, after `after`, in byte order, including the trash."""
    # no key is empty
    asked = {"user": user_id, "prefix": prefix, "after": after or "", "end": prefix + _LAST, "limit": limit}
    size = " + ".join(dialect(connection).bytes_of.format(column) for column in ("key", "value"))
    shown = [AdminEntryView(*row) for row in connection.execute(text(_ENTRIES.format(size=size)), asked)]
    return Entries(shown[:limit], shown[limit - 1].key if len(shown) > limit else None)


def value(connection: Connection, user_id: int, key: str) -> Revealed:
    """Return the value of a key. Raises NotFound."""
    row = connection.execute(text(_ENTRY), {"user": user_id, "key": key}).first()
    if row is None:
        raise NotFound("There is no such key.")
    return Revealed(*row)


def _users(connection: Connection) -> str:
    return _USERS.format(integers=dialect(connection).integers.format(":tabs"))


def _user(row: Any) -> AdminUserView:
    known = row._asdict()
    return AdminUserView(
        **known | {name: bool(known[name]) for name in ("is_admin", "must_change_password", "two_step")}
    )
