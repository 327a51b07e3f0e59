"""Strict parsing of requests: JSON bodies, query strings and plain forms.

Werkzeug's own parsing is liberal: it replaces broken UTF-8 and keeps the first of a repeated name. Here both are a
`bad_request`, since a silently changed key or password is worse than none.
"""

import codecs
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from flask import Response, request
from werkzeug.exceptions import ClientDisconnected

from realtime_kv.errors import BadRequest, TooLarge

T = TypeVar("T")

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# the largest body of any request (protocol §5); a form holds a name, a password and a path
LIMIT = 1024 * 1024
FORM_LIMIT = 64 * 1024
# fields of a form or a query string at most; real ones have a handful, and parsing thousands takes long
MAX_FIELDS = 64
# bytes per read of a longer body
PIECE = 64 * 1024


def json() -> bytes:
    """Return the body of a JSON request, not yet decoded. Raises BadRequest, TooLarge."""
    _expect(JSON)
    # editors and shells on Windows write this mark; a parser may ignore it (RFC 8259, section 8.1)
    return _read(LIMIT).removeprefix(codecs.BOM_UTF8)


def decode(kind: type[T], body: bytes) -> T:
    """Decode the body as `kind`, with no missing and no unknown fields. Raises BadRequest."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.username`"
        sentence, _, path = str(error).partition(" - at `$.")
        raise BadRequest(f"{sentence}.", **({"field": path.rstrip("`")} if path else {})) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not JSON.") from None


def query() -> list[tuple[str, str]]:
    """Return the fields of the query string, in order. Raises BadRequest."""
    # WSGI passes bytes as Latin-1
    return _pairs(str(request.environ.get("QUERY_STRING", "")).encode("latin-1"))


def check_query() -> None:
    """Raise BadRequest for a query string with too many fields, or with raw bytes that are not UTF-8.

    It comes before anything else: Werkzeug decodes the query string in many places, and none of them expects these.
    Percent-encoded bytes are checked where they are decoded.
    """
    if request.query_string.count(b"&") >= MAX_FIELDS:
        raise BadRequest(f"A query string may have at most {MAX_FIELDS} fields.")
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        raise BadRequest("The query string is not UTF-8.") from None


def form() -> dict[str, str]:
    """Return the fields of a plain form. Raises BadRequest, TooLarge."""
    _expect(FORM)
    return dict(_pairs(_read(FORM_LIMIT)))


def pieces(limit: int) -> Iterator[bytes]:
    """Yield a body that may not fit into memory, as it arrives. Raises BadRequest, TooLarge."""
    length = request.content_length
    if (length or 0) > limit:
        raise _too_large(limit, actual=length)
    chunked = request.headers.get("Transfer-Encoding", "").lower() == "chunked"
    # if the length is unknown, one byte beyond the limit shows that the body is too large
    left = limit + 1 if chunked else length or 0
    while left:
        try:
            piece = request.environ["wsgi.input"].read(min(left, PIECE))
        except OSError:
            raise BadRequest("The body is incomplete.") from None
        if not piece and not chunked:
            raise BadRequest("The body is incomplete.")
        if not piece:
            return
        left -= len(piece)
        yield piece
    if chunked:
        raise _too_large(limit)


def answer(content: Any, status: int = 200) -> Response:
    """Return a JSON answer; bytes are JSON already."""
    encoded = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(encoded, status, mimetype=JSON)


def has_body() -> bool:
    """Return whether the request announces a body."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _expect(mimetype: str) -> None:
    if request.mimetype != mimetype:
        raise BadRequest(f"Send this with the content type {mimetype}.")


def _read(limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit, actual=request.content_length)
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        # the server decodes the chunks and ends the stream itself; without this flag, Werkzeug reads nothing
        request.environ["wsgi.input_terminated"] = True
    # if the length is unknown, Werkzeug stops silently at its limit: a byte beyond ours shows a body that is too large
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False)
    except ClientDisconnected:
        raise BadRequest("The body is incomplete.") from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int, **extra: int | None) -> TooLarge:
    return TooLarge(f"A body may have at most {limit} bytes here.", limit=limit, **extra)


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    pairs: dict[str, str] = {}
    if encoded.count(b"&") >= MAX_FIELDS:
        raise BadRequest(f"At most {MAX_FIELDS} fields are allowed here.")
    for piece in encoded.split(b"&"):
        if not piece:
            continue
        name, _, value = (_text(part) for part in piece.partition(b"="))
        if name in pairs:
            raise BadRequest(f"{name[:64]!r} is given more than once.", field=name[:64])
        pairs[name] = value
    return list(pairs.items())


def _text(part: bytes) -> str:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise BadRequest("A percent-encoded part is not UTF-8.") from None
