"""A user's space as the writer knows it, and one write over it, which is taken over whole or dropped whole."""

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

_encode = msgspec.json.Encoder().encode

# what the log keeps of an op: key, value (None for a delete), version, expires_at
Logged = tuple[str, str | None, int | None, int | None]

_ANSWERS: dict[str, type[Outcome]] = {"set": Written, "delete": Deleted, "batch": Batched}


@dataclass(slots=True, frozen=True)
class Quota:
    """How much one user may keep: live keys, and bytes of their keys and values."""

    keys: int = 100_000
    bytes: int = 64 * 1024 * 1024


@dataclass(slots=True, frozen=True)
class Usage:
    """How much one user keeps, counted as the quota counts it."""

    keys: int
    bytes: int


@dataclass(slots=True)
class Receipt:
    """What an `op_id` was used for, and what it was answered (JSON); `stored` once the table of receipts has it."""

    op_id: str
    fingerprint: str
    answer: str
    at: int
    stored: bool = False

    def replay(self, verb: str, fingerprint: str) -> Outcome:
        """The first answer again. Raises OpIdReused for another verb or payload."""
        if self.fingerprint != fingerprint:
            raise OpIdReused()
        answer = msgspec.json.decode(self.answer, type=_ANSWERS[verb])
        answer.replayed = True
        return answer


@dataclass(slots=True, frozen=True)
class Accepted:
    """A write as the log keeps it."""

    revision: int
    at: int
    origin: str
    ops: list[Logged]
    receipt: Receipt | None

    @property
    def weight(self) -> int:
        """Its ops, and the KiB of their values."""
        return sum(1 + len(value or "") // 1024 for _, value, _, _ in self.ops)


@dataclass(slots=True)
class Space:
    """A user's totals, and those of their entries and receipts that have been looked at.

    `entries` holds None for a key that has no row. What the open transaction has made of the space stands in `touched`,
    `accepted`, `writes` (the same for the watchers) and `unlogged` (receipts of writes that changed nothing).
    """

    user_id: int
    revision: int
    keys: int
    bytes: int
    digest: int
    entries: dict[str, Record | None] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    started_at: int = 0
    touched: set[str] = field(default_factory=set)
    accepted: list[Accepted] = field(default_factory=list)
    writes: list[WriteFrame] = field(default_factory=list)
    unlogged: list[Receipt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started_at = self.revision

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

    def begin(self) -> None:
        """What was made of the space so far is durable; the next transaction starts from here."""
        self.started_at = self.revision
        self.touched, self.accepted, self.writes, self.unlogged = set(), [], [], []


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
        self.logged: list[Logged] = []
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

    def accept(self, verb: str, origin: str, at: str, now: int, op_id: str | None, fingerprint: str) -> Outcome:
        """Make this draft the space's state, and answer; a draft without ops takes no revision."""
        space = self.space
        if self.ops:
            for record in self.changed.values():
                record.origin = origin
            space.revision = self.revision
            space.keys, space.bytes, space.digest = self.keys, self.bytes, self.digest % 2**32
            space.entries.update(self.changed)
            space.touched.update(self.changed)
        answer = self._answer(verb)
        receipt = None
        if op_id is not None:
            receipt = space.receipts[op_id] = Receipt(op_id, fingerprint, _encode(answer).decode(), now)
        if self.ops:
            space.writes.append(WriteFrame(revision=self.revision, at=at, origin=Raw(origin.encode()), ops=self.ops))
            space.accepted.append(Accepted(self.revision, now, origin, self.logged, receipt))
        elif receipt is not None:
            space.unlogged.append(receipt)
        return answer

    def _answer(self, verb: str) -> Outcome:
        revision = self.space.revision
        if verb == "batch":
            return Batched(revision=revision, results=[Raw(_encode(result)) for result in self.results])
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
