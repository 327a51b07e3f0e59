"""Trim: remove the oldest part of a user's history, a portion at a time, while other writes run.

Invariants:
1. Up to `spaces.trimmed` only the last op on each key is left; every later write can be undone.
2. The writer advances `trimmed` only as far as the tables are complete (`spaces.revision`): recovery never misses a
   row.
3. The work is proportional to the data that is removed: an op is looked at once when `trimmed` passes the one that
   follows it on its key, and a row that loses only some ops is rewritten when half of it is dead (`log_garbage`).
"""

import msgspec

from realtime_kv.core.messages import read_frame
from realtime_kv.core.statements import MIN_TRIM_BYTES, TrimReport
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import LOG_CHARGE

# the maximum that one portion passes
MAX_PORTION_BYTES = 4 * 1024 * 1024
MAX_PORTION_OPS = 2048
MAX_PORTION_WRITES = 512

_encode = msgspec.json.Encoder().encode

_WRITES = f"""
SELECT g.revision, g.ops, (SELECT {LOG_CHARGE} FROM log WHERE id = g.row) FROM (
    SELECT revision, min(row) AS row, count(*) AS ops FROM history INDEXED BY history_by_revision
    WHERE user_id = ? AND revision > ? AND revision <= ? GROUP BY revision ORDER BY revision LIMIT {MAX_PORTION_WRITES}
) AS g
"""
# the ops that the writes of a portion have replaced
_SUPERSEDED = """
SELECT p.revision, p.row, p.key, p.bytes
FROM history AS h INDEXED BY history_by_revision CROSS JOIN history AS p ON p.user_id = h.user_id AND p.key = h.key
    AND p.revision = (
        SELECT max(revision) FROM history WHERE user_id = h.user_id AND key = h.key AND revision < h.revision
    )
WHERE h.user_id = ? AND h.revision > ? AND h.revision <= ?
"""
_COUNTS = """
SELECT revision, count(*) FROM history INDEXED BY history_by_revision
WHERE user_id = ? AND revision IN (SELECT value FROM json_each(?)) GROUP BY revision
"""
_FORGET_WRITES = "DELETE FROM history WHERE user_id = ? AND revision IN (SELECT value FROM json_each(?))"
_FORGET_OP = "DELETE FROM history WHERE user_id = ? AND key = ? AND revision = ?"
_DELETE_ROWS = "DELETE FROM log WHERE id IN (SELECT value FROM json_each(?))"
_DELETE_GARBAGE = "DELETE FROM log_garbage WHERE row IN (SELECT value FROM json_each(?))"
# an op of unknown length may be all of its row
_ADD_GARBAGE = f"""
INSERT INTO log_garbage (row, user_id, total, dead)
SELECT id, user_id, {LOG_CHARGE}, coalesce(:dead, {LOG_CHARGE}) FROM log WHERE id = :row
ON CONFLICT (row) DO UPDATE SET dead = dead + excluded.dead
"""
_HALF_DEAD = """
SELECT row FROM log_garbage WHERE row IN (SELECT value FROM json_each(?)) AND 2 * dead >= total
"""
_ROW = "SELECT revision, frame FROM log WHERE id = ? AND user_id = ?"
_KEYS = "SELECT key FROM history INDEXED BY history_by_revision WHERE user_id = ? AND revision = ?"
_ADVANCE = """
UPDATE spaces SET trimmed = ?1, history_floor = max(history_floor, ?1), history_bytes = history_bytes - ?2
WHERE user_id = ?3
"""
_GARBAGE = "SELECT row, user_id, total FROM log_garbage WHERE row > ? ORDER BY row LIMIT 512"


def trim(db: Cursor, user_id: int, after: int, until: int, wanted: int) -> TrimReport | None:
    """Pass at least `wanted` bytes of writes after the revision `after`, at most up to `until` or one portion.

    Returns None if there is nothing to pass: no write so old, or none that is indexed. The caller has a transaction
    open, and the tables have everything up to `until`.
    """
    wanted = min(max(wanted, MIN_TRIM_BYTES), MAX_PORTION_BYTES)
    done, ops = TrimReport(after), 0
    for revision, count, charge in db.execute(_WRITES, (user_id, after, until)):
        done.until, ops = revision, ops + count
        done.bytes += charge or 0
        if done.bytes >= wanted or ops >= MAX_PORTION_OPS:
            break
    if done.until == after:
        return None
    superseded: dict[tuple[int, int], list[tuple[str, int | None]]] = {}
    for revision, row, key, size in db.execute(_SUPERSEDED, (user_id, after, done.until)).fetchall():
        superseded.setdefault((revision, row), []).append((key, size))
    _remove(db, user_id, superseded)
    db.execute(_ADVANCE, (done.until, done.bytes, user_id))
    done.rows = {row for _, row in superseded}
    return done


def compact(db: Cursor, row: int, user_id: int) -> None:
    """Rewrite a log row without the ops that the history no longer has."""
    found = db.execute(_ROW, (row, user_id)).fetchone()
    if found is not None:
        revision, frame = found
        kept = {key for (key,) in db.execute(_KEYS, (user_id, revision)).fetchall()}
        write = read_frame(frame)
        write.ops = [op for op in write.ops if op.key in kept]
        left = _encode(write).decode()
        db.execute("UPDATE log SET frame = ?, charge = ? WHERE id = ?", (left, len(left.encode()), row))
    db.execute("DELETE FROM log_garbage WHERE row = ?", (row,))


def compact_some(db: Cursor, after: int, portion: int) -> int | None:
    """Compact some rows with ids greater than `after`; return the id of the last one, None if there are no more."""
    size, last = 0, None
    for row, user_id, total in db.execute(_GARBAGE, (after,)).fetchall():
        compact(db, row, user_id)
        size, last = size + total, row
        if size >= portion:
            break
    return last


def _remove(db: Cursor, user_id: int, superseded: dict[tuple[int, int], list[tuple[str, int | None]]]) -> None:
    if not superseded:
        return
    counts = dict(db.execute(_COUNTS, (user_id, _json([revision for revision, _ in superseded]))).fetchall())
    whole = [at for at, ops in superseded.items() if counts.get(at[0]) == len(ops)]
    rows = _json([row for _, row in whole])
    db.execute(_FORGET_WRITES, (user_id, _json([revision for revision, _ in whole])))
    db.execute(_DELETE_ROWS, (rows,))
    db.execute(_DELETE_GARBAGE, (rows,))
    partly = {at: ops for at, ops in superseded.items() if counts.get(at[0]) != len(ops)}
    if not partly:
        return
    forgotten = [(user_id, key, revision) for (revision, _), ops in partly.items() for key, _ in ops]
    db.executemany(_FORGET_OP, forgotten)
    for (_, row), ops in partly.items():
        sizes = [size for _, size in ops]
        dead = None if None in sizes else sum(size or 0 for size in sizes)
        db.execute(_ADD_GARBAGE, {"row": row, "dead": dead})
    for (row,) in db.execute(_HALF_DEAD, (_json([row for _, row in partly]),)).fetchall():
        compact(db, row, user_id)


def _json(values: list[int]) -> str:
    return _encode(values).decode()
