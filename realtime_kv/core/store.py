"""The key/value store, as the application's services call it: the verbs, and `watch`.

Invariants:
1. A write takes its owner's next revision inside its transaction, so one user's revisions have no gaps and commit in
   order.
2. Watchers are called after a write is durable and before its caller gets the outcome; a failing watcher cannot undo
   it.

Longer than 320 lines: one method for each verb, with its contract.
"""

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from msgspec import UNSET, UnsetType

from realtime_kv.caller import Caller
from realtime_kv.clock import DAY, now_ms
from realtime_kv.concurrency.fair_pool import Client, FairWorkerPool
from realtime_kv.concurrency.runtime import Future, Runtime
from realtime_kv.core import validation
from realtime_kv.core.backend import Backend, BackendReader, Fault, ReadStep, own_error
from realtime_kv.core.bulk.prefix_operations import Copy, DeletePrefix, Move, measured
from realtime_kv.core.bulk.restore_undo import RestorePlan, UndoPlan
from realtime_kv.core.domain import idempotency, permissions
from realtime_kv.core.domain.operations import Delete, Op, Set
from realtime_kv.core.domain.record import get_result
from realtime_kv.core.domain.space import Quota, Usage
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.committer import Committer
from realtime_kv.core.engine.dry_run import rehearse
from realtime_kv.core.engine.group import OnLimit
from realtime_kv.core.engine.read_scheduler import Charge, ReadScheduler
from realtime_kv.core.engine.write_queue import WEIGHT_BYTES
from realtime_kv.core.engine.write_through import WriteThroughCommitter
from realtime_kv.core.engine.writer import Writer
from realtime_kv.core.messages import (
    BatchResult,
    Bookmark,
    CommitEvent,
    CountResult,
    DeleteResult,
    GetResult,
    HistoryPage,
    ListPage,
    SyncPage,
    TrashPage,
    WriteResult,
)
from realtime_kv.core.writers import BackendWriter, LogFirstWriter, WriteThroughWriter
from realtime_kv.errors import BadRequest, TooLarge, Unavailable
from realtime_kv.metrics.latency import LatencyStats

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_OPS = 128
# one reader is kept for cheap reads; with two processors, two for expensive reads would slow everything else down
READERS = 3 if (os.cpu_count() or 1) > 2 else 2
# the part of a processor that one user's reads may take without rests, if rates are limited
READER_SHARE = 0.15


class Store:
    """All users' spaces. All answers are futures; an error in a request itself is raised immediately."""

    def __init__(
        self,
        backend: Backend,
        runtime: Runtime,
        *,
        quota: Quota | None = None,
        value_bytes: int = validation.VALUE_BYTES,
        trash_days: int = 30,
        reader_share: float | None = None,
        clock: Callable[[], int] = now_ms,
        on_fatal: Callable[[BaseException], None] = lambda _: None,
        on_limit: Callable[[Client], None] = lambda _: None,
        on_hold: Callable[[Client], None] = lambda _: None,
        on_refusal: OnLimit = lambda *_: None,
    ) -> None:
        """`reader_share` is the part of a processor that one user's reads may take without rests; None for all.

        Called on any thread: `on_limit` with the client whose reads were refused because too many were waiting,
        `on_hold` with the client whose reads are held back because of their share, `on_refusal` for writes that a
        limit of the user or the disk refused.
        """
        self.runtime = runtime
        self.backend = backend
        self.reserve = backend.reserve
        self.quota = quota or Quota()
        self.value_bytes = value_bytes
        self.trash_ms = trash_days * DAY
        self.clock = clock
        # the transports count their answered verbs here
        self.latency = LatencyStats()
        db = backend.open_writer(runtime, on_fatal)
        self._committer = _committer(backend, db, self.quota, on_refusal)
        self._memtable = self._committer.memtable
        self.writer = Writer(backend, db, self._committer, runtime, clock, on_fatal)
        self._on_fatal = on_fatal
        self._on_refusal = on_refusal

        self.readers = FairWorkerPool(
            runtime,
            "reader",
            threads=READERS,
            resource=backend.open_reader,
            user_share=reader_share,
            on_limit=on_limit,
            on_hold=on_hold,
            on_error=self.check_error,
        )
        # for resolving callers, and the few account rows that signing in and out reads: short work only
        self.identity = FairWorkerPool(
            runtime,
            "identity",
            threads=1,
            resource=backend.open_reader,
            max_running=1,
            on_limit=on_limit,
            on_error=self.check_error,
        )
        self._readings = ReadScheduler(runtime, self.readers, self._up_to_date)

    def check_error(self, error: BaseException) -> BaseException:
        """Return the error for the caller of a failed read.

        A damaged database is fatal, even if writing to it still works.
        """
        fault = self.backend.fault(error)
        if fault is Fault.DAMAGED:
            self._on_fatal(error)
        if fault is not Fault.TRANSIENT:
            return error
        log.warning("a read failed: %r", own_error(error))
        return Unavailable()

    def get(self, caller: Caller, key: str) -> Future[GetResult]:
        """Return the entry under `key`. Raises InvalidKey and Forbidden immediately; fails with NotFound."""
        validation.check_key(key)
        permissions.check_key(caller, key)
        user_id, now = caller.user_id, self.clock()
        record = self._memtable.get(user_id, key)
        # a flush removes the value, because the table has it from then on
        value = None if record is None else record.value
        if record is None or (value is None and record.deleted_at is None):
            client = Client(user_id, caller.session_id, caller)
            return self.readers.submit(
                lambda reader: reader.get(user_id, key, now),
                client,
                kind="get",
                expected_ms=0.1,
            )
        return Future.called(lambda: get_result(record, value, now))

    def list(
        self, caller: Caller, *, prefix: str = "", after: str | None = None, limit: int = 100, values: bool = True
    ) -> Future[ListPage]:
        """Return up to `limit` entries under `prefix` behind `after`, in byte order of their keys.

        A caller with a prefix gets only the entries under it. Raises Forbidden immediately.
        """
        prefix = permissions.narrowed(caller, prefix)
        user_id, now = caller.user_id, self.clock()
        return self._read(
            caller,
            lambda db, cost: db.list_page(cost, user_id, now, prefix=prefix, after=after, limit=limit, values=values),
            "list",
        )

    def sync(
        self, caller: Caller, *, epoch: str | None = None, since: int | None = None, next: str | None = None
    ) -> Future[SyncPage]:
        """Return the changes that a client at `(epoch, since)` lacks; if they are unknown, all entries, marked `reset`.

        For a caller with a prefix, the answer covers the keys under it, without proof (`keys`, `digest`).
        """
        user_id, prefix = caller.user_id, caller.prefix
        return self._read(
            caller,
            lambda db, cost: db.sync_page(cost, user_id, epoch=epoch, since=since, next=next, prefix=prefix),
            "sync",
        )

    def history(
        self, caller: Caller, *, key: str | None = None, before: int | None = None, limit: int = 100
    ) -> Future[HistoryPage]:
        """Return up to `limit` writes before the revision `before`, newest first: of one key, or of the whole space.

        A caller with a prefix gets only the ops on keys under it. Raises InvalidKey, Forbidden immediately.
        """
        if key is not None:
            permissions.check_key(caller, validation.check_key(key))
        user_id, prefix = caller.user_id, caller.prefix
        return self._read(
            caller,
            lambda db, cost: db.history_page(cost, user_id, key=key, before=before, limit=limit, prefix=prefix),
            "history",
            indexed=True,
        )

    def trash(
        self, caller: Caller, *, prefix: str = "", after: str | None = None, limit: int = 100
    ) -> Future[TrashPage]:
        """Return up to `limit` deleted keys under `prefix` behind `after`, in byte order; narrowed as in `list`."""
        prefix = permissions.narrowed(caller, prefix)
        user_id, kept = caller.user_id, self.trash_ms
        return self._read(
            caller,
            lambda db, cost: db.trash_page(cost, user_id, kept, prefix=prefix, after=after, limit=limit),
            "trash",
        )

    def bookmark(self, user_id: int) -> Future[Bookmark]:
        """Return the bookmark of a user's space, read from the database."""
        return self._readings.submit(
            Caller.system(user_id, "", "bookmark"), lambda db, _: db.bookmark(user_id), "bookmark"
        )

    def usage(self, caller: Caller) -> Future[Usage]:
        """Return how much of their quota the caller uses; for a caller with a prefix, only the keys under it."""
        user_id, prefix = caller.user_id, caller.prefix
        if prefix is not None:
            return self._read(caller, lambda db, cost: db.usage_under(cost, user_id, prefix), "measure")
        usage: Future[Usage] = Future()

        def flushed(flush: Future[None]) -> None:
            if flush.failed:
                usage.become(flush)  # type: ignore[arg-type]
            else:
                usage.become(self._identify(caller, lambda db: db.usage(user_id)))

        self.flush_user(user_id).then(flushed)
        return usage

    def quota_of(self, caller: Caller) -> Future[Quota]:
        """Return the quota of the caller."""
        return self._identify(caller, lambda db: self.quota.with_exceptions(*db.quota(caller.user_id)))

    def charge_with(self, charge: Charge) -> None:
        """Set the function that charges for reads, bulk writes and dry runs once their cost is known."""
        self._readings.charge = charge

    def abandon(self, caller: Caller) -> None:
        """Drop the reads of `caller` (this very object), whose connection has closed. Its writes are still executed."""
        self._readings.abandon(caller)

    def end_session(self, user_id: int, session_id: int) -> None:
        """Refuse the waiting reads of a session that has ended. The writer refuses its writes."""
        self._readings.end_session(user_id, session_id)

    def set(
        self,
        caller: Caller,
        key: str,
        value: bytes,
        *,
        if_revision: int | None = None,
        ttl: float | UnsetType | None = UNSET,
        op_id: str | None = None,
    ) -> Future[WriteResult]:
        """Write `value` (JSON) under `key`; the future resolves once the write is durable.

        With `if_revision`, write only if the entry is still at that revision; 0 means "only if new". With a `ttl` the
        entry expires after that many seconds, with None never; without one it keeps its expiry. Raises BadRequest,
        InvalidKey, InvalidValue, TooLarge, Forbidden immediately; the future fails with Conflict, QuotaExceeded,
        Unavailable.
        """
        op = self.set_op(key, value, if_revision, ttl)
        return self._write(WriteRequest(caller, "set", [op], op_id, bytes_weight=len(op.value) // WEIGHT_BYTES))

    def delete(
        self, caller: Caller, key: str, *, if_revision: int | None = None, op_id: str | None = None
    ) -> Future[DeleteResult]:
        """Delete `key` softly; an absent key is no error and writes nothing."""
        return self._write(WriteRequest(caller, "delete", [Delete(validation.check_key(key), if_revision)], op_id))

    def batch(self, caller: Caller, ops: Sequence[Op], *, op_id: str | None = None) -> Future[BatchResult]:
        """Write all of `ops` or none, as one write. Make the ops with `set_op` and `delete_op`."""
        check_batch_size(len(ops))
        seen: dict[str, int] = {}
        for index, op in enumerate(ops):
            if op.key in seen:
                raise BadRequest("A key may occur only once in a batch.", field="ops", index=index)
            seen[op.key] = index
        return self._write(WriteRequest(caller, "batch", list(ops), op_id, bytes_weight=_bytes_weight(ops)))

    def carry_in(self, caller: Caller, ops: Sequence[Op]) -> Future[CountResult]:
        """Write a part of an import as one write; `origin.via` says so. Each key appears once, with `if_revision`."""
        return self._write(WriteRequest(caller.as_via("import"), "import", list(ops), bytes_weight=_bytes_weight(ops)))

    def flush_user(self, user_id: int) -> Future[None]:
        """Flush this user's acknowledged writes; the future resolves once the tables have them."""
        if not self._committer.is_behind(user_id):
            return Future.called(lambda: None)
        return self.writer.flush(user_id)

    def restore(
        self,
        caller: Caller,
        key: str,
        *,
        revision: int | None = None,
        if_revision: int | None = None,
        op_id: str | None = None,
    ) -> Future[WriteResult]:
        """Write an earlier value of `key` again: the last one of a deleted key, or the one that it had at `revision`.

        Raises InvalidKey, Forbidden immediately; fails with NotFound, BadRequest, Conflict, QuotaExceeded.
        """
        permissions.check_key(caller, validation.check_key(key))
        return self._write(WriteRequest(caller, "restore", [], op_id, plan=RestorePlan(key, revision, if_revision)))

    def undo(
        self, caller: Caller, revision: int, *, dry_run: bool = False, op_id: str | None = None
    ) -> Future[CountResult]:
        """Put back what the write of `revision` replaced, as one write; every key must be as that write left it.

        Fails with NotFound, Conflict, Forbidden, QuotaExceeded. A dry run is evaluated, but writes and remembers
        nothing.
        """
        return self._write(
            WriteRequest(caller, "undo", [], op_id, plan=UndoPlan(revision), dry_run=dry_run, undoes=revision)
        )

    def delete_prefix(
        self, caller: Caller, prefix: str, *, dry_run: bool = False, op_id: str | None = None
    ) -> Future[CountResult]:
        """Delete every key that begins with `prefix` (all keys if it is empty), as one write.

        Raises InvalidKey, Forbidden immediately; fails with TooLarge. A dry run only counts the keys.
        """
        if prefix:
            validation.check_key(prefix)
        return self._write_under(caller, "delete_prefix", DeletePrefix(prefix), prefix, dry_run, op_id)

    def move(
        self, caller: Caller, from_: str, to: str, *, dry_run: bool = False, op_id: str | None = None
    ) -> Future[CountResult]:
        """Move one key, or every key under a prefix that ends in `/`, as one write.

        The new keys begin at version 1 and keep the expiry of the old ones. Raises BadRequest, InvalidKey, Forbidden
        immediately; fails with NotFound, Conflict, TooLarge, InvalidKey, QuotaExceeded.
        """
        return self._write_under(caller, "move", Move(from_, to), from_, dry_run, op_id)

    def copy(
        self, caller: Caller, from_: str, to: str, *, dry_run: bool = False, op_id: str | None = None
    ) -> Future[CountResult]:
        """Like `move`, but keep the source."""
        return self._write_under(caller, "copy", Copy(from_, to), from_, dry_run, op_id)

    def set_op(
        self, key: str, value: bytes, if_revision: int | None = None, ttl: float | UnsetType | None = UNSET
    ) -> Set:
        """Return a set for a batch. Raises BadRequest, InvalidKey, InvalidValue, TooLarge."""
        validation.check_key(key)
        if ttl is not UNSET and ttl is not None:
            ttl = validation.check_ttl(ttl)
        checked = validation.check_value(value, self.value_bytes)
        return Set(key, checked.text, if_revision, checked.canonical, ttl)

    def delete_op(self, key: str, if_revision: int | None = None) -> Delete:
        """Return a delete for a batch. Raises InvalidKey."""
        return Delete(validation.check_key(key), if_revision)

    def watch(self, fn: Callable[[Sequence[CommitEvent]], None]) -> None:
        """Call `fn` on the event loop's thread after each commit, before the futures resolve."""
        self.writer.watch(fn)

    @property
    def epoch(self) -> str:
        """The name of this data set."""
        return self._committer.epoch

    def replace(self, fn: Callable[[Any], T]) -> Future[T]:
        """Let `fn`, given the driver's writing connection, replace the data set."""

        def replace(db: Any) -> T:
            try:
                return fn(db)
            finally:
                # even if `fn` failed: later commits must name the data set that they belong to
                self._committer.epoch = self.backend.epoch()

        return self.writer.run_exclusive(replace)

    def metrics(self) -> dict[str, float]:
        """Return how much was written, how it was grouped, and how long verbs take."""
        return {
            "writes_total": self.writer.writes,
            "commits_total": self.writer.groups,
            "writes_queued": self.writer.queued,
            "reads_queued": self.readers.waiting,
            "identity_requests_queued": self.identity.waiting,
            **self.reserve.metrics(),
            **self.latency.metrics(),
        }

    def stop(self) -> None:
        """Finish queued work, then close; nothing more is accepted."""
        self.readers.stop()
        self.identity.stop()
        self.writer.stop()

    def _write(self, write: WriteRequest) -> Future[Any]:
        # every writing verb goes through here
        if write.caller.is_limited:
            permissions.check_write(write.caller, write.verb, write.ops)
        if write.op_id is not None:
            validation.check_op_id(write.op_id)
            if write.dry_run:
                # a dry run leaves nothing behind, so there is nothing to repeat
                write.op_id = None
            else:
                write.fingerprint = idempotency.of(write)
                if write.caller.is_limited:
                    write.op_id = write.caller.receipt_namespace + write.op_id
        if write.plan is not None:
            if write.dry_run:
                return self._rehearse(write)
            write.future.then(partial(self._charge_plan, write))
        try:
            self.writer.submit(write)
        except Unavailable:
            self._on_refusal("writes_waiting", write.user_id, write.caller.session or None)
            raise
        return write.future

    def _rehearse(self, write: WriteRequest) -> Future[Any]:
        """Plan and evaluate a dry run on a reader."""
        now, plan = self.clock(), write.plan
        return self._read(
            write.caller,
            lambda db, cost: rehearse(db, cost, write, self.quota, now),
            "dry_run",
            expected_ms=10.0,
            indexed=plan is not None and plan.indexed,
        )

    def _charge_plan(self, write: WriteRequest, _: Future[Any]) -> None:
        """Charge for a planned write, whose cost is known once it is planned."""
        if write.planning is not None:
            self._readings.charge(write.caller, write.planning.cost.units)

    def _write_under(
        self,
        caller: Caller,
        verb: str,
        plan: DeletePrefix | Copy,
        prefix: str,
        dry_run: bool,
        op_id: str | None,
    ) -> Future[CountResult]:
        for place in plan.places:
            permissions.check_key(caller, place)
        written = self._write(WriteRequest(caller, verb, [], op_id, plan=plan, dry_run=dry_run))
        user_id, now = caller.user_id, self.clock()
        return measured(
            written,
            lambda: self._read(
                caller, lambda db, cost: db.measure(cost, user_id, prefix, now), "measure", expected_ms=5.0
            ),
        )

    def _read(
        self, caller: Caller, step: ReadStep, kind: str, *, expected_ms: float = 1.0, indexed: bool = False
    ) -> Future[Any]:
        """Read a user's tables after bringing them up to date; with `indexed`, the history index too."""
        return self._readings.submit(caller, step, kind, expected_ms=expected_ms, indexed=indexed)

    def _up_to_date(self, user_id: int, *, indexed: bool) -> Future[None] | None:
        if not self._committer.is_behind(user_id, indexed=indexed):
            return None
        return self.writer.flush(user_id, indexed=indexed)

    def _identify(self, caller: Caller, fn: Callable[[BackendReader], T]) -> Future[T]:
        return self.identity.submit(
            fn,
            Client(caller.user_id, caller.session_id, caller),
            kind="identity",
            expected_ms=0.2,
        )


def _committer(
    backend: Backend, db: BackendWriter, quota: Quota, on_limit: OnLimit
) -> Committer | WriteThroughCommitter:
    if backend.exclusive:
        return Committer(cast(LogFirstWriter, db), backend.epoch(), quota, backend.reserve, on_limit)
    return WriteThroughCommitter(cast(WriteThroughWriter, db), backend.epoch(), quota, backend.reserve, on_limit)


def _bytes_weight(ops: Sequence[Op]) -> int:
    return sum(len(op.value) for op in ops if isinstance(op, Set)) // WEIGHT_BYTES


def check_batch_size(count: int) -> None:
    """Raise BadRequest for an empty batch, TooLarge for one with too many ops."""
    if not count:
        raise BadRequest("A batch needs at least one op.", field="ops")
    if count > BATCH_OPS:
        raise TooLarge(f"That batch has {count} ops; {BATCH_OPS} are allowed.", limit=BATCH_OPS, actual=count)
