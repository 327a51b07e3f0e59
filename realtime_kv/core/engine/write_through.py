"""Write-through committer: one transaction writes a group to the log and to all tables, so nothing lags behind.

Invariants:
1. The rows of `spaces` that a group writes to are locked before anything else is read, in order of their user ids.
2. Cached state is used only under that lock, and only if the locked row has the revision and the guard that the cache
   has: another process may have written, or ended a session.
3. The results of a transaction count once `on_commit` says that it is durable; after `invalidate` all state is read
   again.
"""

from collections.abc import Iterable, Sequence

from realtime_kv.caller import SYSTEM_SESSION
from realtime_kv.core.backend import DiskReserve
from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import Outcome, Quota, Receipt, Space
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.group import GroupCommitter, OnLimit
from realtime_kv.core.engine.loader import lacks_value
from realtime_kv.core.engine.transactions import AnyIndexRequest
from realtime_kv.core.messages import CommitEvent, digest_of
from realtime_kv.core.statements import MIN_TRIM_BYTES
from realtime_kv.core.writers import GroupRows, GroupWants, WriteThroughWriter
from realtime_kv.errors import Refusal

_NOTHING: dict[str, EntryState | None] = {}


class WriteThroughCommitter(GroupCommitter):
    """Turns groups of writes into rows of all tables."""

    has_backlog = False
    index_lags = False

    def __init__(
        self,
        db: WriteThroughWriter,
        epoch: str,
        quota: Quota,
        reserve: DiskReserve,
        on_limit: OnLimit = lambda *_: None,
    ) -> None:
        super().__init__(epoch, quota, reserve, on_limit)
        self._db = db
        # by user id: the guard of the cached space
        self._guards: dict[int, int] = {}
        # users whose history is over its limit, with the bytes to remove
        self._overfull: dict[int, int] = {}

    def is_behind(self, user_id: int, *, indexed: bool = False) -> bool:
        """Return whether reads of this user's tables (with `indexed`: and of the index) have to wait for a flush."""
        return indexed

    def recover(self) -> None:
        """Do nothing: the tables have everything that the log has."""

    def commit(self, writes: list[WriteRequest], now: int) -> tuple[list[Outcome | Refusal], list[CommitEvent]]:
        """Write a group; return the outcomes in its order, and the events for watchers. A refused write fails alone."""
        self._trim()
        room = self._db.measure_disk()
        self._load_group(writes, now)
        outcomes = self._evaluate(writes, now, room)
        written = [space for space in self._open if space.log]
        receipts = [(space, receipt) for space in self._open for receipt in _new_receipts(space)]
        if written or receipts:
            self._db.save_group(written, receipts)
        for space in written:
            if space.history_bytes > self.quota.history_bytes:
                self._overfull[space.user_id] = 2 * sum(write.charge for write in space.log)
        return outcomes, [space.committed(self.epoch) for space in written]

    def flush(self, users: Iterable[int] | None = None) -> None:
        """Do nothing: the tables have everything."""

    def index(self) -> None:
        """Do nothing: the index of a user's history is completed when it is needed."""

    def index_for(self, requests: Sequence[AnyIndexRequest]) -> list[AnyIndexRequest]:
        """Index one step of each user's history; return the requests that need more steps.

        A request for all users needs none: trimming completes the index of the users that it trims.
        """
        users = {request.user_id for request in requests if request.user_id is not None}
        unfinished = {user_id for user_id in users if not self._db.index_history(user_id)}
        return [request for request in requests if request.user_id in unfinished]

    def prepare_plan(self, write: WriteRequest, now: int) -> bool:
        """Do one step for a planned write: index its user's history, then plan; return whether it was the last."""
        if write.plan is None:
            return True
        if write.plan.indexed and write.planning is None and not self._db.index_history(write.user_id):
            return False
        return self._make_plan(self._db, write, write.plan, now)

    def on_commit(self) -> None:
        """Publish the results of the transaction, which is now durable."""
        for space in self._open:
            for record in space.touched.values():
                record.value = None
            space.begin()
            space.receipts.clear()
        self._open = []
        memtable = self.memtable
        memtable.make_room()
        if len(self._guards) > 2 * len(memtable.spaces) + 1000:
            self._guards = {user_id: self._guards[user_id] for user_id in memtable.spaces}

    def invalidate(self) -> None:
        """Drop all cached state: the transaction was rolled back, or something else has written to the tables."""
        self._open = []
        self.memtable.invalidate()

    def _load(self, write: WriteRequest, now: int) -> None:
        self._load_group([write], now)

    def _load_group(self, writes: list[WriteRequest], now: int) -> None:
        """Lock the spaces of a group and load what the cache lacks; a second time where the cache was out of date."""
        locks = sorted({write.caller.user_id for write in writes})
        wants = self._wants(writes, now)
        wants.locks = locks
        wants.owners = [user_id for user_id in locks if user_id not in self.memtable.spaces]
        rows = self._db.load_group(wants)
        stale = self._take_spaces(locks, rows)
        self._take(wants, rows)
        if stale:
            wants = self._wants(writes, now)
            wants.owners = stale
            self._take(wants, self._db.load_group(wants))

    def _wants(self, writes: list[WriteRequest], now: int) -> GroupWants:
        memtable = self.memtable
        # a session that seems to have expired may have been used since it was loaded, which extends it
        known_ends = memtable.sessions
        sessions = {
            session_id
            for session_id in {write.caller.session_id for write in writes}
            if known_ends.get(session_id, 0) <= now
        }
        sessions.discard(SYSTEM_SESSION)
        entries: dict[tuple[int, str], bool] = {}
        receipts = set()
        for write in writes:
            user_id, op_id = write.caller.user_id, write.op_id
            space = memtable.spaces.get(user_id)
            known = _NOTHING if space is None else space.entries
            for op in write.ops:
                if op.key not in known or (op.if_revision is not None and lacks_value(known[op.key])):
                    at = (user_id, op.key)
                    # load the value itself only where a conflict may have to show it
                    entries[at] = op.if_revision is not None or entries.get(at, False)
            if op_id is not None and (space is None or op_id not in space.receipts):
                receipts.add((user_id, op_id))
        wanted = [(user_id, key, value) for (user_id, key), value in entries.items()]
        return GroupWants(now, [], [], list(sessions), wanted, list(receipts))

    def _take_spaces(self, locks: list[int], rows: GroupRows) -> list[int]:
        """Update the cached spaces from their locked rows; return the users whose cached state was out of date."""
        memtable, stale = self.memtable, []
        if len(rows.spaces) < len(locks):
            # users whose account has been removed
            for user_id in set(locks) - {user_id for user_id, *_ in rows.spaces}:
                memtable.spaces.pop(user_id, None)
        for user_id, revision, guard, *totals in rows.spaces:
            space = memtable.spaces.get(user_id)
            if space is not None:
                if space.revision == revision and self._guards[user_id] == guard:
                    # what the history trimmer has changed meanwhile
                    space.keys, space.bytes, space.digest, space.trimmed = totals[:4]
                    space.history_bytes, space.receipt_bytes, space.trash_bytes = totals[4:]
                    continue
                # sessions are not kept by user; endings are rare
                memtable.sessions.clear()
                stale.append(user_id)
            memtable.spaces[user_id] = Space(user_id, revision, *totals)
            self._guards[user_id] = guard
            memtable.cached += 1
        return stale

    def _take(self, wants: GroupWants, rows: GroupRows) -> None:
        memtable = self.memtable
        spaces = memtable.spaces
        quotas = {user_id: quota for user_id, *quota in rows.owners}
        for user_id in wants.owners:
            quota = quotas.get(user_id)
            if quota is None:
                # the account is gone, or being purged
                spaces.pop(user_id, None)
            elif user_id in spaces:
                spaces[user_id].quota_keys, spaces[user_id].quota_bytes = quota
        memtable.sessions.update(rows.sessions)
        for user_id, key, _ in wants.entries:
            if user_id in spaces:
                spaces[user_id].entries[key] = None
        for user_id, *columns in rows.entries:
            if user_id not in spaces:
                continue
            key, value, size, revision, *rest = columns
            spaces[user_id].entries[key] = EntryState(key, value, size, digest_of(key, revision), revision, *rest)
        for user_id, op_id, fingerprint, answer in rows.receipts:
            space = spaces.get(user_id)
            if space is None:
                continue
            space.receipts[op_id] = receipt = Receipt(op_id, fingerprint, answer, 0, stored=True)
            space.passing.append(receipt)
        memtable.cached += len(wants.entries) + len(rows.sessions)

    def _trim(self) -> None:
        """Remove about twice as much of the users' history as their last group added, oldest first."""
        overfull, self._overfull = self._overfull, {}
        for user_id, wanted in overfull.items():
            space = self.memtable.spaces.get(user_id)
            if space is None:
                continue
            trimmed, held = space.trimmed, space.history_bytes
            while wanted > 0 and held > self.quota.history_bytes:
                done = self._db.trim_history(user_id, trimmed, space.revision, wanted)
                if done is None:
                    break
                wanted -= max(done.bytes, MIN_TRIM_BYTES)
                trimmed, held = done.until, held - done.bytes


def _new_receipts(space: Space) -> list[Receipt]:
    return [receipt for receipt in space.receipts.values() if not receipt.stored]
