"""Loader: fills the memtable with the state that writes are evaluated against, and after a crash with the backlog."""

from collections.abc import Iterator, Sequence

from realtime_kv.caller import SYSTEM_SESSION
from realtime_kv.core.domain import charges
from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space, weight_of
from realtime_kv.core.domain.write_request import WriteRequest
from realtime_kv.core.engine.memtable import Backlog, Memtable
from realtime_kv.core.messages import digest_of, read_frame
from realtime_kv.core.statements import LoadStatements
from realtime_kv.core.writers import Lagging, LogFirstWriter


def load(db: LoadStatements, memtable: Memtable, writes: list[WriteRequest], now: int) -> None:
    """Load the state that `writes` are evaluated against and `memtable` lacks, with one statement for each table."""
    sessions = {write.caller.session_id for write in writes} - memtable.sessions.keys()
    if SYSTEM_SESSION in sessions:
        sessions.remove(SYSTEM_SESSION)
        _load_spaces(db, memtable, {write.user_id for write in writes if write.caller.session_id == SYSTEM_SESSION})
    if sessions:
        found = db.sessions(sessions, now)
        for session_id, expires_at, user_id, *totals in found:
            memtable.sessions[session_id] = expires_at
            if user_id not in memtable.spaces:
                memtable.spaces[user_id] = Space(user_id, *totals)
        memtable.cached += 2 * len(found)
    entries: dict[tuple[int, str], bool] = {}
    receipts = set()
    for write in writes:
        user_id, op_id = write.caller.user_id, write.op_id
        space = memtable.spaces.get(user_id)
        if space is None:
            continue
        known = space.entries
        for op in write.ops:
            if op.key not in known or (op.if_revision is not None and lacks_value(known[op.key])):
                at = (user_id, op.key)
                # load the value itself only where a conflict may have to show it
                entries[at] = op.if_revision is not None or entries.get(at, False)
        if op_id is not None and op_id not in space.receipts:
            receipts.add((user_id, op_id))
    _load_entries(db, memtable, entries)
    for user_id, op_id, fingerprint, answer in db.receipts(list(receipts)):
        space = memtable.spaces[user_id]
        space.receipts[op_id] = receipt = Receipt(op_id, fingerprint, answer, 0, stored=True)
        space.passing.append(receipt)


def _load_spaces(db: LoadStatements, memtable: Memtable, users: set[int]) -> None:
    """Load the spaces that the server itself will write in, except those of accounts that are being purged."""
    for user_id, *totals in db.spaces(users - memtable.spaces.keys()):
        memtable.spaces[user_id] = Space(user_id, *totals)
        memtable.cached += 1


def load_lagging(db: LogFirstWriter, memtable: Memtable) -> Iterator[tuple[Space, list[LogRecord]]]:
    """Yield every space whose tables lag behind the log, as the tables have it, with the writes that they lack.

    Sets the backlog in `memtable`.
    """
    flushed = db.flushed_row()
    memtable.last_row = max(flushed, db.last_row())
    found = db.lagging(flushed)
    memtable.ahead = {lagging.space[0]: Backlog(lagging.first_row, _weight(lagging)) for lagging in found}
    memtable.backlog = sum(backlog.weight for backlog in memtable.ahead.values())
    for lagging in found:
        space = memtable.spaces[lagging.space[0]] = Space(*lagging.space)
        keys = {op.key for write in lagging.writes for op in read_frame(write.frame).ops}
        _load_entries(db, memtable, {(space.user_id, key): False for key in keys})
        yield space, lagging.writes


def save_passing(db: LogFirstWriter, spaces: Sequence[Space]) -> None:
    """Store the receipts of writes that changed nothing: no log row has them, and no flush would count them."""
    receipts = [(space, receipt) for space in spaces for receipt in space.passing if not receipt.stored]
    if not receipts:
        return
    added: dict[int, int] = {}
    for space, receipt in receipts:
        charge = charges.of_receipt(receipt.op_id, receipt.fingerprint, receipt.answer)
        added[space.user_id] = added.get(space.user_id, 0) + charge
    for user_id, charge in added.items():
        db.add_receipt_bytes(user_id, charge)
    db.save_receipts(receipts)


def _weight(lagging: Lagging) -> int:
    return sum(weight_of(1, write.frame) for write in lagging.writes)


def lacks_value(record: EntryState | None) -> bool:
    # an entry in the trash is never shown, and the tables may not have it yet
    return record is not None and record.value is None and record.deleted_at is None


def _load_entries(db: LoadStatements, memtable: Memtable, wanted: dict[tuple[int, str], bool]) -> None:
    spaces = memtable.spaces
    for user_id, key in wanted:
        spaces[user_id].entries[key] = None
    keys = [(user_id, key, value) for (user_id, key), value in wanted.items()]
    for user_id, *columns in db.entries(keys):
        key, value, size, revision, *rest = columns
        spaces[user_id].entries[key] = EntryState(key, value, size, digest_of(key, revision), revision, *rest)
    memtable.cached += len(wanted)
