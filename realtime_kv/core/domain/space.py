"""A user's space as the writer holds it, and the draft of one write, which is accepted or undone as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import Raw, Struct

from realtime_kv.core.domain import charges
from realtime_kv.core.domain.charges import ROW_BYTES
from realtime_kv.core.domain.record import EntryState, Replaced
from realtime_kv.core.messages import (
    NEVER,
    BatchResult,
    CommitEvent,
    CountResult,
    DeleteResult,
    Existed,
    Version,
    WriteResult,
    delete_op,
    set_op,
    write_frame,
)
from realtime_kv.errors import OpIdReused, QuotaExceeded

Outcome = WriteResult | DeleteResult | BatchResult | CountResult

_ANSWERS: dict[str, type[Outcome]] = {
    "set": WriteResult,
    "delete": DeleteResult,
    "batch": BatchResult,
    "restore": WriteResult,
}
_encode = msgspec.json.Encoder().encode
# a KiB of values in the log weighs as much as this many ops: writing it to the tables later takes as long
KIB_WEIGHT = 4


def weight_of(ops: int, frame: str) -> int:
    """Return the weight of a write in the log, in ops."""
    return max(ops, KIB_WEIGHT * (len(frame) // 1024))


@dataclass(slots=True, frozen=True)
class Quota:
    """Limits of one user: live keys, bytes of their keys and values, and bytes of history, receipts and trash.

    History beyond its limit is trimmed; writes that add to receipts or trash beyond theirs are refused.
    """

    keys: int = 100_000
    bytes: int = 64 * 1024 * 1024
    history_bytes: int = 128 * 1024 * 1024
    receipt_bytes: int = 256 * 1024 * 1024
    trash_bytes: int = 256 * 1024 * 1024

    def with_exceptions(self, keys: int | None, size: int | None) -> "Quota":
        """Return this quota with the limits that a user has been given of their own."""
        if keys is None and size is None:
            return self
        return replace(self, keys=self.keys if keys is None else keys, bytes=self.bytes if size is None else size)


@dataclass(slots=True, frozen=True)
class Usage:
    """Use of one user's quota, counted as the quota counts it."""

    keys: int
    bytes: int


class Receipt(Struct, gc=False):
    """The use of an `op_id` and its answer (JSON); `stored` once the receipts table has it."""

    op_id: str
    fingerprint: str
    answer: str
    at: int
    stored: bool = False

    def replay(self, verb: str, fingerprint: str) -> Outcome:
        """Return the first answer again. Raises OpIdReused for another verb or payload."""
        if _is_other(self.fingerprint, fingerprint):
            raise OpIdReused()
        try:
            answer = msgspec.json.decode(self.answer, type=_ANSWERS.get(verb, CountResult))
        except msgspec.ValidationError:
            # the answer of another verb
            raise OpIdReused() from None
        answer.replayed = True
        return answer


def _is_other(known: str, asked: str) -> bool:
    """Return whether these fingerprints are certainly of two different requests.

    Fingerprints of different versions cannot be compared. The request then counts as a repetition from before an
    upgrade: executing it could apply a write twice, and refusing it would lose the answer of an honest retry.
    """
    (known_version, _, known_digest), (version, _, digest) = known.rpartition(":"), asked.rpartition(":")
    return known_version == version and known_digest != digest


class LogRecord(Struct, gc=False):
    """An accepted write as the log stores it; tabs receive its `frame` (protocol §3). `replaced`: one for each op."""

    revision: int
    at: int
    frame: str
    receipt: Receipt | None
    charge: int
    replaced: Sequence[Replaced] = ()


@dataclass(slots=True)
class Space:
    """A user's totals, and the entries and receipts that have been loaded.

    `entries` holds None for a key that has no row. The results of the open transaction are in `touched`, `log`,
    `weight` (of the log, see `weight_of`) and `passing`. `passing` holds receipts that need not be
    remembered, because their table has them: receipts of writes that changed nothing, and loaded ones. No entry written
    expires before `expires_at`. A quota is None if the user has none of their own.
    """

    user_id: int
    revision: int
    keys: int
    bytes: int
    digest: int
    trimmed: int = 0
    history_bytes: int = 0
    receipt_bytes: int = 0
    trash_bytes: int = 0
    quota_keys: int | None = None
    quota_bytes: int | None = None
    entries: dict[str, EntryState | None] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    started_at: int = 0
    touched: dict[str, EntryState] = field(default_factory=dict)
    log: list[LogRecord] = field(default_factory=list)
    weight: int = 0
    passing: list[Receipt] = field(default_factory=list)
    expires_at: int = NEVER

    def __post_init__(self) -> None:
        self.started_at = self.revision

    def committed(self, epoch: str) -> CommitEvent:
        """Return the event for the watchers, to be sent once this is durable."""
        return CommitEvent(
            user_id=self.user_id,
            epoch=epoch,
            from_=self.started_at,
            writes=[(write.revision, write.frame) for write in self.log],
            keys=self.keys,
            digest=self.digest,
            expires_at=self.expires_at,
        )

    @property
    def disk_bytes(self) -> int:
        """The approximate number of bytes that this user takes on the disk."""
        return self.bytes + self.history_bytes + self.receipt_bytes + self.trash_bytes

    def begin(self) -> None:
        """Start the next transaction; the results of the last one are durable."""
        self.started_at = self.revision
        self.weight = 0
        for receipt in self.passing:
            self.receipts.pop(receipt.op_id, None)
        self.touched, self.log, self.passing, self.expires_at = {}, [], [], NEVER


class PendingWrite:
    """One write, applied to a space op by op, then accepted or undone without a trace."""

    __slots__ = ("_before", "_creates", "_ops", "_replaced", "_space", "origin", "results", "revision", "undoes")

    def __init__(self, space: Space, origin: str, undoes: int | None = None) -> None:
        self.revision = space.revision + 1
        self.origin = origin
        self.undoes = undoes
        self.results: list[Version | Existed] = []
        self._space = space
        self._before = (space.keys, space.bytes, space.digest, space.expires_at, space.trash_bytes)
        self._creates = False
        self._replaced: list[Replaced] = []
        self._ops: list[str] = []

    def entry(self, key: str, now: int) -> EntryState | None:
        """Return the live entry under `key`, as the ops before this one left it."""
        record = self._space.entries[key]
        return record if record is not None and record.is_live(now) else None

    def expired(self, key: str, now: int) -> EntryState | None:
        """Return the expired entry under `key` whose delete has not been written yet."""
        record = self._space.entries[key]
        return record if record is not None and record.deleted_at is None and not record.is_live(now) else None

    def row(self, key: str) -> EntryState | None:
        """Return the record under `key`, live or in the trash, as the ops before this one left it."""
        return self._space.entries[key]

    def put(self, record: EntryState) -> None:
        """Put the live `record` under its key."""
        space, value = self._space, record.value
        assert value is not None
        self._replace(record)
        self._creates |= record.version == 1
        space.keys += 1
        space.bytes += record.size
        space.digest = space.digest + record.digest & 0xFFFFFFFF
        if record.expires_at is not None and record.expires_at < space.expires_at:
            space.expires_at = record.expires_at
        self._ops.append(set_op(record.key, value, record.version, record.expires_at))

    def remove(self, record: EntryState) -> None:
        """Put the deleted `record` under its key: in the trash."""
        self._replace(record)
        self._space.trash_bytes += record.size + ROW_BYTES
        self._ops.append(delete_op(record.key))

    @property
    def shrinks(self) -> bool:
        """Return whether the live keys and values take fewer bytes after this write."""
        return self._space.bytes < self._before[1]

    def check_quota(self, quota: Quota) -> None:
        """Raise QuotaExceeded if this write would take the space over its quota; a write that shrinks it never does."""
        space = self._space
        keys, size, _, _, trash = self._before
        if space.quota_keys is not None or space.quota_bytes is not None:
            quota = quota.with_exceptions(space.quota_keys, space.quota_bytes)
        if space.keys > quota.keys and space.keys > keys:
            raise QuotaExceeded(
                f"You have {keys} keys and may have {quota.keys}; delete some first.",
                resource="keys",
                limit=quota.keys,
                used=keys,
            )
        if space.bytes > quota.bytes and space.bytes > size:
            raise QuotaExceeded(
                f"You have {size} bytes and may have {quota.bytes}; delete some first.",
                resource="bytes",
                limit=quota.bytes,
                used=size,
            )
        if self._creates and space.trash_bytes > quota.trash_bytes and space.trash_bytes >= trash:
            raise QuotaExceeded(
                f"Your deleted keys take {trash} bytes, and {quota.trash_bytes} are allowed (RKV_TRASH_BYTES): no new "
                "keys until the server has removed the oldest of them, which takes some minutes. Restoring and "
                "overwriting keys is possible.",
                resource="trash",
                limit=quota.trash_bytes,
                used=trash,
            )

    def undo(self) -> None:
        """Restore the space to its state before this write."""
        space = self._space
        space.keys, space.bytes, space.digest, space.expires_at, space.trash_bytes = self._before
        for key, before, _ in self._replaced:
            space.entries[key] = before

    def rehearse(self, verb: str) -> Outcome:
        """Undo this write, and return the answer that it would have."""
        self.undo()
        return self._answer(verb)

    def accept(self, verb: str, now: int, at: str, op_id: str | None, fingerprint: str) -> Outcome:
        """Keep this write and return its answer; without a change it takes no revision. `at`: `now` as tabs see it."""
        space = self._space
        if self._ops:
            space.revision = self.revision
        answer = self._answer(verb)
        receipt = None
        if op_id is not None:
            text = _encode(answer).decode()
            receipt = space.receipts[op_id] = Receipt(op_id, fingerprint, text, now)
            space.receipt_bytes += charges.of_receipt(op_id, fingerprint, text)
        if self._ops:
            frame, keys = write_frame(self.revision, at, self.origin, self._ops, self.undoes), 0
            for key, _, record in self._replaced:
                space.touched[key] = record
                keys += len(key)
            charge = charges.of_write(frame, keys, len(self._ops))
            space.history_bytes += charge
            space.log.append(LogRecord(self.revision, now, frame, receipt, charge, self._replaced))
            space.weight += weight_of(len(self._ops), frame)
        elif receipt is not None:
            space.passing.append(receipt)
        return answer

    def _answer(self, verb: str) -> Outcome:
        revision = self._space.revision
        if verb == "batch":
            return BatchResult(revision=revision, results=[Raw(_encode(result)) for result in self.results])
        if verb in _ANSWERS:
            result = self.results[0]
            if isinstance(result, Version):
                return WriteResult(revision=revision, version=result.version)
            return DeleteResult(revision=revision, existed=result.existed)
        # a move makes two ops for each key
        return CountResult(revision=revision, count=len(self._ops) // (2 if verb == "move" else 1))

    def _replace(self, record: EntryState) -> None:
        space, key = self._space, record.key
        before = space.entries[key]
        # an expired entry counts until its delete is written, or until it is created anew
        if before is not None and before.deleted_at is None:
            space.keys -= 1
            space.bytes -= before.size
            space.digest = space.digest - before.digest & 0xFFFFFFFF
        elif before is not None:
            space.trash_bytes -= before.size + ROW_BYTES
        space.entries[key] = record
        self._replaced.append((key, before, record))
