"""History index: the writes of each key, completed for one user at a time when a read or a trim needs it.

The ids of a sequence do not commit in order, a user's revisions do: `spaces.indexed` is the last indexed one.
"""

from psycopg import Connection

from realtime_kv.storage.postgres.expressions import KEY_SEPARATOR
from realtime_kv.storage.postgres.reads import first

# maximum of one step: a few milliseconds during which all writes wait
STEP_ROWS = 1024
STEP_BYTES = 4 * 1024 * 1024

_SPACE = "SELECT indexed, revision FROM spaces WHERE user_id = %s FOR NO KEY UPDATE"
_END = """
SELECT max(revision) FROM (
    SELECT revision, sum(charge) OVER (ORDER BY revision) - charge AS before FROM (
        SELECT revision, charge FROM log WHERE user_id = %s AND revision > %s ORDER BY revision LIMIT %s
    ) AS part
) AS sized WHERE before < %s
"""
# in the order of the table, so that each of its pages is looked up once
_INDEX = f"""
INSERT INTO history (user_id, key, revision, bytes)
SELECT l.user_id, k.key, l.revision, l.charge / cardinality(string_to_array(l.keys, '{KEY_SEPARATOR}'))
FROM log AS l CROSS JOIN LATERAL unnest(string_to_array(l.keys, '{KEY_SEPARATOR}')) AS k (key)
WHERE l.user_id = %s AND l.revision > %s AND l.revision <= %s ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
_SAVE = "UPDATE spaces SET indexed = %s WHERE user_id = %s"


def step(db: Connection, user_id: int) -> int | None:
    """Index one step of a user's log; return the revision reached, None once the index is complete.

    The caller has a transaction open.
    """
    space = db.execute(_SPACE, (user_id,)).fetchone()
    if space is None:
        return None
    indexed, revision = space
    if indexed >= revision:
        return None
    reached: int | None = first(db.execute(_END, (user_id, indexed, STEP_ROWS, STEP_BYTES)))[0]
    if reached is None:
        # nothing is left of these writes
        reached = revision
    else:
        db.execute(_INDEX, (user_id, indexed, reached))
    db.execute(_SAVE, (reached, user_id))
    return None if reached >= revision else reached


def complete_to(db: Connection, user_id: int, until: int) -> None:
    """Index a user's log at least up to the revision `until`."""
    reached: int | None = first(db.execute(_SPACE, (user_id,)))[0]
    while reached is not None and reached < until:
        reached = step(db, user_id)
