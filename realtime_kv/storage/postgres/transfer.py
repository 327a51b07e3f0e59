"""Transfer: the entries of an export as text, and the comparison of an import with a space."""

from collections.abc import Sequence

from psycopg import Connection

from realtime_kv.core.backend import EXPORT_STEP, ExportFormat
from realtime_kv.storage.postgres.expressions import ENTRY, LIVE, RANGE, quoted, rfc3339, size_of
from realtime_kv.storage.postgres.reads import first, range_of

# as on SQLite: a cell that no spreadsheet takes for a formula (OWASP: CSV injection)
_FORMULA = ", ".join(f"'{sign}'" for sign in '"=+-@＝＋－＠')
_CSV_KEY = f"CASE WHEN substr(ltrim(key), 1, 1) IN ({_FORMULA}) THEN {quoted('key')} ELSE key END"


def _cell(text: str) -> str:
    return f"""'"' || replace({text}, '"', '""') || '"'"""


_CSV = f"""{_cell(_CSV_KEY)} || ',' || {_cell("value")} || ',' || revision || ',' || version || ','
    || {rfc3339("created_at")} || ',' || {rfc3339("updated_at")} || ',' || coalesce({rfc3339("expires_at")}, '')
    || E'\\r\\n'"""

# each entry, and the separator between two of them
_DOCUMENTS = {"json": (f"{quoted('key')} || ':' || value", "E',\\n'"), "ndjson": (ENTRY, "E'\\n'"), "csv": (_CSV, "''")}


def _step(document: str, between: str) -> str:
    return f"""
SELECT string_agg(document, {between} ORDER BY key), max(key), count(*) FROM (
    SELECT key, {document} AS document FROM entries WHERE {RANGE} AND {LIVE} ORDER BY key LIMIT {EXPORT_STEP}
) AS part"""


_STEPS = {format: _step(*document) for format, document in _DOCUMENTS.items()}

_EXISTING = f"""
SELECT n - 1, e.revision, {size_of("e.")}, (e.value = wanted.value)::int, e.expires_at
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted (key, value, n)
    JOIN entries AS e ON e.user_id = %s AND e.key = wanted.key WHERE e.deleted_at IS NULL
"""
_KEYS = f"SELECT key, revision, {size_of()} FROM entries WHERE {RANGE} AND {LIVE} ORDER BY key LIMIT %(rows)s"


def export_step(
    db: Connection, format: ExportFormat, user_id: int, now: int, after: str | None, prefix: str
) -> tuple[str | None, str | None, int]:
    """Return the next documents of an export, joined; the last key; and their number."""
    wanted = {**range_of(user_id, prefix, after), "now": now, "values": True}
    found: tuple[str | None, str | None, int] = first(db.execute(_STEPS[format], wanted))
    return found


def compare(
    db: Connection, user_id: int, items: Sequence[tuple[str, str]]
) -> list[tuple[int, int, int, int, int | None]]:
    """Return (index, revision, size, whether the value is equal, expiry) for those (key, value) that exist."""
    keys, values = [key for key, _ in items], [value for _, value in items]
    return db.execute(_EXISTING, (keys, values, user_id)).fetchall()


def keys_under(
    db: Connection, user_id: int, now: int, after: str | None, prefix: str, rows: int
) -> list[tuple[str, int, int]]:
    """Return (key, revision, size) of the next live entries."""
    return db.execute(_KEYS, {**range_of(user_id, prefix, after), "now": now, "rows": rows}).fetchall()
