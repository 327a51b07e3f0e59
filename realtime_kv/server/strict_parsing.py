"""Strict validation of a request's head: rejects what RFC 9112 forbids or two servers could interpret differently."""

import re
from collections.abc import Sequence
from email.message import Message
from http import HTTPStatus

# a name, a colon, and visible characters, spaces and tabs (RFC 9110 §5.5); no continuation of the line before
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r?\n")
_LENGTH = re.compile(r"[0-9]{1,15}")

LINE = "A header line is malformed: it is folded, or has a control character or a space in its name."
CUT = "The header breaks off before its end."
HOST = "A request must have exactly one Host."
LENGTH = "The length of the body is not clear: send one Content-Length, or Transfer-Encoding: chunked."
VERSION = "Transfer-Encoding needs HTTP/1.1."
CODING = "Content-Encoding is not supported; send the body as it is."
CHUNKS = "The body is not in chunks, though Transfer-Encoding says so."
ADDRESS = "The address is too long."
UNCLEAR = "This is not a valid request."
HEADERS = "The request has too many header lines."
SENTENCES = frozenset({LINE, CUT, HOST, LENGTH, VERSION, CODING, CHUNKS, ADDRESS})

Problem = tuple[HTTPStatus, str]


def is_field(line: bytes) -> bool:
    """Return True if this is a whole header or trailer line."""
    return _LINE.fullmatch(line) is not None


def problem(version: str, lines: Sequence[bytes], headers: "Message[str, str]") -> Problem | None:
    """Return the fault in a request's head, as a status and a sentence; None if there is none."""
    if not lines or lines[-1] not in {b"\r\n", b"\n"}:
        return HTTPStatus.BAD_REQUEST, CUT
    if not all(map(is_field, lines[:-1])):
        return HTTPStatus.BAD_REQUEST, LINE
    hosts = len(headers.get_all("host", []))
    if hosts > 1 or (hosts == 0 and version == "HTTP/1.1"):
        return HTTPStatus.BAD_REQUEST, HOST
    lengths = headers.get_all("content-length", [])
    codings = [coding.lower() for coding in headers.get_all("transfer-encoding", [])]
    # if two servers disagree about the end of a request, another one can be smuggled in behind it
    if len(lengths + codings) > 1 or codings not in ([], ["chunked"]) or not all(map(_LENGTH.fullmatch, lengths)):
        return HTTPStatus.BAD_REQUEST, LENGTH
    if codings and version != "HTTP/1.1":
        return HTTPStatus.BAD_REQUEST, VERSION
    if any(coding.strip().lower() not in {"", "identity"} for coding in headers.get_all("content-encoding", [])):
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, CODING
    return None
