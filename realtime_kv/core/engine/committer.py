"""Commit pipeline: load, evaluate and log a group of writes; later, flush many commits to the tables at a time.

Invariants:
1. Only this module changes a space.
2. It runs on the writer's thread, inside its transactions.
3. The results of a transaction count once `on_commit` says that it is durable; after `invalidate` all state is read
   again.
"""

from collections.abc import Iterable, Sequence

from realtime_kv.core.backend import DiskReserve
from realtime_kv.core.domain.space import KIB_WEIGHT, Outcome, Quota, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine import loader
from realtime_kv.core.engine.evaluate import replay
from realtime_kv.core.engine.group import GroupCommitter, OnLimit
from realtime_kv.core.engine.transactions import AnyIndexRequest
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.statements import MIN_TRIM_BYTES
from realtime_kv.core.writers import LogFirstWriter
from realtime_kv.errors import Refusal

# how far the log may be ahead of the tables, by `space.weight_of`: a crash leaves this much to flush at the next start,
# and an urgent read may have to wait for as much
BACKLOG = 16384
# how far the history index may lag under a load without pauses, in rows: indexing this many takes about three seconds
# when a caller asks for the history; a shorter burst is not slowed down by it
INDEX_BACKLOG = 262_144


class Committer(GroupCommitter):
    """Converts groups of writes into rows of the log, and the log into the tables."""

    def __init__(
        self, db: LogFirstWriter, epoch: str, quota: Quota, reserve: DiskReserve, on_limit: OnLimit = lambda *_: None
    ) -> None:
        super().__init__(epoch, quota, reserve, on_limit)
        self._db = db
        self._index = db.index
        self._complete = True
        self._flushed: list[int] = []

    @property
    def has_backlog(self) -> bool:
        """Return whether there is something to flush."""
        return bool(self.memtable.ahead)

    @property
    def last_row(self) -> int:
        """The last row of the log."""
        return self.memtable.last_row

    @property
    def indexed(self) -> int:
        """The last row of the log that is indexed."""
        return self._index.row

    @property
    def index_lags(self) -> bool:
        """Return whether the history index has work for an idle moment."""
        return self.indexed < self.last_row

    def is_behind(self, user_id: int, *, indexed: bool = False) -> bool:
        """Return whether reads of this user's tables (with `indexed`: and of the index) have to wait for a flush.

        May be called from any thread.
        """
        return self.memtable.has_unflushed(user_id) or (indexed and self.index_lags)

    def recover(self) -> None:
        """Load the writes that the tables lack from the log."""
        self._complete = False
        self._replay_log()

    def commit(self, writes: list[WriteRequest], now: int) -> tuple[list[Outcome | Refusal], list[CommitEvent]]:
        """Log a group; return the outcomes in its order, and the events for watchers. A refused write fails alone."""
        self._replay_log()
        db, memtable, room = self._db, self.memtable, self._db.measure_disk()
        loader.load(db, memtable, writes, now)
        outcomes = self._evaluate(writes, now, room)
        loader.save_passing(db, self._open)
        weight = 0
        for space in self._open:
            if space.log:
                weight += space.weight
                memtable.mark_unflushed(space.user_id, memtable.last_row + 1, space.weight)
        self._reserve.wrote(weight * 1024 // KIB_WEIGHT)
        memtable.last_row = db.append_log(self._open, memtable.last_row)
        if memtable.backlog > BACKLOG:
            self.flush(memtable.oldest_unflushed(BACKLOG))
        if memtable.last_row - self._index.row > INDEX_BACKLOG:
            self._index.step(memtable.last_row)
        for space in self._open:
            if space.history_bytes > self.quota.history_bytes and space.log:
                self._trim(space)
        return outcomes, [space.committed(self.epoch) for space in self._open if space.log]

    def flush(self, users: Iterable[int] | None = None) -> None:
        """Bring the tables of these users, or of all, up to date."""
        self._replay_log()
        memtable = self.memtable
        self._flushed = [
            user_id for user_id in (memtable.ahead if users is None else users) if user_id in memtable.ahead
        ]
        if not self._flushed:
            return
        spaces = [memtable.spaces[user_id] for user_id in self._flushed]
        db = self._db
        db.save_entries([(space, record) for space in spaces for record in memtable.unflushed(space)])
        db.save_receipts([(space, receipt) for space in spaces for receipt in space.receipts.values()])
        db.save_spaces(spaces)
        db.save_flushed_row(memtable.flush_low_watermark(set(self._flushed)) - 1)

    def index(self) -> None:
        """Index one step of the log."""
        self._replay_log()
        self._index.brief_step(self.memtable.last_row)

    def index_for(self, requests: Sequence[AnyIndexRequest]) -> list[AnyIndexRequest]:
        """Index one step if the index lacks a row that these requests need; return those that need more steps."""
        self._replay_log()
        last_row = self.memtable.last_row
        for request in requests:
            # older data, with a shorter log, may have replaced the data that the request was for
            request.until = last_row if request.until is None else min(request.until, last_row)
        if any((request.until or 0) > self._index.reached for request in requests):
            self._index.brief_step(last_row)
        return [request for request in requests if (request.until or 0) > self._index.reached]

    def prepare_plan(self, write: WriteRequest, now: int) -> bool:
        """Do one step for a planned write: flush the tables for its plan, then index the log, then plan.

        Return whether that was the last step. Other users' writes between the steps do not matter: no plan reads them.
        """
        self.flush([write.user_id])
        if write.plan is None:
            return True
        if write.plan.indexed and not self._index_for(write):
            return False
        return self._make_plan(self._db, write, write.plan, now)

    def _index_for(self, write: WriteRequest) -> bool:
        """Index one step; return whether the index has all rows that the log had when the write arrived."""
        last_row = self.memtable.last_row
        # older data, with a shorter log, may have replaced the data that the write was for
        write.until = last_row if write.until is None else min(write.until, last_row)
        return self._index.row >= write.until or self._index.brief_step(last_row) >= write.until

    def on_commit(self) -> None:
        """Publish the results of the transaction, which is now durable."""
        for space in self._open:
            self.memtable.publish(space)
        for user_id in self._flushed:
            self.memtable.flushed(user_id)
        self._open, self._flushed = [], []
        self._index.accept()
        self.memtable.make_room()

    def invalidate(self) -> None:
        """Drop all cached state: the transaction was rolled back, or something else has written to the tables."""
        self._open, self._flushed = [], []
        self._index.forget()
        self.memtable.invalidate()
        self._complete = False

    def _load(self, write: WriteRequest, now: int) -> None:
        loader.load(self._db, self.memtable, [write], now)

    def _trim(self, space: Space) -> None:
        """Remove about twice as much of this user's history as this transaction adds, oldest first.

        It goes no further than the tables and the index; both follow the log closely enough.
        """
        limit, wanted = self.quota.history_bytes, 2 * sum(write.charge for write in space.log)
        # not one step per write: other users' writes since then may have to be indexed first
        steps = 1 + wanted // self._index.step_bytes
        flushed = self._db.flushed_revision(space.user_id)
        while wanted > 0 and space.history_bytes > limit:
            done = self._db.trim_history(space.user_id, space.trimmed, flushed, wanted)
            if done is not None:
                wanted -= max(done.bytes, MIN_TRIM_BYTES)
                space.trimmed = done.until
                space.history_bytes -= done.bytes
            elif steps and self._index.reached < self.memtable.last_row:
                steps -= 1
                self._index.step(self.memtable.last_row)
            else:
                break

    def _replay_log(self) -> None:
        """Load the spaces whose tables lag behind the log, and replay the writes that they lack."""
        if self._complete:
            return
        for space, writes in loader.load_lagging(self._db, self.memtable):
            for write in writes:
                replay(write, space)
            self.memtable.publish(space)
        self._index.load()
        self._complete = True
