"""A group of writes: what it loads in one round trip, and what it saves together with the commit in another."""

from collections.abc import Sequence
from operator import attrgetter

from realtime_kv.core.domain.record import EntryState
from realtime_kv.core.domain.space import LogRecord, Receipt, Space
from realtime_kv.core.writers import GroupRows, GroupWants
from realtime_kv.storage.postgres.expressions import KEY_SEPARATOR, size_of
from realtime_kv.storage.postgres.pipeline import BOOLS, INT8, INT8S, TEXTS, Call, Statement, bools, int8, int8s, texts

# the order of the locks prevents deadlocks between processes
LOCK = Statement(
    b"rkv_lock",
    """
SELECT user_id, revision, guard, keys, bytes, digest, trimmed, history_bytes, receipt_bytes, trash_bytes
FROM spaces WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE
""",
    (INT8S,),
)
OWNERS = Statement(
    b"rkv_owners",
    "SELECT id, quota_keys, quota_bytes FROM users WHERE id = ANY($1) AND deleted_by IS DISTINCT FROM 'purge'",
    (INT8S,),
)
SESSIONS = Statement(
    b"rkv_sessions",
    """
SELECT s.id, s.expires_at FROM sessions AS s JOIN users AS u ON u.id = s.user_id
WHERE s.id = ANY($1) AND s.ended_at IS NULL AND s.expires_at > $2 AND u.disabled_at IS NULL AND u.deleted_at IS NULL
""",
    (INT8S, INT8),
)
ENTRIES = Statement(
    b"rkv_entries",
    f"""
SELECT e.user_id, e.key, CASE WHEN w.with_value THEN e.value END, {size_of("e.")}, e.revision, e.created_revision,
    e.version, e.created_at, e.updated_at, e.expires_at, e.deleted_at
FROM unnest($1, $2, $3) AS w (user_id, key, with_value) JOIN entries AS e ON e.user_id = w.user_id AND e.key = w.key
""",
    (INT8S, TEXTS, BOOLS),
)
RECEIPTS = Statement(
    b"rkv_receipts",
    """
SELECT r.user_id, r.op_id, r.fingerprint, r.answer
FROM unnest($1, $2) AS w (user_id, op_id) JOIN receipts AS r ON r.user_id = w.user_id AND r.op_id = w.op_id
""",
    (INT8S, TEXTS),
)
# '' (no JSON text is empty) stands for a value that was not loaded and has not changed: the trash keeps it
SAVE = Statement(
    b"rkv_save",
    """
WITH new_log AS (
    INSERT INTO log (user_id, revision, at, charge, keys, frame) SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
), new_receipts AS (
    INSERT INTO receipts (user_id, op_id, fingerprint, answer, at) SELECT * FROM unnest($7, $8, $9, $10, $11)
), new_entries AS (
    INSERT INTO entries (user_id, key, value, revision, created_revision, version, created_at, updated_at, expires_at,
        deleted_at, origin)
    SELECT * FROM unnest($12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
    ON CONFLICT (user_id, key) DO UPDATE SET
        value = CASE excluded.value WHEN '' THEN entries.value ELSE excluded.value END,
        revision = excluded.revision, created_revision = excluded.created_revision, version = excluded.version,
        created_at = excluded.created_at, updated_at = excluded.updated_at, expires_at = excluded.expires_at,
        deleted_at = excluded.deleted_at, origin = excluded.origin
)
UPDATE spaces SET revision = n.revision, keys = n.keys, bytes = n.bytes, digest = n.digest,
    history_bytes = n.history_bytes, receipt_bytes = n.receipt_bytes, trash_bytes = n.trash_bytes
FROM unnest($23, $24, $25, $26, $27, $28, $29, $30)
    AS n (user_id, revision, keys, bytes, digest, history_bytes, receipt_bytes, trash_bytes)
WHERE spaces.user_id = n.user_id
""",
    (
        *(INT8S, INT8S, INT8S, INT8S, TEXTS, TEXTS),
        *(INT8S, TEXTS, TEXTS, TEXTS, INT8S),
        *(INT8S, TEXTS, TEXTS, INT8S, INT8S, INT8S, INT8S, INT8S, INT8S, INT8S, TEXTS),
        *(INT8S,) * 8,
    ),
)
STATEMENTS = (LOCK, OWNERS, SESSIONS, ENTRIES, RECEIPTS, SAVE)

_log_columns = attrgetter("revision", "at", "charge", "frame")
_entry_columns = attrgetter(
    *("key", "value", "revision", "created_revision", "version", "created_at", "updated_at", "expires_at"),
    *("deleted_at", "origin"),
)
_total_columns = attrgetter(
    *("user_id", "revision", "keys", "bytes", "digest", "history_bytes", "receipt_bytes", "trash_bytes")
)


def loading(wants: GroupWants) -> list[Call]:
    """Return the statements that load these rows; one that would find nothing is left out."""
    calls = []
    if wants.locks:
        calls.append(Call(LOCK, (int8s(wants.locks),)))
    if wants.owners:
        calls.append(Call(OWNERS, (int8s(wants.owners),)))
    if wants.sessions:
        calls.append(Call(SESSIONS, (int8s(wants.sessions), int8(wants.now))))
    if wants.entries:
        users, keys, values = zip(*wants.entries, strict=True)
        calls.append(Call(ENTRIES, (int8s(users), texts(keys), bools(values))))
    if wants.receipts:
        users, op_ids = zip(*wants.receipts, strict=True)
        calls.append(Call(RECEIPTS, (int8s(users), texts(op_ids))))
    return calls


def loaded(calls: Sequence[Call], rows: Sequence[list[tuple[object, ...]]]) -> GroupRows:
    """Return what the statements of `loading` found."""
    found = {call.statement.name: part for call, part in zip(calls, rows, strict=True)}
    names = (LOCK.name, OWNERS.name, SESSIONS.name, ENTRIES.name, RECEIPTS.name)
    return GroupRows(*(found.get(name, []) for name in names))  # type: ignore[arg-type]


def saving(spaces: Sequence[Space], receipts: Sequence[tuple[Space, Receipt]]) -> Call:
    """Return the statement that saves the results of a group."""
    log: list[LogRecord] = []
    log_users: list[int] = []
    keys: list[str] = []
    records: list[EntryState] = []
    record_users: list[int] = []
    for space in spaces:
        log += space.log
        log_users += [space.user_id] * len(space.log)
        keys += [KEY_SEPARATOR.join([key for key, _, _ in write.replaced]) for write in space.log]
        records += space.touched.values()
        record_users += [space.user_id] * len(space.touched)
    totals = {space.user_id: space for space in spaces}
    for space, _ in receipts:
        totals[space.user_id] = space
    revisions, times, charges, frames = zip(*map(_log_columns, log), strict=True) if log else ((),) * 4
    entries = list(zip(*map(_entry_columns, records), strict=True)) if records else [()] * 10
    numbers = list(zip(*map(_total_columns, totals.values()), strict=True))
    return Call(
        SAVE,
        (
            *map(int8s, (log_users, revisions, times, charges)),
            texts(keys),
            texts(frames),
            int8s([space.user_id for space, _ in receipts]),
            texts([receipt.op_id for _, receipt in receipts]),
            texts([receipt.fingerprint for _, receipt in receipts]),
            texts([receipt.answer for _, receipt in receipts]),
            int8s([receipt.at for _, receipt in receipts]),
            int8s(record_users),
            texts(entries[0]),
            texts([value or "" for value in entries[1]]),
            *map(int8s, entries[2:9]),
            texts(entries[9]),
            *map(int8s, numbers),
        ),
    )
