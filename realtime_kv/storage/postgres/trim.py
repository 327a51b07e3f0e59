"""Trim: remove the oldest part of a user's history, a portion at a time, while other writes run.

Invariants:
1. Up to `spaces.trimmed` only the last op on each key is left; every later write can be undone.
2. The work is proportional to the data that is removed: an op is looked at once when `trimmed` passes the one that
   follows it on its key, and a row that loses only some ops is rewritten when half of it is dead (`log_garbage`).
"""

import msgspec
from psycopg import Connection

from realtime_kv.core.messages import read_frame
from realtime_kv.core.statements import MIN_TRIM_BYTES, TrimReport
from realtime_kv.storage.postgres import history_index
from realtime_kv.storage.postgres.expressions import KEY_SEPARATOR

# the maximum that one portion passes
MAX_PORTION_BYTES = 4 * 1024 * 1024
MAX_PORTION_OPS = 2048
MAX_PORTION_WRITES = 512

_encode = msgspec.json.Encoder().encode

_WRITES = f"""
SELECT revision, cardinality(string_to_array(keys, '{KEY_SEPARATOR}')), charge FROM log
WHERE user_id = %s AND revision > %s AND revision <= %s ORDER BY revision LIMIT {MAX_PORTION_WRITES}
"""
# the ops that the writes of a portion have replaced
_SUPERSEDED = """
SELECT p.revision, p.key, p.bytes FROM history AS h CROSS JOIN LATERAL (
    SELECT revision, key, bytes FROM history
    WHERE user_id = h.user_id AND key = h.key AND revision < h.revision ORDER BY revision DESC LIMIT 1
) AS p WHERE h.user_id = %s AND h.revision > %s AND h.revision <= %s
"""
_COUNTS = "SELECT revision, count(*) FROM history WHERE user_id = %s AND revision = ANY(%s) GROUP BY revision"
_REMOVE_WRITES = tuple(
    f"DELETE FROM {table} WHERE user_id = %s AND revision = ANY(%s)" for table in ("history", "log", "log_garbage")
)
_REMOVE_OPS = """
DELETE FROM history AS h USING unnest(%s::text[], %s::bigint[]) AS w (key, revision)
WHERE h.user_id = %s AND h.key = w.key AND h.revision = w.revision
"""
_ADD_GARBAGE = """
INSERT INTO log_garbage (user_id, revision, total, dead)
SELECT l.user_id, l.revision, l.charge, w.dead FROM unnest(%s::bigint[], %s::bigint[]) AS w (revision, dead)
    JOIN log AS l ON l.user_id = %s AND l.revision = w.revision
ON CONFLICT (user_id, revision) DO UPDATE SET dead = log_garbage.dead + excluded.dead
"""
_HALF_DEAD = "SELECT revision FROM log_garbage WHERE user_id = %s AND revision = ANY(%s) AND 2 * dead >= total"
_FRAME = "SELECT frame FROM log WHERE user_id = %s AND revision = %s"
_KEYS = "SELECT key FROM history WHERE user_id = %s AND revision = %s"
_REWRITE = "UPDATE log SET frame = %s, keys = %s, charge = %s WHERE user_id = %s AND revision = %s"
_ADVANCE = """
UPDATE spaces SET trimmed = %s, history_floor = greatest(history_floor, %s), history_bytes = history_bytes - %s
WHERE user_id = %s
"""
_GARBAGE = """
SELECT user_id, revision, total FROM log_garbage WHERE (user_id, revision) > (%s, %s)
ORDER BY user_id, revision LIMIT 512
"""


def trim(db: Connection, user_id: int, after: int, until: int, wanted: int) -> TrimReport | None:
    """Pass at least `wanted` bytes of writes after the revision `after`, at most up to `until` or one portion.

    Returns None if there is nothing to pass. The caller has a transaction open.
    """
    wanted = min(max(wanted, MIN_TRIM_BYTES), MAX_PORTION_BYTES)
    done, ops = TrimReport(after), 0
    for revision, count, charge in db.execute(_WRITES, (user_id, after, until)).fetchall():
        done.until, ops = revision, ops + count
        done.bytes += charge
        if done.bytes >= wanted or ops >= MAX_PORTION_OPS:
            break
    if done.until == after:
        return None
    history_index.complete_to(db, user_id, done.until)
    superseded: dict[int, list[tuple[str, int]]] = {}
    for revision, key, size in db.execute(_SUPERSEDED, (user_id, after, done.until)).fetchall():
        superseded.setdefault(revision, []).append((key, size))
    _remove(db, user_id, superseded)
    db.execute(_ADVANCE, (done.until, done.until, done.bytes, user_id))
    done.rows = {(user_id, revision) for revision in superseded}
    return done


def compact(db: Connection, user_id: int, revision: int) -> None:
    """Rewrite a log row without the ops that the history no longer has."""
    found = db.execute(_FRAME, (user_id, revision)).fetchone()
    if found is not None:
        history_index.complete_to(db, user_id, revision)
        kept = {key for (key,) in db.execute(_KEYS, (user_id, revision)).fetchall()}
        write = read_frame(found[0])
        write.ops = [op for op in write.ops if op.key in kept]
        left = _encode(write).decode()
        keys = KEY_SEPARATOR.join(op.key for op in write.ops)
        db.execute(_REWRITE, (left, keys, len(left.encode()), user_id, revision))
    db.execute("DELETE FROM log_garbage WHERE user_id = %s AND revision = %s", (user_id, revision))


def compact_some(db: Connection, after: tuple[int, int], portion: int) -> tuple[int, int] | None:
    """Compact some rows after that one; return the last one, None if there are no more."""
    size, last = 0, None
    for user_id, revision, total in db.execute(_GARBAGE, after).fetchall():
        compact(db, user_id, revision)
        size, last = size + total, (user_id, revision)
        if size >= portion:
            break
    return last


def _remove(db: Connection, user_id: int, superseded: dict[int, list[tuple[str, int]]]) -> None:
    if not superseded:
        return
    counts: dict[int, int] = dict(db.execute(_COUNTS, (user_id, list(superseded))).fetchall())
    whole = [revision for revision, ops in superseded.items() if counts.get(revision) == len(ops)]
    for sql in _REMOVE_WRITES:
        db.execute(sql, (user_id, whole))
    partly = {revision: ops for revision, ops in superseded.items() if counts.get(revision) != len(ops)}
    if not partly:
        return
    forgotten = [(key, revision) for revision, ops in partly.items() for key, _ in ops]
    db.execute(_REMOVE_OPS, ([key for key, _ in forgotten], [revision for _, revision in forgotten], user_id))
    dead = [sum(size for _, size in ops) for ops in partly.values()]
    db.execute(_ADD_GARBAGE, (list(partly), dead, user_id))
    for (revision,) in db.execute(_HALF_DEAD, (user_id, list(partly))).fetchall():
        compact(db, user_id, revision)
