"""Integers in another spelling: `164.0` and `1e2` are integers to JSON Schema, and some languages write them so.

Only requests that could not be decoded are rewritten, so the usual spelling costs nothing.
"""

import re

import msgspec
from msgspec import Raw

# all integer fields of the payloads
FIELDS = frozenset({"since", "limit", "before", "revision", "if_revision"})

_WHOLE = re.compile(r"([0-9]{1,19})(?:\.0{1,19})?", re.ASCII)
_NUMBER = re.compile(rb"[0-9]{1,19}(?:\.[0-9]{1,19})?(?:[eE][+-]?[0-9]{1,2})?")

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


def is_float_for_integer(error: msgspec.ValidationError) -> bool:
    """Return whether a request was refused for a fraction or an exponent where an integer is expected."""
    return str(error).startswith("Expected `int`, got `float`")


def rewrite(body: bytes) -> bytes:
    """Return the request with its integers spelt as digits; `body` itself if there is nothing to rewrite."""
    try:
        members = _members(body)
        found = _rewrite_fields(members)
        if (ops := members.get("ops")) is not None:
            items = [_members(op) for op in _items(ops)]
            # a list, not a generator: every item has to be rewritten
            if True in [_rewrite_fields(item) for item in items]:
                members["ops"], found = Raw(_encode(items)), True
        return _encode(members) if found else body
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # the body has another error as well, which the caller reports
        return body


def from_text(text: str) -> str | None:
    """Return the digits of an integer in a query string; None for anything else."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else None


def _rewrite_fields(members: dict[str, Raw]) -> bool:
    found = False
    for name in FIELDS & members.keys():
        spelt = _spell(bytes(members[name]))
        if spelt != bytes(members[name]):
            members[name], found = Raw(spelt), True
    return found


def _spell(number: bytes) -> bytes:
    text = number.strip()
    if _NUMBER.fullmatch(text) and (value := float(text)).is_integer() and value < 2**53:
        return b"%d" % int(value)
    return number
