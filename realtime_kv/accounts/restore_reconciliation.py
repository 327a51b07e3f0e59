"""Reconciliation of a restored backup with the present data set: ended things stay ended.

Invariants:
1. No session, token, link or code of the backup becomes valid again: sessions are those of the present, and only those
   that the backup has as well stay active.
2. User ids are not reused.
3. The audit log keeps the entries written since the backup.
"""

from pathlib import Path

from sqlalchemy import Connection, Table, text

from realtime_kv.accounts.retention import AUDIT_HORIZON, set_meta_max
from realtime_kv.accounts.users import LAST_PURGED
from realtime_kv.storage.models import AuditRow, Base, UserSession
from realtime_kv.storage.sqlite import connections

# an id alone could be another user's, in a backup of another server
_SAME = """
CREATE TEMP TABLE same AS SELECT u.id FROM main.users AS u
JOIN present.users AS p ON p.id = u.id AND p.folded = u.folded AND p.created_at = u.created_at
"""
_ALIVE = """
CREATE TEMP TABLE alive AS SELECT p.token_hash FROM main.sessions AS s
JOIN present.sessions AS p ON p.token_hash = s.token_hash AND p.user_id = s.user_id
JOIN present.users AS u ON u.id = p.user_id
WHERE p.ended_at IS NULL AND p.expires_at > :now AND s.ended_at IS NULL
    AND u.disabled_at IS NULL AND u.deleted_at IS NULL AND u.id IN (SELECT id FROM same)
"""
_END = """
UPDATE main.sessions SET ended_at = :now WHERE ended_at IS NULL AND token_hash NOT IN (SELECT token_hash FROM alive)
"""
_CODES = """
UPDATE main.recovery_codes AS c SET used_at = :now WHERE used_at IS NULL AND user_id IN (SELECT id FROM same)
    AND NOT EXISTS (SELECT 1 FROM present.recovery_codes AS p
        WHERE p.user_id = c.user_id AND p.code_hash = c.code_hash AND p.used_at IS NULL)
"""
_STEPS = """
UPDATE main.users SET totp_step = max(coalesce(main.users.totp_step, 0), p.totp_step)
FROM present.users AS p WHERE p.id = main.users.id AND p.totp_step IS NOT NULL AND p.id IN (SELECT id FROM same)
"""
_INVITATIONS = """
UPDATE main.invitations AS i SET revoked_at = :now WHERE used_at IS NULL AND revoked_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM present.invitations AS p
        WHERE p.token_hash = i.token_hash AND p.used_at IS NULL AND p.revoked_at IS NULL)
"""
_FAILURES = """
INSERT INTO main.second_step_failures (user_id, network, count, last_at)
SELECT user_id, network, count, last_at FROM present.second_step_failures AS p WHERE user_id IN (SELECT id FROM same)
ON CONFLICT (user_id, network) DO UPDATE SET
    count = max(count, excluded.count), last_at = max(last_at, excluded.last_at)
"""
_HIGHEST = f"""
SELECT max(coalesce((SELECT max(id) FROM present.users), 0),
    coalesce((SELECT CAST(value AS INTEGER) FROM present.meta WHERE name = '{LAST_PURGED}'), 0))
"""
_HORIZON = f"SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM present.meta WHERE name = '{AUDIT_HORIZON}'"


def settle(connection: Connection, present: Path, now: int, epoch: str) -> None:
    """Make the restored data set on `connection` the successor of the `present` one, under the epoch `epoch`."""
    # must run outside a transaction
    connections.driver(connection).execute("ATTACH ? AS present", (str(present),))
    try:
        with connection.begin():
            _settle(connection, now)
            connection.execute(text("UPDATE main.meta SET value = :epoch WHERE name = 'epoch'"), {"epoch": epoch})
    finally:
        connections.driver(connection).execute("DETACH present")


def _settle(connection: Connection, now: int) -> None:
    def run(sql: str) -> None:
        connection.execute(text(sql), {"now": now} if ":now" in sql else {})

    run(_SAME)
    run(_ALIVE)
    run("DELETE FROM main.sessions")
    # all of the present's, so that a session's id never comes to mean another session
    known = "user_id IN (SELECT id FROM same)"
    run(_copy(UserSession, known))
    run(_END)
    run("UPDATE main.links SET used_at = :now WHERE used_at IS NULL")
    run(_INVITATIONS)
    run(_CODES)
    run(_FAILURES)
    run(_STEPS)
    since = "id > (SELECT coalesce(max(id), 0) FROM main.audit)"
    whose = f"(user_id IS NULL OR {known} OR user_id NOT IN (SELECT id FROM main.users))"
    run(_copy(AuditRow, f"{since} AND {whose} AND EXISTS (SELECT 1 FROM same)"))
    for name, sql in ((LAST_PURGED, _HIGHEST), (AUDIT_HORIZON, _HORIZON)):
        set_meta_max(connection, name, connection.execute(text(sql)).scalar_one())
    run("DROP TABLE alive")
    run("DROP TABLE same")


def _copy(model: type[Base], which: str) -> str:
    table = model.__table__
    assert isinstance(table, Table)
    columns = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO main.{table.name} ({columns}) SELECT {columns} FROM present.{table.name} WHERE {which}"
