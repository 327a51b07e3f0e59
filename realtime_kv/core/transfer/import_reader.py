"""Import reader: yields the entries of a file, each checked like the payload of a `set`.

It reads three formats: a JSON object of keys and values, our own JSON export, and NDJSON with one entry a line. Every
error is reported with its line.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, BinaryIO, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from realtime_kv.core import validation
from realtime_kv.core.transfer import exporter, json_stream
from realtime_kv.errors import BadRequest, InvalidValue, Refusal, TooLarge

Format = Literal["json", "ndjson"]
FORMATS: tuple[Format, ...] = get_args(Format)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_OURS = msgspec.json.encode(exporter.NAME)
# members of an export, each once
_PARTS = {*exporter.Head.__struct_fields__, "entries", *exporter.End.__struct_fields__}
_CUT = "The file is not complete: it does not end as an export ends, with `count` and `complete`."


class ImportEntry(Struct, gc=False):
    """A value for a key, from a line of the file; `expires_at` in milliseconds, None for never, UNSET if not given."""

    line: int
    key: str
    value: str
    expires_at: int | UnsetType | None = UNSET


class _Line(Struct, forbid_unknown_fields=True, kw_only=True):
    """A line of NDJSON: an entry in the protocol's format, of which key and value are enough."""

    key: str
    value: Raw
    expires_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    revision: Raw | UnsetType = UNSET
    created_revision: Raw | UnsetType = UNSET
    version: Raw | UnsetType = UNSET
    created_at: Raw | UnsetType = UNSET
    updated_at: Raw | UnsetType = UNSET


class _Head(Struct):
    format: str
    version: int


class _End(Struct):
    count: int
    complete: bool


# other types of files, by their first bytes
_OTHER_FILES = {
    re.compile(
        rb"\xff\xfe|\xfe\xff|.\0|\0.", re.DOTALL
    ): "The file is UTF-16, as the > of Windows PowerShell writes it. Save it as UTF-8, and import it again.",
    re.compile(rb"\x1f\x8b"): "The file is compressed by gzip. Unpack it, and import it again.",
    re.compile(rb"PK\x03\x04"): "The file is a ZIP archive. Unpack it, and import the file that is in it.",
    re.compile(rb"\x28\xb5\x2f\xfd"): "The file is compressed by Zstandard. Unpack it, and import it again.",
}

_decode_line = msgspec.json.Decoder(_Line).decode


def read(file: BinaryIO, format: Format, value_bytes: int) -> Iterator[ImportEntry]:
    """Return the entries of the file, in order. Raises BadRequest, InvalidKey, InvalidValue, TooLarge with `line`."""
    start = file.read(4)
    file.seek(-len(start), os.SEEK_CUR)
    if reason := next((reason for mark, reason in _OTHER_FILES.items() if mark.match(start)), None):
        raise BadRequest(reason)
    return _from_ndjson(file, value_bytes) if format == "ndjson" else _from_json(file, value_bytes)


def _from_json(file: BinaryIO, value_bytes: int) -> Iterator[ImportEntry]:
    text = json_stream.JsonObjectReader(file)
    count, ours = 0, False
    around: dict[str, bytes] = {}
    for number, name in enumerate(text.members()):
        line = text.line
        if ours and (name not in _PARTS or name in around):
            raise BadRequest(f"Line {line}: an export has no member {name[:64]!r} here.", line=line)
        if ours and name == "entries":
            around[name] = b""
            for key in text.members():
                count += 1
                yield _item(text.line, key, text.value(), value_bytes)
            continue
        value = text.value()
        if ours:
            around[name] = value
        elif name == "format" and value == _OURS:
            if number:
                raise BadRequest(f"Line {line}: `format` must be the first member of an export.", line=line)
            ours, around[name] = True, value
        else:
            yield _item(line, name, value, value_bytes)
    text.end()
    if ours:
        _check_version(around.get("version"))
        if (around.get("count"), around.get("complete")) != (b"%d" % count, b"true") or "entries" not in around:
            raise BadRequest(_CUT)


def _from_ndjson(file: BinaryIO, value_bytes: int) -> Iterator[ImportEntry]:
    ours, ended, count, number = False, False, 0, 0
    while line := file.readline(json_stream.LIMIT + 1):
        number += 1
        if len(line) > json_stream.LIMIT:
            raise TooLarge(f"Line {number} is too long.", limit=json_stream.LIMIT, line=number)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            ours = _is_head(line)
            if ours:
                continue
        if not line.strip():
            continue
        if ended:
            raise BadRequest(f"Line {number} is after the end of the export.", line=number)
        if ours and (end := _end(line)) is not None:
            if end.count != count or not end.complete:
                raise BadRequest(_CUT, line=number)
            ended = True
            continue
        count += 1
        yield _from_line(line, number, value_bytes)
    if not ours and not count:
        # a mistake, which with `replace` would delete everything
        raise BadRequest("The file is empty.")
    if ours and not ended:
        raise BadRequest(_CUT, line=number)


def _from_line(line: bytes, number: int, value_bytes: int) -> ImportEntry:
    with _told(number):
        try:
            entry = _decode_line(line)
        except msgspec.ValidationError as error:
            raise BadRequest(f"{error}.") from None
        except RecursionError:
            raise InvalidValue(f"it is nested more than {validation.DEPTH} deep") from None
        except (msgspec.DecodeError, ValueError):
            raise BadRequest("This is not a JSON object.") from None
    item = _item(number, entry.key, bytes(entry.value), value_bytes)
    expires_at = entry.expires_at
    item.expires_at = (expires_at - _EPOCH) // _MILLISECOND if isinstance(expires_at, datetime) else expires_at
    return item


def _item(line: int, key: str, value: bytes, value_bytes: int) -> ImportEntry:
    with _told(line, key):
        validation.check_key(key)
        return ImportEntry(line, key, validation.check_value(value, value_bytes).text)


def _is_head(line: bytes) -> bool:
    """Return whether this line begins an export. Raises BadRequest for an export of a version to come."""
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    if head.format != exporter.NAME:
        return False
    _check_version(b"%d" % head.version)
    return True


def _end(line: bytes) -> _End | None:
    # short, and our own spelling: no entry begins like this
    if not line.startswith(b'{"count":'):
        return None
    try:
        return msgspec.json.decode(line, type=_End)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _check_version(version: bytes | None) -> None:
    if version != b"%d" % exporter.VERSION:
        raise BadRequest(f"This is not an export of version {exporter.VERSION}, the only one that this server reads.")


@contextmanager
def _told(line: int, key: str | None = None) -> Iterator[None]:
    """Add the line and key to a refusal that is raised inside."""
    try:
        yield
    except Refusal as refusal:
        extra: dict[str, Any] = {"line": line} if key is None else {"line": line, "key": key}
        refusal.extra = {**refusal.extra, **extra}
        refusal.message = f"Line {line}: {refusal.message}"
        raise
