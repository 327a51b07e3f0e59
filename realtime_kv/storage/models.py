"""Tables, on a plain DeclarativeBase that Flask-SQLAlchemy shares in the web application.

Times are integers: milliseconds since 1970-01-01 UTC. A deleted entry keeps its row, with `deleted_at`, until the
purge.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text, false, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry


class Base(DeclarativeBase):
    """Base class of the server's tables."""

    # times in milliseconds need 64 bits, which every integer of SQLite has
    registry = registry(type_annotation_map={int: BigInteger().with_variant(Integer, "sqlite")})


class Meta(Base):
    """Facts about the data set: its `epoch`, `flushed`, `indexed` and `clock`.

    The tables have everything up to the log row `flushed`, the history index up to `indexed`. `clock` says how far the
    clock is known to be right.
    """

    __tablename__ = "meta"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class User(Base):
    """An account. `folded` is the username without case: names are unique by it; ids are never reused.

    `deleted_by` is `self` (signing in restores it), `admin`, or `purge` (nothing restores it). A password with
    `must_change_password` is only valid for choosing another. `totp_step` is the last time step whose code was
    accepted: no code is accepted twice. `recovered_at` and `recovered_how` (`code`, `link`, `mail`) remain until the
    user has been told. A quota of NULL is the server's default.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[int]
    disabled_at: Mapped[int | None]
    deleted_at: Mapped[int | None]
    deleted_by: Mapped[str | None] = mapped_column(Text)
    password_changed_at: Mapped[int | None]
    must_change_password: Mapped[bool] = mapped_column(default=False, server_default=false())
    email: Mapped[str | None] = mapped_column(Text)
    totp_secret: Mapped[str | None] = mapped_column(Text)
    totp_confirmed_at: Mapped[int | None]
    totp_step: Mapped[int | None]
    recovered_at: Mapped[int | None]
    recovered_how: Mapped[str | None] = mapped_column(Text)
    quota_keys: Mapped[int | None]
    quota_bytes: Mapped[int | None]


class UserSession(Base):
    """A signed-in browser or program, or an API token (`kind`: `session`, `token`).

    The client holds the token, the server only its SHA-256. `expires_at` moves as the session is used: it is `idle`
    milliseconds after the last use, and never later than `limit_at`. `scope` is `write` or `read`; with a `prefix` only
    the keys under it are visible. `presented` is how the token of a session is sent: `cookie` or `bearer`; it is not
    accepted the other way. It is NULL for an API token, and for a session from before this column until its next use.
    """

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(Text, unique=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    expires_at: Mapped[int]
    ended_at: Mapped[int | None]
    kind: Mapped[str] = mapped_column(Text, default="session", server_default="session")
    scope: Mapped[str] = mapped_column(Text, default="write", server_default="write")
    prefix: Mapped[str | None] = mapped_column(Text)
    idle: Mapped[int | None]
    limit_at: Mapped[int | None]
    last_seen_at: Mapped[int | None]
    address: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    presented: Mapped[str | None] = mapped_column(Text)


class Space(Base):
    """A user's keys as a whole at `revision`, with the running totals that a bookmark proves.

    Like `entries` and `receipts` it may lag behind the log (memtable.py). `floor` is the oldest revision from which a
    `sync` may still start; the history is complete from `history_floor` on. `history_bytes` is the charge (charges.py)
    of the writes after `trimmed`, up to which the history has been trimmed (trim.py); `receipt_bytes` and `trash_bytes`
    are the charges of the receipts and of the deleted entries.
    """

    __tablename__ = "spaces"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(default=0)
    floor: Mapped[int] = mapped_column(default=0)
    history_floor: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    keys: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(default=0)
    digest: Mapped[int] = mapped_column(default=0)
    trimmed: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    history_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    receipt_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    trash_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class EntryRow(Base):
    """A key, as the write of `revision` left it; `value` is compact JSON text, byte for byte as clients receive it."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("entries_by_revision", "user_id", "revision"),
        Index("entries_in_trash", "user_id", "key", sqlite_where=text("deleted_at IS NOT NULL")),
        Index("entries_by_expiry", "expires_at", sqlite_where=text("expires_at IS NOT NULL AND deleted_at IS NULL")),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    created_revision: Mapped[int]
    version: Mapped[int]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    expires_at: Mapped[int | None]
    deleted_at: Mapped[int | None]
    origin: Mapped[str] = mapped_column(Text)


class LogRow(Base):
    """The change log, the source of truth: every write as tabs receive it (`frame`, JSON), with its receipt.

    Writes are appended, and the purge removes them. No index, no foreign key: an append touches the last page and no
    other. `op_id`, `fingerprint` and `answer` are NULL for a write without an `op_id`. `charge` (charges.py) is NULL in
    rows of earlier versions.
    """

    __tablename__ = "log"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    revision: Mapped[int]
    at: Mapped[int]
    frame: Mapped[str] = mapped_column(Text)
    op_id: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    charge: Mapped[int | None]


class HistoryRow(Base):
    """History index: the log row that holds the op of the write of `revision` on `key`.

    It follows the log when there is time (up to the row `meta.indexed`), so that it adds nothing to the cost of an
    append. `bytes` is about the length of the op in that row (NULL in rows of earlier versions).
    """

    __tablename__ = "history"
    __table_args__ = (Index("history_by_revision", "user_id", "revision"), {"sqlite_with_rowid": False})

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[int]
    bytes: Mapped[int | None]


class LogGarbage(Base):
    """A log row that still holds ops which the history no longer has: `dead` of its `total` charge.

    It is rewritten once half of it is dead, and by the next purge in any case.
    """

    __tablename__ = "log_garbage"

    row: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    total: Mapped[int]
    dead: Mapped[int]


class Receipt(Base):
    """The answer to a write with an `op_id`, so that a retry gets the same answer and writes nothing.

    `op_id` is the client's; for a limited token, the token's public id and U+001F precede it, here and in the log.
    """

    __tablename__ = "receipts"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    op_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    at: Mapped[int]


class OneTimeLink(Base):
    """A short-lived secret that is valid once, for one purpose; the server stores only its SHA-256.

    `kind` is `recovery` (a link that sets a new password), `password` (a sign-in whose password must be changed),
    `second_step` (a sign-in that still needs a code), `email` (to be confirmed; `detail` is the address) or `setup`
    (makes the first superuser; belongs to no user yet).
    """

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[int]
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
    tries: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    detail: Mapped[str | None] = mapped_column(Text)


class RecoveryCode(Base):
    """One of a user's recovery codes, valid once; the server stores only its SHA-256."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[int | None]


class SecondStepFailures(Base):
    """Wrong codes of the second step since the last success from that network: the account's budget of attempts.

    `network` is an IPv4 address or an IPv6 /64. The count is stored, so that neither a restart nor waiting renews the
    budget.
    """

    __tablename__ = "second_step_failures"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    network: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int]
    last_at: Mapped[int]


class Invitation(Base):
    """A one-time permission to sign up; the server stores only the SHA-256 of its secret.

    `created_by` and `used_by` are users' ids; `created_by` is NULL for the command line.
    """

    __tablename__ = "invitations"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    note: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    created_at: Mapped[int]
    created_by: Mapped[int | None]
    expires_at: Mapped[int]
    used_at: Mapped[int | None]
    used_by: Mapped[int | None]
    revoked_at: Mapped[int | None]


class AuditRow(Base):
    """Audit log: actions on an account or on the server; append-only, which triggers enforce.

    `user_id` is the account concerned, `actor_id` the user who acted; NULL is nobody, the command line or the server
    itself (`actor`: `user`, `admin`, `nobody`, `cli`, `system`). `detail` is JSON. Names are not stored: ids are never
    reused, and a text typed as a name may have been a password.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_user", "user_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    user_id: Mapped[int | None]
    actor_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    ok: Mapped[bool]
    address: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
