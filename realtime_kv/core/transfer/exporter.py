"""Export of a user's space to one file: JSON to read and edit, NDJSON with everything, CSV for tables.

A file shows the space at one revision. It is written completely, in one reading transaction, before its first byte is
sent: the transaction lasts as long as the database needs, and never as long as a slow client takes. Keys are in byte
order, and every value is as stored, byte for byte, except for line separators in NDJSON, which are escaped.
"""

import sqlite3
from typing import BinaryIO, Literal, get_args

import msgspec
from msgspec import Struct

from realtime_kv import line_separators
from realtime_kv.core.messages import timestamp
from realtime_kv.storage.sqlite.reads import ENTRY, LIVE, ReadSnapshot, behind, epoch_of, rfc3339, space_of

Format = Literal["json", "ndjson", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

# the name by which an import recognises an export, and the version of its format
NAME, VERSION = "realtime_kv", 1
# entries that one step of the database reads: some 8 MiB with values of 64 KiB
_STEP = 128

# a cell that no spreadsheet takes for a formula (OWASP: CSV injection): a key that might be one is written as JSON. It
# then begins with a quotation mark; to avoid any doubt, a key that begins with one is JSON as well
_FORMULA = ", ".join(f"'{sign}'" for sign in '"=+-@＝＋－＠')
_CSV_KEY = f"CASE WHEN substr(ltrim(key), 1, 1) IN ({_FORMULA}) THEN json_quote(key) ELSE key END"


def _cell(text: str) -> str:
    return f"""'"' || replace({text}, '"', '""') || '"'"""


_CSV = f"""{_cell(_CSV_KEY)} || ',' || {_cell("value")} || ',' || revision || ',' || version || ','
    || {rfc3339("created_at")} || ',' || {rfc3339("updated_at")} || ',' || coalesce({rfc3339("expires_at")}, '')
    || char(13, 10)"""

_COLUMNS = "key,value,revision,version,created_at,updated_at,expires_at"
# each entry, and the separator between two of them
_DOCUMENTS = {"json": ("json_quote(key) || ':' || value", "',' || char(10)"), "ndjson": (ENTRY, "char(10)")}
_DOCUMENTS["csv"] = (_CSV, "''")


def _step(document: str, between: str) -> str:
    return f"""
SELECT group_concat(document, {between}), max(key), count(*) FROM (
    SELECT key, {document} AS document FROM entries
    WHERE user_id = :user AND key >= :start AND key < :end AND {LIVE} ORDER BY key LIMIT {_STEP}
)"""


_STEPS = {format: _step(*document) for format, document in _DOCUMENTS.items()}


class ExportReport(Struct):
    """Content of an export: `count` entries of the space at `revision`, at a time in milliseconds."""

    revision: int
    count: int
    at: int


class Head(Struct, kw_only=True):
    """Beginning of an export."""

    format: str = NAME
    version: int = VERSION
    exported_at: str
    epoch: str
    revision: int
    prefix: str


class End(Struct, kw_only=True):
    """End of an export: a file without it has been cut."""

    count: int
    complete: bool = True


def write(
    db: sqlite3.Connection, user_id: int, now: int, *, format: Format, prefix: str, file: BinaryIO
) -> ExportReport:
    """Write the live entries under `prefix` into `file`."""
    with ReadSnapshot(db):
        revision = space_of(db, user_id)[0]
        head = Head(exported_at=timestamp(now), epoch=epoch_of(db), revision=revision, prefix=prefix)
        file.write(_beginning(format, head))
        between = {"json": b",\n", "ndjson": b"\n", "csv": b""}[format]
        count, after = 0, prefix
        while True:
            wanted = {"user": user_id, "now": now, "start": after, "end": behind(prefix), "values": True}
            text, last, found = db.execute(_STEPS[format], wanted).fetchone()
            if found:
                file.write(between if count else b"")
                file.write(_text(format, text))
                count += found
            if found < _STEP:
                break
            # a key has no control characters, so this is the smallest text after it
            after = last + "\0"
        file.write(_ending(format, count))
    return ExportReport(revision, count, now)


def _text(format: Format, text: str) -> bytes:
    # NDJSON is read by lines, and some readers know more line ends than one
    return line_separators.escape(text.encode()) if format == "ndjson" else text.encode()


def _beginning(format: Format, head: Head) -> bytes:
    if format == "csv":
        return f"{_COLUMNS}\r\n".encode()
    line = msgspec.json.encode(head)
    return line_separators.escape(line) + b"\n" if format == "ndjson" else line[:-1] + b',"entries":{\n'


def _ending(format: Format, count: int) -> bytes:
    if format == "csv":
        return b""
    line = msgspec.json.encode(End(count=count))
    if format == "ndjson":
        return (b"\n" if count else b"") + line + b"\n"
    return (b"\n" if count else b"") + b"}," + line[1:] + b"\n"
