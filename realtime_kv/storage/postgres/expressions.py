"""SQL expressions over the columns of the tables, shared by the statements of this package."""

from realtime_kv.core.domain.charges import RECEIPT_BYTES, ROW_BYTES


def rfc3339(column: str) -> str:
    """Return SQL for the time in that column, in the protocol's format."""
    at = f"timestamp '1970-01-01' + {column} * interval '1 millisecond'"
    return f"""to_char({at}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def quoted(column: str) -> str:
    """Return SQL for the text in that column as JSON."""
    return f"to_json({column})::text"


def size_of(table: str = "") -> str:
    """Return SQL for the bytes of the key and the value of an entry; `table` is its alias, with a dot."""
    # the length of a large value is known without reading it
    return f"(octet_length({table}key) + octet_length({table}value))"


# whether an entry is live at the time `now`
LIVE = "deleted_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)"

# the rows of a range of keys after a key, in order; no key is the empty text
RANGE = "user_id = %(user)s AND key >= %(prefix)s AND key > %(after)s AND key < %(end)s"

# an entry as the protocol shows it, with its value only if `values`
ENTRY = f"""'{{"key":' || {quoted("key")} || CASE WHEN %(values)s THEN ',"value":' || value ELSE '' END
    || ',"revision":' || revision || ',"created_revision":' || created_revision || ',"version":' || version
    || ',"created_at":"' || {rfc3339("created_at")} || '","updated_at":"' || {rfc3339("updated_at")}
    || '","expires_at":' || coalesce('"' || {rfc3339("expires_at")} || '"', 'null') || '}}'"""

# the charges of a receipt and of a deleted entry: the same formulas as in core/domain/charges.py
RECEIPT_CHARGE = f"2 * length(op_id) + length(fingerprint) + length(answer) + {RECEIPT_BYTES}"


def trash_charge(table: str = "") -> str:
    """Return SQL for the charge of a deleted entry; `table` is its alias, with a dot."""
    return f"({size_of(table)} + {ROW_BYTES})"


# between the keys of a log row
KEY_SEPARATOR = "\x1f"
