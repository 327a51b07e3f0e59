"""Export of a user's space to one file: JSON to read and edit, NDJSON with everything, CSV for tables.

A file shows the space at one revision. It is written completely, in one reading transaction, before its first byte is
sent: the transaction lasts as long as the database needs, and never as long as a slow client takes. Keys are in byte
order, and every value is as stored, byte for byte, except for line separators in NDJSON, which are escaped.
"""

from typing import BinaryIO, get_args

import msgspec
from msgspec import Struct

from realtime_kv import line_separators
from realtime_kv.core.backend import EXPORT_STEP, BackendReader, ExportFormat
from realtime_kv.core.messages import timestamp

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

# the name by which an import recognises an export, and the version of its format
NAME, VERSION = "realtime_kv", 1
_COLUMNS = "key,value,revision,version,created_at,updated_at,expires_at"


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
    db: BackendReader, user_id: int, now: int, *, format: ExportFormat, prefix: str, file: BinaryIO
) -> ExportReport:
    """Write the live entries under `prefix` into `file`."""
    with db.snapshot():
        revision = db.revision(user_id)
        head = Head(exported_at=timestamp(now), epoch=db.epoch(), revision=revision, prefix=prefix)
        file.write(_beginning(format, head))
        between = {"json": b",\n", "ndjson": b"\n", "csv": b""}[format]
        count = 0
        after: str | None = None
        while True:
            text, last, found = db.export_step(format, user_id, now, after, prefix)
            if text is not None:
                file.write(between if count else b"")
                file.write(_text(format, text))
                count += found
            if last is None or found < EXPORT_STEP:
                break
            after = last
        file.write(_ending(format, count))
    return ExportReport(revision, count, now)


def _text(format: ExportFormat, text: str) -> bytes:
    # NDJSON is read by lines, and some readers know more line ends than one
    return line_separators.escape(text.encode()) if format == "ndjson" else text.encode()


def _beginning(format: ExportFormat, head: Head) -> bytes:
    if format == "csv":
        return f"{_COLUMNS}\r\n".encode()
    line = msgspec.json.encode(head)
    return line_separators.escape(line) + b"\n" if format == "ndjson" else line[:-1] + b',"entries":{\n'


def _ending(format: ExportFormat, count: int) -> bytes:
    if format == "csv":
        return b""
    line = msgspec.json.encode(End(count=count))
    if format == "ndjson":
        return (b"\n" if count else b"") + line + b"\n"
    return (b"\n" if count else b"") + b"}," + line[1:] + b"\n"
