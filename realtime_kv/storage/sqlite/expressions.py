"""SQL expressions over the columns of the tables, shared by the statements of this package."""

from realtime_kv.core.domain.charges import RECEIPT_BYTES, ROW_BYTES


def rfc3339(column: str) -> str:
    """Return SQL for the time in that column, in the protocol's format."""
    return f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', {column} % 1000)"


def size_of(table: str = "") -> str:
    """Return SQL for the bytes of the key and the value of an entry; `table` is its alias, with a dot."""
    return f"length(CAST({table}key AS BLOB)) + length(CAST({table}value AS BLOB))"


# whether an entry is live at the time :now
LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"

# an entry as the protocol shows it, with its value only if :values
ENTRY = f"""'{{"key":' || json_quote(key) || CASE WHEN :values THEN ',"value":' || value ELSE '' END
    || ',"revision":' || revision || ',"created_revision":' || created_revision || ',"version":' || version
    || ',"created_at":"' || {rfc3339("created_at")} || '","updated_at":"' || {rfc3339("updated_at")}
    || '","expires_at":' || coalesce('"' || {rfc3339("expires_at")} || '"', 'null') || '}}'"""

# the charges of a log row (rows from before charges were stored have none), of a receipt and of a deleted entry: the
# same formulas as in core/domain/charges.py
LOG_CHARGE = f"coalesce(charge, length(CAST(frame AS BLOB)) + {ROW_BYTES})"
RECEIPT_CHARGE = f"2 * length(op_id) + length(fingerprint) + length(answer) + {RECEIPT_BYTES}"
TRASH_CHARGE = f"{size_of()} + {ROW_BYTES}"
