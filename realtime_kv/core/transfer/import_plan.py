"""Import plan: compares a file with the space, and checks it to its last line before anything is written.

The plan is kept in a file, not in memory. Steps that make the space smaller come first, so that no quota stops a plan
whose result is within it. Every op has the revision that it was planned against, so that no other write is overwritten
unseen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from realtime_kv.core.backend import COMPARE_STEP, BackendReader
from realtime_kv.core.domain.operations import Delete, Op, Set
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.transfer import import_reader
from realtime_kv.core.transfer.import_reader import ImportEntry
from realtime_kv.core.validation import TTL_SECONDS
from realtime_kv.errors import BadRequest, Forbidden, QuotaExceeded

Mode = Literal["merge", "skip", "replace"]
MODES: tuple[Mode, ...] = get_args(Mode)

# maximum of one write of an import: this many ops, or this many bytes (of the values that it writes and replaces,
# because undoing it is a write as well) and one entry more; tabs receive larger changes every day
WRITE_OPS = 1000
WRITE_BYTES = 1024 * 1024


class Counts(Struct, kw_only=True):
    """Results for the entries of a file, and for those that it does not have.

    `skipped` exist already and stay as they are; `expired` had expired; `outside` have another prefix.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    skipped: int = 0
    expired: int = 0
    outside: int = 0

    @property
    def writes(self) -> int:
        """The number of ops."""
        return self.added + self.changed + self.removed


class Step(Struct, gc=False):
    """An op in the plan: a delete if `value` is None; it counts as `what` of the counts.

    `replaces` is the number of bytes that it replaces.
    """

    what: str
    key: str
    value: str | None
    if_revision: int
    replaces: int
    expires_at: int | UnsetType | None = UNSET

    def op(self) -> Op:
        if self.value is None:
            return Delete(self.key, self.if_revision)
        return Set(self.key, self.value, self.if_revision, expires_at=self.expires_at)


_decode_step = msgspec.json.Decoder(Step).decode


@dataclass
class ImportPlan:
    """Plan of an import; `smaller` and `larger` hold the steps that shrink and grow the space, in writing order."""

    smaller: BinaryIO
    larger: BinaryIO
    revision: int = 0
    counts: Counts = field(default_factory=Counts)

    def add(self, step: Step, grows: bool) -> None:
        (self.larger if grows else self.smaller).write(msgspec.json.encode(step) + b"\n")

    def writes(self) -> Iterator[list[Step]]:
        """Yield the steps of each write."""
        steps: list[Step] = []
        size = 0
        for file in (self.smaller, self.larger):
            file.seek(0)
            for line in file:
                step = _decode_step(line)
                steps.append(step)
                size += len(line) + step.replaces
                if len(steps) >= WRITE_OPS or size >= WRITE_BYTES:
                    yield steps
                    steps, size = [], 0
        if steps:
            yield steps


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import: only keys under `prefix` count; others are left out or, outside `own`, refused.

    `own` is the prefix that the caller is limited to.
    """

    format: import_reader.Format
    mode: Mode
    prefix: str = ""
    own: str | None = None


class ImportPlanner:
    """Reads a file against one snapshot of the space, and fills a plan."""

    def __init__(self, db: BackendReader, user_id: int, now: int, asked: ImportOptions, plan: ImportPlan) -> None:
        self._db = db
        self._user_id = user_id
        self._now = now
        self._asked = asked
        self._plan = plan
        self._keys = 0
        self._bytes = 0
        self._grows = False
        # by key: whether the file wants it to exist
        self._seen: dict[str, bool] = {}

    def make(self, file: BinaryIO, value_bytes: int, quota: Quota) -> None:
        """Fill the plan. Raises as `items.read` does, BadRequest for a duplicate key, Forbidden, QuotaExceeded."""
        with self._db.snapshot():
            self._plan.revision = self._db.revision(self._user_id)
            usage = self._db.usage(self._user_id)
            quota = quota.with_exceptions(*self._db.quota(self._user_id))
            most = max(quota.keys, usage.keys)
            some: list[ImportEntry] = []
            for item in import_reader.read(file, self._asked.format, value_bytes):
                if self._counts(item):
                    some.append(item)
                if len(self._seen) > most:
                    raise QuotaExceeded(f"The file has more keys than the {most} that you may have.", limit=quota.keys)
                if len(some) == COMPARE_STEP:
                    self._compare(some)
                    some.clear()
            self._compare(some)
            if self._asked.mode == "replace":
                self._remove_others()
        self._check_quota(quota, usage.keys, usage.bytes)

    def _counts(self, item: ImportEntry) -> bool:
        """Return whether this item has to be compared with the space."""
        asked, counts, extra = self._asked, self._plan.counts, {"line": item.line, "key": item.key}
        if not item.key.startswith(asked.prefix):
            if asked.own is not None and not item.key.startswith(asked.own):
                raise Forbidden(f"Line {item.line}: this token is limited to another prefix.", **extra)
            counts.outside += 1
            return False
        if item.key in self._seen:
            raise BadRequest(f"Line {item.line}: the key {item.key!r} occurs twice in the file.", **extra)
        over = isinstance(item.expires_at, int) and item.expires_at <= self._now
        self._seen[item.key] = not over
        if isinstance(item.expires_at, int) and item.expires_at > self._now + TTL_SECONDS * 1000:
            raise BadRequest(f"Line {item.line}: `expires_at` is more than 100 years away.", **extra)
        counts.expired += over
        return not over

    def _compare(self, some: list[ImportEntry]) -> None:
        found = self._db.compare(self._user_id, [(item.key, item.value) for item in some])
        existing = {row[0]: row[1:] for row in found}
        for n, item in enumerate(some):
            revision, size, same, expires_at = existing.get(n, (0, 0, 0, None))
            live = bool(revision) and (expires_at is None or expires_at > self._now)
            self._judge(item, revision if live else 0, size, bool(same) and item.expires_at in (UNSET, expires_at))

    def _judge(self, item: ImportEntry, revision: int, size: int, same: bool) -> None:
        """Plan the item; `revision` is 0 if there is no such key, `size` is the quota that it takes nevertheless."""
        counts, plan = self._plan.counts, self._plan
        if revision and same:
            counts.unchanged += 1
            return
        if revision and self._asked.mode == "skip":
            counts.skipped += 1
            return
        grown = len(item.key.encode()) + len(item.value.encode()) - size
        self._bytes += grown
        if not size:
            self._keys += 1
        grows = grown > 0
        self._grows |= grows
        what = "changed" if revision else "added"
        setattr(counts, what, getattr(counts, what) + 1)
        plan.add(Step(what, item.key, item.value, revision, size, item.expires_at), grows)

    def _remove_others(self) -> None:
        prefix = self._asked.prefix
        after: str | None = None
        while True:
            found = self._db.keys_under(self._user_id, self._now, after, prefix, WRITE_OPS)
            for key, revision, size in found:
                if not self._seen.get(key):
                    self._keys -= 1
                    self._bytes -= size
                    self._plan.counts.removed += 1
                    self._plan.add(Step("removed", key, None, revision, size), grows=False)
            if len(found) < WRITE_OPS:
                return
            after = found[-1][0]

    def _check_quota(self, quota: Quota, keys: int, size: int) -> None:
        if self._plan.counts.added and keys + self._keys > quota.keys:
            raise QuotaExceeded(
                f"The import would make {keys + self._keys} keys, and you may have {quota.keys}.",
                limit=quota.keys,
                used=keys,
            )
        if self._grows and size + self._bytes > quota.bytes:
            raise QuotaExceeded(
                f"The import would make {size + self._bytes} bytes, and you may have {quota.bytes}.",
                limit=quota.bytes,
                used=size,
            )


def largest(quota: Quota) -> int:
    """Return the maximum size of a file in bytes: any export has fewer, and it may be indented."""
    return 2 * quota.bytes + 512 * quota.keys
