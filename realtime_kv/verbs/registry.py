"""Verb registry: one record for each verb, which decoders, OpenAPI, the API page and the tests of the documents read.

payloads.py defines the payloads and the store's method that each one calls.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from realtime_kv.core import messages
from realtime_kv.core.messages import LARGE_BYTES
from realtime_kv.errors import BadRequest, InvalidValue, NotFound, Refusal
from realtime_kv.verbs import integers, payloads, surrogates
from realtime_kv.verbs.payloads import Payload

T = TypeVar("T")


class Verb(NamedTuple):
    """Declaration of a verb: its payload and its result, a sentence, and an example in JSON and in JavaScript.

    With `reads` it can be called with GET; `page` is the field of the result that the database has built as JSON.
    """

    payload: type[Payload]
    result: type[messages.Result]
    summary: str
    example: dict[str, Any]
    javascript: str
    reads: bool = False
    page: str | None = None


VERBS: dict[str, Verb] = {
    "get": Verb(
        payloads.Get, messages.GetResult, "Reads one key.", {"key": "app/banner"}, 'kv.get("app/banner")', reads=True
    ),
    "set": Verb(
        payloads.Set,
        messages.WriteResult,
        "Writes one key. With ttl it expires after that many seconds.",
        {"key": "app/banner", "value": "Back at noon", "ttl": 3600},
        'await kv.set("app/banner", "Back at noon", { ttl: 3600 })',
    ),
    "delete": Verb(
        payloads.Delete,
        messages.DeleteResult,
        "Deletes one key. It stays in the trash for a while; an absent key is no error.",
        {"key": "app/banner"},
        'await kv.delete("app/banner")',
    ),
    "list": Verb(
        payloads.List,
        messages.ListPage,
        "Reads all keys under a prefix, page by page, in byte order.",
        {"prefix": "app/", "limit": 100},
        'kv.entries("app/")',
        reads=True,
        page="entries",
    ),
    "batch": Verb(
        payloads.Batch,
        messages.BatchResult,
        "Applies several sets and deletes as one write: all of them or none.",
        {"ops": [{"op": "set", "key": "app/theme", "value": "dark"}, {"op": "delete", "key": "app/banner"}]},
        'await kv.batch([{ op: "set", key: "app/theme", value: "dark" }, { op: "delete", key: "app/banner" }])',
    ),
    "delete_prefix": Verb(
        payloads.DeletePrefix,
        messages.CountResult,
        "Deletes all keys under a prefix as one write. With dry_run it only counts them.",
        {"prefix": "app/", "dry_run": True},
        'await kv.deletePrefix("app/", { dryRun: true })',
    ),
    "move": Verb(
        payloads.Move,
        messages.CountResult,
        "Renames a key, or moves everything under a prefix that ends in a slash, as one write.",
        {"from": "app/", "to": "archive/app/"},
        'await kv.move("app/", "archive/app/")',
    ),
    "copy": Verb(
        payloads.Copy,
        messages.CountResult,
        "Copies a key, or everything under a prefix that ends in a slash, as one write.",
        {"from": "app/banner", "to": "app/banner-2"},
        'await kv.copy("app/banner", "app/banner-2")',
    ),
    "restore": Verb(
        payloads.Restore,
        messages.WriteResult,
        "Writes an earlier value again: the last one of a deleted key, or the one of a revision in the history.",
        {"key": "app/banner", "revision": 1},
        'await kv.restore("app/banner", { revision: 1 })',
    ),
    "undo": Verb(
        payloads.Undo,
        messages.CountResult,
        "Restores what the write of a revision replaced, if nothing was written there since.",
        {"revision": 2},
        "await kv.undo(2)",
    ),
    "history": Verb(
        payloads.History,
        messages.HistoryPage,
        "Reads who wrote what and when, newest first: of one key, or of all.",
        {"key": "app/banner", "limit": 10},
        'await kv.history({ key: "app/banner", limit: 10 })',
        reads=True,
        page="writes",
    ),
    "trash": Verb(
        payloads.Trash,
        messages.TrashPage,
        "Reads the deleted keys that can be restored.",
        {"limit": 10},
        "await kv.trash({ limit: 10 })",
        reads=True,
        page="entries",
    ),
    "sync": Verb(
        payloads.Sync,
        messages.SyncPage,
        "Reads what has changed since a position, or everything; for programs that keep a copy.",
        {},
        "kv.position",
        reads=True,
        page="writes",
    ),
}
PAGES: dict[type, str] = {verb.result: verb.page for verb in VERBS.values() if verb.page is not None}
READING = frozenset(name for name, verb in VERBS.items() if verb.reads)

_decoders: dict[str, Callable[[bytes], Payload]] = {
    name: msgspec.json.Decoder(verb.payload).decode for name, verb in VERBS.items()
}
# by the name as JSON, for callers that find a name's bytes without parsing
_decoders_by_json = {msgspec.json.encode(name): decoder for name, decoder in _decoders.items()}
# the comma after a verb in an event is within this many bytes
_NAME_BYTES = 3 + max(map(len, VERBS)) + 1
_items = msgspec.json.Decoder(list[Raw]).decode
_name = msgspec.json.Decoder(str).decode
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


def decode_event(
    body: bytes, before_slow_path: Callable[[], None], others: Mapping[str, Callable[[bytes], Payload]]
) -> Payload:
    """Return the request in `body`, a Socket.IO event: a JSON array of a verb and one object.

    `before_slow_path` is called before an unusual event is decoded, which may be invalid; `others` decode the payloads
    of events that are no verbs. Raises BadRequest, InvalidValue, and the errors of `before_slow_path`.
    """
    # nearly every event has this form: `["set",{…}]`
    comma = body.find(b",", 2, _NAME_BYTES)
    decoder = _decoders_by_json.get(body[1:comma])
    if decoder is not None and body.endswith(b"]"):
        try:
            return decoder(body[comma + 1 : -1])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # the slow path finds the reason
            pass
    before_slow_path()
    return _decode_unusual_event(body, others)


def _decode_unusual_event(body: bytes, others: Mapping[str, Callable[[bytes], Payload]]) -> Payload:
    try:
        items = _items(body)
        name = _name(items[0])
    except RecursionError:
        # deeper than any parser goes: no value of this depth can be stored
        raise too_deep() from None
    except (msgspec.MsgspecError, ValueError, IndexError):
        # the parts of an event: the name, a comma, and the payload
        refused = surrogates.refusal(body.partition(b",")[2].rstrip().removesuffix(b"]"))
        raise refused or BadRequest("An event is JSON: a verb and one object.") from None
    if len(items) != 2:
        raise BadRequest(f"A verb takes exactly one object; {len(items) - 1} arguments were sent.")
    payload = bytes(items[1])
    if (other := others.get(name)) is not None:
        return other(payload)
    try:
        return decode(name, payload)
    except NotFound as refusal:
        # over a socket an unknown verb is an unknown event, which is a bad request (protocol §5)
        raise BadRequest(refusal.message) from None


def decode_query(name: str, parameters: Iterable[tuple[str, str]]) -> Payload:
    """Return the request of a reading verb from a query string, in which numbers and `true`/`false` are text."""
    if name not in READING:
        raise unknown(name)
    return decode_parameters(VERBS[name].payload, parameters)


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
