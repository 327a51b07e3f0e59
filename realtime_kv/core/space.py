"""A user's space while a group of writes is decided: as loaded, and what the accepted ones have made of it so far."""

from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, Raw

from realtime_kv.core import frames
from realtime_kv.core.errors import OpIdReused, QuotaExceeded
from realtime_kv.core.frames import (
    Batched,
    Committed,
    Deleted,
    Existed,
    Version,
    WriteFrame,
    Written,
    digest_of,
    timestamp,
)
from realtime_kv.core.record import Record

Outcome = Written | Deleted | Batched

# revision, position, key, value, version, expires_at, origin
LogEntry = tuple[int, int, str, str | None, int | None, int | None, str]

_ANSWERS: dict[str, type[Outcome]] = {"set": Written, "delete": Deleted, "batch": Batched}


@dataclass(slots=True, frozen=True)
class Quota:
    """How much one user may keep: live keys, and bytes of their keys and values."""

    keys: int = 100_000
    bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class Receipt:
    """What an `op_id` was used for, and what it was answered (JSON)."""

    fingerprint: str
    answer: str

    def replay(self, verb: str, fingerprint: str) -> Outcome:
        """The first answer again. Raises OpIdReused for another verb or payload."""
        if self.fingerprint != fingerprint:
            raise OpIdReused()
        answer = msgspec.json.decode(self.answer, type=_ANSWERS[verb])
        answer.replayed = True
        return answer


@dataclass(slots=True)
class Space:
    """A user's space while a group is decided: its totals, and the entries that the group's ops touch."""

    user_id: int
    revision: int
    keys: int
    bytes: int
    digest: int
    entries: dict[str, Record | None] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    # made by this group
    started_at: int = 0
    touched: dict[str, str] = field(default_factory=dict)
    new_receipts: list[str] = field(default_factory=list)
    writes: list[WriteFrame] = field(default_factory=list)
    log: list[LogEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started_at = self.revision

    def remember(self, op_id: str, fingerprint: str, answer: Outcome) -> None:
        """Keep what `op_id` was answered, for a retry."""
        self.receipts[op_id] = Receipt(fingerprint, msgspec.json.encode(answer).decode())
        self.new_receipts.append(op_id)

    def committed(self, epoch: str) -> Committed:
        """What the watchers are told once this is durable."""
        return Committed(
            user_id=self.user_id,
            epoch=epoch,
            from_=self.started_at,
            writes=self.writes,
            keys=self.keys,
            digest=self.digest,
        )


class Draft:
    """One write over a space: nothing of it is seen by anybody until `accept`; a refusal drops it whole."""

    __slots__ = ("bytes", "changed", "digest", "keys", "logged", "ops", "results", "revision", "space")

    def __init__(self, space: Space) -> None:
        self.space = space
        self.revision = space.revision + 1
        self.keys = space.keys
        self.bytes = space.bytes
        self.digest = space.digest
        self.changed: dict[str, Record] = {}
        self.ops: list[frames.Op] = []
        self.logged: list[tuple[str, str | None, int | None, int | None]] = []
        self.results: list[Version | Existed] = []

    def entry(self, key: str, now: int) -> Record | None:
        """The live entry under `key`, as the ops before this one left it."""
        record = self.changed.get(key) or self.space.entries[key]
        return record if record is not None and record.is_live(now) else None

    def put(self, before: Record | None, record: Record) -> None:
        """`record` stands now where `before` stood."""
        self._discount(before or self._expired(record.key))
        self.keys += 1
        self.bytes += len(record.key.encode()) + record.size
        self.digest += digest_of(record.key, record.revision)
        self.changed[record.key] = record
        assert record.value is not None
        expires_at = UNSET if record.expires_at is None else timestamp(record.expires_at)
        self.ops.append(
            frames.SetOp(
                key=record.key, value=Raw(record.value.encode()), version=record.version, expires_at=expires_at
            )
        )
        self.logged.append((record.key, record.value, record.version, record.expires_at))

    def remove(self, before: Record, now: int) -> None:
        """`before` is in the trash now; its value stays there."""
        self._discount(before)
        self.changed[before.key] = Record(
            key=before.key,
            value=before.value,
            size=before.size,
            revision=self.revision,
            created_revision=before.created_revision,
            version=before.version,
            created_at=before.created_at,
            updated_at=now,
            expires_at=before.expires_at,
            deleted_at=now,
        )
        self.ops.append(frames.DeleteOp(key=before.key))
        self.logged.append((before.key, None, None, None))

    def check_quota(self, quota: Quota) -> None:
        """Raises QuotaExceeded when this write would take the space over its quota; one that shrinks it never does."""
        if self.keys > quota.keys and self.keys > self.space.keys:
            raise QuotaExceeded(
                f"You keep {self.space.keys} keys and may keep {quota.keys}; delete some first.",
                limit=quota.keys,
                used=self.space.keys,
            )
        if self.bytes > quota.bytes and self.bytes > self.space.bytes:
            raise QuotaExceeded(
                f"You keep {self.space.bytes} bytes and may keep {quota.bytes}; delete some first.",
                limit=quota.bytes,
                used=self.space.bytes,
            )

    def accept(self, verb: str, origin: str, at: str) -> Outcome:
        """Make this draft the space's state, and answer; a draft without ops takes no revision."""
        space = self.space
        if self.ops:
            space.revision = self.revision
            space.keys, space.bytes, space.digest = self.keys, self.bytes, self.digest % 2**32
            space.entries.update(self.changed)
            space.touched.update(dict.fromkeys(self.changed, origin))
            space.writes.append(WriteFrame(revision=self.revision, at=at, origin=Raw(origin.encode()), ops=self.ops))
            space.log.extend((self.revision, position, *row, origin) for position, row in enumerate(self.logged))
        return self._answer(verb)

    def _answer(self, verb: str) -> Outcome:
        revision = self.space.revision
        if verb == "batch":
            return Batched(revision=revision, results=[Raw(msgspec.json.encode(result)) for result in self.results])
        result = self.results[0]
        if isinstance(result, Version):
            return Written(revision=revision, version=result.version)
        return Deleted(revision=revision, existed=result.existed)

    def _discount(self, record: Record | None) -> None:
        if record is not None:
            self.keys -= 1
            self.bytes -= len(record.key.encode()) + record.size
            self.digest -= digest_of(record.key, record.revision)

    def _expired(self, key: str) -> Record | None:
        # an expired entry counts until its delete is written, or, as here, until it is created anew
        record = self.changed.get(key) or self.space.entries[key]
        return record if record is not None and record.deleted_at is None else None
