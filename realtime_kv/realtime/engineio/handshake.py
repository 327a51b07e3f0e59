"""HTTP part of an Engine.IO session: parsing of requests and of WebSocket handshakes, and error responses."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from realtime_kv.realtime.engineio.packets import Violation

HEADERS = [
    ("Content-Type", "text/plain; charset=UTF-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]
ALLOWED = "GET, POST, OPTIONS"
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# the first line of a request of a session, whose sid begins with the number of its worker
_OWNED = re.compile(rb"[A-Z]+ /socket\.io/\?(?:[^ ]*?&)?sid=([1-9][0-9]{0,2})-")


class HandshakeError(Exception):
    """A request that is refused; `status` is the HTTP status line."""

    def __init__(self, sentence: str, status: str = "400 Bad Request") -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The query of a request: `transport` is `polling` or `websocket`; without a `sid` a session is to be opened."""

    transport: str
    sid: str | None


def read_query(environ: Mapping[str, Any]) -> Query:
    """Parse the query string. Raises BadRequest for other versions of engine.io, and for JSONP."""
    try:
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise HandshakeError("The query string cannot be read.") from None
    if "j" in query:
        raise HandshakeError("JSONP is not supported.")
    transport = query.get("transport", ["polling"])[0]
    if transport not in {"polling", "websocket"}:
        raise HandshakeError("There is no such transport.")
    sid = query["sid"][0] if "sid" in query else None
    if sid is None and query.get("EIO") != ["4"]:
        raise HandshakeError("Only version 4 of the engine.io protocol is supported.")
    return Query(transport, sid)


def sid_prefix(worker: int) -> str:
    """Return how the ids of the sessions of a worker begin, if a server has several workers."""
    return f"{worker}-"


def worker_of(request_line: bytes) -> int | None:
    """Return the number of the worker whose session sends this request; None if it names none."""
    match = _OWNED.match(request_line)
    return int(match[1]) if match else None


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Read the whole body of a POST, of at most `limit` bytes; blocks the greenlet. Raises BadRequest."""
    length = environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise HandshakeError("The Content-Length is not a number.")
    if length and (len(length) > 16 or int(length) > limit):
        raise HandshakeError(f"A request may have at most {limit} bytes.", "413 Content Too Large")
    try:
        body: bytes = environ["wsgi.input"].read(int(length) if length else limit + 1)
    except (OSError, ValueError):
        raise HandshakeError("The body did not arrive in time.") from None
    if len(body) > limit:
        raise HandshakeError(f"A request may have at most {limit} bytes.", "413 Content Too Large")
    if length and len(body) < int(length):
        raise HandshakeError("The body did not arrive in time.")
    return body


def handshake(environ: Mapping[str, Any]) -> bytes:
    """Return the whole response to an opening handshake; no extension is ever accepted. Raises BadRequest."""
    connection = {token.strip().lower() for token in environ.get("HTTP_CONNECTION", "").split(",")}
    if "upgrade" not in connection or environ.get("HTTP_UPGRADE", "").strip().lower() != "websocket":
        raise HandshakeError("This request needs a WebSocket handshake.")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise HandshakeError("Only version 13 of WebSocket is supported.")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        sound = len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (binascii.Error, UnicodeEncodeError):
        sound = False
    if not sound:
        raise HandshakeError("The Sec-WebSocket-Key is invalid.")
    accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def refusal(error: HandshakeError | Violation) -> HttpResponse:
    """Return an error response in the form of engine.io: a JSON string."""
    status = getattr(error, "status", "400 Bad Request")
    headers = (("Allow", ALLOWED),) if status.startswith("405") else ()
    return HttpResponse(status, msgspec.json.encode(str(error)), headers)


def lasting(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of a request, which are kept for the life of its connection; not its streams and functions."""
    return {
        name: value
        for name, value in environ.items()
        if isinstance(value, str) and name != "headers_raw" and not name.startswith("HTTP_SEC_WEBSOCKET")
    }
