"""Rules for answers, and content that no bytes to a client may contain."""

import re

import msgspec
from msgspec import Raw, Struct

from tests.fuzz.case import Wrong

# another user's secret, in their keys and in their values
CANARY = b"canary-of-the-control-client"
# busy, and the user's quota: documented (protocol §5)
ALLOWED_5XX = {b"503", b"507"}
CODES = {
    *("bad_request", "unauthenticated", "invalid_credentials", "forbidden", "not_found", "conflict", "name_taken"),
    *("too_large", "invalid_key", "invalid_value", "invalid_name", "invalid_password", "op_id_reused", "rate_limited"),
    *("quota_exceeded", "unavailable", "second_step_needed", "password_change_needed", "invalid_code", "link_expired"),
}
# part of the text typed into forms and queries: no page may contain it as an element, no answer as a header
ELEMENT = b"<fuzzed"
HEADER = b"x-fuzzed"

# `run.py` is the documented command, and a signed token may contain `.py-`
_INSIDES = re.compile(
    rb'Traceback|File "|/realtime_kv/|site-packages|\b[A-Z][A-Za-z]*(?:Error|Exception)\b|(?<!run)\.py(?![\w-])'
    rb"|sqlite|sqlalchemy|msgspec|eventlet|[Ww]erkzeug|engineio|socketio\."
)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_SCRIPT = re.compile(rb"Content-Type: (?:text|application)/javascript", re.IGNORECASE)


class Refused(Struct):
    code: str
    message: str


class Verdict(Struct):
    ok: bool
    error: Refused | None = None


_verdict = msgspec.json.Decoder(Verdict).decode
_any = msgspec.json.Decoder(Raw).decode


def check_bytes(received: bytes) -> None:
    """Raise Wrong for internals of the server or another user's data."""
    if CANARY in received:
        raise Wrong(f"somebody else's data: {_around(received, received.index(CANARY))}")
    # scripts may mention errors
    if _SCRIPT.search(received) is None and (found := _INSIDES.search(received)):
        raise Wrong(f"something of the inside: {_around(received, found.start())}")


def statuses(received: bytes) -> list[bytes]:
    """Return the statuses of all responses in these bytes; raise Wrong for an undocumented 5xx."""
    found = _STATUS.findall(received)
    for status in found:
        check_status(status)
    return found


def check_status(status: bytes) -> None:
    if status.startswith(b"5") and status not in ALLOWED_5XX:
        raise Wrong(f"answered {status.decode()}")


def check_answer(answer: bytes) -> str:
    """Check an acknowledgement; return `ok`, or the code of a documented refusal."""
    try:
        verdict = _verdict(answer)
    except msgspec.MsgspecError as error:
        raise Wrong(f"not an answer ({error}): {answer[:200]!r}") from None
    if verdict.ok:
        return "ok"
    if verdict.error is None or verdict.error.code not in CODES:
        raise Wrong(f"not a refusal: {answer[:200]!r}")
    return verdict.error.code


def check_page(html: bytes) -> None:
    """Check that typed text stays text."""
    if ELEMENT in html:
        raise Wrong(f"typed text has become an element: {_around(html, html.index(ELEMENT))}")


def check_headers(headers: dict[bytes, bytes]) -> None:
    """Check that typed text makes no header of its own."""
    if HEADER in headers:
        raise Wrong(f"typed text has become a header: {headers}")


def check_json(text: bytes) -> None:
    try:
        _any(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Wrong(f"not JSON ({error}): {text[:200]!r}") from None


def _around(received: bytes, at: int) -> str:
    return repr(received[max(0, at - 80) : at + 160])
