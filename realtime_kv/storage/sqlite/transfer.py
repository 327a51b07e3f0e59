"""Transfer: the entries of an export as text, and the comparison of an import with a space."""

from collections.abc import Sequence
from typing import Any

import msgspec

from realtime_kv.core.backend import COMPARE_STEP, EXPORT_STEP, ExportFormat
from realtime_kv.core.domain.key_ranges import end_of, first_after
from realtime_kv.storage.sqlite.connections import Cursor
from realtime_kv.storage.sqlite.expressions import ENTRY, LIVE, rfc3339, size_of

# a cell that no spreadsheet takes for a formula (OWASP: CSV injection): a key that might be one is written as JSON. It
# then begins with a quotation mark; to avoid any doubt, a key that begins with one is JSON as well
_FORMULA = ", ".join(f"'{sign}'" for sign in '"=+-@＝＋－＠')
_CSV_KEY = f"CASE WHEN substr(ltrim(key), 1, 1) IN ({_FORMULA}) THEN json_quote(key) ELSE key END"


def _cell(text: str) -> str:
    return f"""'"' || replace({text}, '"', '""') || '"'"""


_CSV = f"""{_cell(_CSV_KEY)} || ',' || {_cell("value")} || ',' || revision || ',' || version || ','
    || {rfc3339("created_at")} || ',' || {rfc3339("updated_at")} || ',' || coalesce({rfc3339("expires_at")}, '')
    || char(13, 10)"""

# each entry, and the separator between two of them
_DOCUMENTS = {"json": ("json_quote(key) || ':' || value", "',' || char(10)"), "ndjson": (ENTRY, "char(10)")}
_DOCUMENTS["csv"] = (_CSV, "''")


def _step(document: str, between: str) -> str:
    return f"""
SELECT group_concat(document, {between}), max(key), count(*) FROM (
    SELECT key, {document} AS document FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end AND {LIVE} ORDER BY key LIMIT {EXPORT_STEP}
)"""


_STEPS = {format: _step(*document) for format, document in _DOCUMENTS.items()}

_EXISTING = f"""
WITH wanted (n, key, value) AS (VALUES {", ".join(["(?, ?, ?)"] * COMPARE_STEP)})
SELECT json_group_array(json_array(n, e.revision, {size_of("e.")},
    e.value = wanted.value, e.expires_at))
FROM wanted CROSS JOIN entries AS e ON e.user_id = ? AND e.key = wanted.key WHERE e.deleted_at IS NULL
"""

_KEYS = f"""
SELECT json_group_array(json_array(key, revision, size)) FROM (
    SELECT key, revision, {size_of()} AS size FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end AND {LIVE} ORDER BY key LIMIT :rows
)
"""

_decode_existing = msgspec.json.Decoder(list[tuple[int, int, int, int, int | None]]).decode
_decode_keys = msgspec.json.Decoder(list[tuple[str, int, int]]).decode


def export_step(
    db: Cursor, format: ExportFormat, user_id: int, now: int, after: str | None, prefix: str
) -> tuple[str | None, str | None, int]:
    """Return the next documents of an export, joined; the last key; and their number."""
    start = first_after(prefix, after)
    wanted = {"user": user_id, "now": now, "start": start, "end": end_of(prefix), "values": True}
    found: tuple[str | None, str | None, int] = db.execute(_STEPS[format], wanted).fetchone()
    return found


def compare(db: Cursor, user_id: int, items: Sequence[tuple[str, str]]) -> list[tuple[int, int, int, int, int | None]]:
    """Return (index, revision, size, whether the value is equal, expiry) for those (key, value) that exist."""
    rows: list[Any] = [cell for n, item in enumerate(items) for cell in (n, *item)]
    rows += [None] * (3 * COMPARE_STEP - len(rows))
    return _decode_existing(db.execute(_EXISTING, (*rows, user_id)).fetchone()[0])


def keys_under(
    db: Cursor, user_id: int, now: int, after: str | None, prefix: str, rows: int
) -> list[tuple[str, int, int]]:
    """Return (key, revision, size) of the next live entries."""
    start = first_after(prefix, after)
    wanted = {"user": user_id, "now": now, "start": start, "end": end_of(prefix), "rows": rows}
    return _decode_keys(db.execute(_KEYS, wanted).fetchone()[0])
