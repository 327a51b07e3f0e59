"""Validation of keys and values (protocol §1), in one place for every transport.

A value is stored as compact JSON text. Decoding finds everything that a value could hide: it is strict (no NaN, no lone
surrogates, no trailing bytes) and fast. Only a value whose bytes look suspicious is walked in Python.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

from realtime_kv.errors import BadRequest, InvalidKey, InvalidValue, TooLarge

KEY_BYTES = 512
OP_ID_LENGTH = 64
VALUE_BYTES = 65_536
DEPTH = 64
SAFE_INTEGER = 2**53 - 1
TTL_SECONDS = 100 * 365.25 * 24 * 60 * 60

_CONTROL = re.compile("[\x00-\x1f\x7f]")
# A value's bytes with every digit as 0, every mark of a float as . and every bracket as [ show three things quickly: an
# integer beyond ±(2^53−1) has at least 16 digits (as many floats have, hence only "suspicious"), a float has its mark
# behind a digit, and a deeply nested value has many brackets.
_OUTLINE = bytes.maketrans(b"123456789eE{", b"000000000..[")
_LONG_NUMBER = b"0" * 16
# bytes that can be spelt in several ways or left out: all but brackets, commas, colons and quotation marks
_SPELLING = bytes(set(range(256)) - set(b'[]{},:"'))
_FLOAT = b"0."
# Compact JSON that matches neither has no float that is an integer, and so none beyond ±(2^53−1): nothing to fold.
_POINT_ZERO = re.compile(rb"\.0(?![0-9])")
_LARGE_EXPONENT = re.compile(rb"e(?<=[0-9]e)[^-]")
# a double of 0, which a number too small for a double becomes
_ZERO = re.compile(rb"(?<![0-9.])0\.0(?![0-9])")
# only a number with an exponent like this, or with so many zeros, can be too small for a double
_SMALL_EXPONENT = re.compile(rb"[0-9][eE]-[0-9]{2}")
_MANY_ZEROS = b"0" * 300
# each number of a value; strings are matched to skip them
_STRING_OR_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?([0-9.]+)(?:[eE][+-]?[0-9]+)?')

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def check_key(key: str) -> str:
    """Return the key unchanged. Raises InvalidKey."""
    if not key:
        raise InvalidKey("it is empty")
    if len(key) > KEY_BYTES or len(key.encode()) > KEY_BYTES:
        raise InvalidKey(f"it is longer than {KEY_BYTES} bytes")
    if not key.isprintable() and _CONTROL.search(key):
        raise InvalidKey("it has a control character")
    return key


def check_op_id(op_id: str) -> str:
    """Return the `op_id` unchanged: 1 to 64 printable ASCII characters. Raises BadRequest."""
    if not (0 < len(op_id) <= OP_ID_LENGTH and op_id.isascii() and op_id.isprintable()):
        raise BadRequest(f"An op_id is 1 to {OP_ID_LENGTH} printable ASCII characters.", field="op_id")
    return op_id


def check_ttl(ttl: float) -> float:
    """Return the lifetime of an entry in seconds: more than 0, and at most 100 years. Raises BadRequest."""
    if not 0 < ttl <= TTL_SECONDS:
        raise BadRequest(
            "A `ttl` is a number of seconds, more than 0 and at most 100 years; null means never.", field="ttl"
        )
    return float(ttl)


class Value(Struct, gc=False):
    """A valid value: as compact JSON, and as canonical JSON, which is the same for every spelling of the value."""

    text: str
    canonical: bytes


def check_value(raw: bytes, limit: int = VALUE_BYTES) -> Value:
    """Return the value that `raw` (JSON) spells, at most `limit` bytes. Raises BadRequest, InvalidValue, TooLarge."""
    # The compact JSON has each of these bytes as well (except for repeated names): a value that is far too large is
    # found before it is decoded.
    if len(raw) > limit and (least := len(raw.translate(None, _SPELLING))) > limit:
        raise TooLarge(
            f"That value has at least {least} bytes as compact JSON; {limit} are allowed.", limit=limit, actual=least
        )
    try:
        value = _decode(raw)
    except RecursionError:
        raise InvalidValue(f"it is nested more than {DEPTH} deep") from None
    except msgspec.ValidationError:
        raise InvalidValue("a number is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The value is not JSON.", field="value") from None
    # first, so that a value that is too large costs no more than this
    text = _encode(value)
    if len(text) > limit:
        raise TooLarge(
            f"That value has {len(text)} bytes as compact JSON; {limit} are allowed.", limit=limit, actual=len(text)
        )
    outline = raw.translate(_OUTLINE)
    may_be_float = _FLOAT in outline
    if _LONG_NUMBER in outline or outline.count(b"[") > DEPTH:
        _walk(value)
    if may_be_float and b"0.0" in text and _ZERO.search(text) and (_SMALL_EXPONENT.search(raw) or _MANY_ZEROS in raw):
        _check_underflow(raw)
    # the same for every spelling: sorted names, no white space, 1.0 as 1
    folded = _fold_numbers(value) if may_be_float and _may_be_integral(text) else value
    canonical = _encode_sorted(folded) if may_be_float or b"[" in outline else text
    return Value(text.decode(), canonical)


def _may_be_integral(text: bytes) -> bool:
    """Return False if no number with a point or exponent in this compact JSON is an integer."""
    if b".0" in text and _POINT_ZERO.search(text):
        return True
    return b"e" in text and _LARGE_EXPONENT.search(text) is not None


def _walk(value: Any) -> None:
    level, depth = [value], 0
    while level:
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
            elif isinstance(item, int) and not -SAFE_INTEGER <= item <= SAFE_INTEGER:
                raise _out_of_range()
        # a level that holds a container, even an empty one, is one deeper
        depth += any(isinstance(item, (dict, list)) for item in level)
        if depth > DEPTH:
            raise InvalidValue(f"it is nested more than {DEPTH} deep")
        level = deeper


def _check_underflow(raw: bytes) -> None:
    for match in _STRING_OR_NUMBER.finditer(raw):
        digits = match[1]
        if digits is not None and digits.strip(b"0.") and not float(match[0]):
            raise InvalidValue("a number is so small that a double would hold 0; send it as a string")


def _fold_numbers(value: Any) -> Any:
    if isinstance(value, float):
        # every double beyond that is an integer, and may differ from the number that was sent
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise _out_of_range()
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_fold_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _fold_numbers(item) for name, item in value.items()}
    return value


def _out_of_range() -> InvalidValue:
    return InvalidValue("a number is beyond ±(2^53−1), so a double cannot hold it exactly; send it as a string")
