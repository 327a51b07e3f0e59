"""Verb registry for the transports and the documentation: each verb's name, and how its payload is decoded.

payloads.py defines the payloads.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from realtime_kv.core.messages import LARGE_BYTES, HistoryPage, ListPage, SyncPage, TrashPage
from realtime_kv.errors import BadRequest, InvalidValue, NotFound, Refusal
from realtime_kv.verbs import integers, payloads, surrogates
from realtime_kv.verbs.payloads import Payload

T = TypeVar("T")

VERBS: dict[str, type[Payload]] = {
    "get": payloads.Get,
    "set": payloads.Set,
    "delete": payloads.Delete,
    "list": payloads.List,
    "batch": payloads.Batch,
    "delete_prefix": payloads.DeletePrefix,
    "move": payloads.Move,
    "copy": payloads.Copy,
    "restore": payloads.Restore,
    "undo": payloads.Undo,
    "history": payloads.History,
    "trash": payloads.Trash,
    "sync": payloads.Sync,
}
# the field of an answer that holds a page, which the database has built as JSON
PAGES: dict[type, str] = {HistoryPage: "writes", TrashPage: "entries", ListPage: "entries", SyncPage: "writes"}
# verbs that can be called with GET: they change nothing
READING = frozenset({"get", "list", "history", "trash", "sync"})

_decoders: dict[str, Callable[[bytes], Payload]] = {
    name: msgspec.json.Decoder(payload).decode for name, payload in VERBS.items()
}
# by the name as JSON, for callers that find a name's bytes without parsing
decoders_by_json = {msgspec.json.encode(name): decoder for name, decoder in _decoders.items()}
encode = msgspec.json.Encoder().encode

_FIELD = re.compile(r"(?:unknown|required) field `([^`]*)`|`\$\.([a-z_]+)")
_INDEX = re.compile(r"\$\.ops\[(\d+)\]")
_FLAGS = {"true": True, "false": False}


def decode(name: str, body: bytes) -> Payload:
    """Return the request in `body`, a JSON object. Raises NotFound for an unknown verb, BadRequest, InvalidValue."""
    decoder = _decoders.get(name)
    if decoder is None:
        raise unknown(name)
    try:
        return decoder(body)
    except msgspec.ValidationError as error:
        whole = integers.rewrite(body) if integers.is_float_for_integer(error) else body
        if whole != body:
            return decode(name, whole)
        raise _mismatch(str(error)) from None
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, ValueError):
        raise surrogates.refusal(body) or BadRequest("The request is not a JSON object.") from None


def decode_query(name: str, parameters: Iterable[tuple[str, str]]) -> Payload:
    """Return the request of a reading verb from a query string, in which numbers and `true`/`false` are text."""
    payload = VERBS.get(name)
    if payload is None or name not in READING:
        raise unknown(name)
    return decode_parameters(payload, parameters)


def decode_parameters(kind: type[T], parameters: Iterable[tuple[str, str]]) -> T:
    """Convert a query string to `kind`; no parameter may be missing or unknown. Raises BadRequest."""
    fields: dict[str, Any] = {}
    for field, text in parameters:
        if field in fields:
            raise BadRequest(f"The parameter {field!r} is given twice.", field=field)
        if field in integers.FIELDS and (digits := integers.from_text(text)):
            fields[field] = int(digits)
        elif field == "values":
            fields[field] = _FLAGS.get(text, text)
        else:
            fields[field] = text
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise _mismatch(str(error)) from None


def encode_in_pieces(answer: Any) -> Sequence[bytes | memoryview]:
    """Return `encode(answer)` in pieces: a large page that the database has built as JSON is not copied."""
    field = PAGES.get(type(answer))
    if field is None or len(page := getattr(answer, field)) < LARGE_BYTES:
        return (encode(answer),)
    shell = encode(msgspec.structs.replace(answer, **{field: msgspec.Raw(b"[]")}))
    # inside a JSON string these quotation marks would be escaped
    before, name, behind = shell.partition(b'"%b":[]' % field.encode())
    return before + name[:-2], memoryview(page), behind


def encode_refusal(refusal: Refusal) -> bytes:
    """Return a refusal as a socket's acknowledgement: `{"ok": false, "error": {code, message, …}}`."""
    return encode({"ok": False, "error": refusal.body()})


def too_deep() -> InvalidValue:
    """Return the refusal of nesting that is beyond any parser (protocol §5)."""
    return InvalidValue("it is nested too deep")


def unknown(name: str) -> NotFound:
    """Return the HTTP answer to an unknown verb."""
    return NotFound(f"There is no verb {name[:64]!r}; there are {', '.join(VERBS)}.")


def _mismatch(message: str) -> Refusal:
    extra: dict[str, Any] = {}
    if found := _FIELD.search(message):
        extra["field"] = found[1] or found[2]
    if found := _INDEX.search(message):
        extra["index"] = int(found[1])
    if message.startswith("Number out of range"):
        return InvalidValue("a number is out of range", **extra)
    return BadRequest(f"{message}.", **extra)
