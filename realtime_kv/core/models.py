"""The tables. A plain DeclarativeBase, which Flask-SQLAlchemy shares at the edge.

Times are integers: milliseconds since 1970-01-01 UTC. A deleted entry keeps its row, with `deleted_at`, until the
purge.
"""

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The base of every table of the house."""


class Meta(Base):
    """Facts about the data set itself: its `epoch`, and `flushed`: up to which row of the log the tables have all."""

    __tablename__ = "meta"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class User(Base):
    """An account. `folded` is the user name without case: names are unique by it."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text, unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[int]
    disabled_at: Mapped[int | None]


class UserSession(Base):
    """A signed-in browser or program: the client holds the token, we hold only its SHA-256."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(Text, unique=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int]
    expires_at: Mapped[int]
    ended_at: Mapped[int | None]


class Space(Base):
    """A user's keys as a whole at `revision`, with the running totals that a bookmark proves.

    Like `entries` and `receipts` it may be behind the log (memtable.py). `floor` is the oldest revision that a `sync`
    may still start from.
    """

    __tablename__ = "spaces"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(default=0)
    floor: Mapped[int] = mapped_column(default=0)
    keys: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(default=0)
    digest: Mapped[int] = mapped_column(default=0)


class EntryRow(Base):
    """A key, as the write of `revision` left it; `value` is compact JSON text, byte for byte what clients get."""

    __tablename__ = "entries"
    __table_args__ = (Index("entries_by_revision", "user_id", "revision"),)

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
    """The change log, which is the truth: every write as tabs were told of it (`frame`, JSON), with its receipt.

    Only ever appended to. It has no index and no foreign key, so that an append touches the last page and no other.
    `op_id`, `fingerprint` and `answer` are NULL for a write without an `op_id`.
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


class Receipt(Base):
    """What a write with an `op_id` was answered, so that a retry gets the same answer and writes nothing."""

    __tablename__ = "receipts"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    op_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    at: Mapped[int]
