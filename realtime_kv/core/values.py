"""What a key and a value may be (protocol §1): the one place where that is decided, for every door.

A value is kept as compact JSON text. Everything a value could hide is found by decoding it, which is strict (no NaN, no
lone surrogates, no trailing bytes) and quick; only a value whose bytes look suspicious is walked in Python.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

from realtime_kv.core.errors import BadRequest, InvalidKey, InvalidValue, TooLarge

KEY_BYTES = 512
OP_ID_LENGTH = 64
VALUE_BYTES = 65_536
DEPTH = 64
SAFE_INTEGER = 2**53 - 1
TTL_SECONDS = 100 * 365.25 * 24 * 60 * 60

_CONTROL = re.compile("[\x00-\x1f\x7f]")
# A value's bytes with every digit as 0, every mark of a float as . and every bracket as [ show three things quickly: an
# integer beyond ±(2^53−1) has at least 16 digits (so has many a float, hence only "suspicious"), a float has its mark
# behind a digit, and what is nested deep has many brackets.
_OUTLINE = bytes.maketrans(b"123456789eE{", b"000000000..[")
_LONG_NUMBER = b"0" * 16
_FLOAT = b"0."

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def check_key(key: str) -> str:
    """The key, as it came. Raises InvalidKey."""
    if not key:
        raise InvalidKey("it is empty")
    if len(key) > KEY_BYTES or len(key.encode()) > KEY_BYTES:
        raise InvalidKey(f"it is longer than {KEY_BYTES} bytes")
    if not key.isprintable() and _CONTROL.search(key):
        raise InvalidKey("it has a control character")
    return key


def check_op_id(op_id: str) -> str:
    """The `op_id`, as it came: 1 to 64 printable ASCII characters. Raises BadRequest."""
    if not (0 < len(op_id) <= OP_ID_LENGTH and op_id.isascii() and op_id.isprintable()):
        raise BadRequest(f"An op_id is 1 to {OP_ID_LENGTH} printable ASCII characters.", field="op_id")
    return op_id


def check_ttl(ttl: float) -> float:
    """How long an entry is to last, in seconds: more than none, and 100 years at most. Raises BadRequest."""
    if not 0 < ttl <= TTL_SECONDS:
        raise BadRequest(
            "A `ttl` is a number of seconds, more than 0 and at most 100 years; null is never.", field="ttl"
        )
    return float(ttl)


class Value(Struct, gc=False):
    """A value that may be stored: as compact JSON, and as JSON that is the same for every spelling of the value."""

    text: str
    canonical: bytes


def check_value(raw: bytes, limit: int = VALUE_BYTES) -> Value:
    """The value that `raw` (JSON) spells, at most `limit` bytes long. Raises BadRequest, InvalidValue, TooLarge."""
    try:
        value = _decode(raw)
    except RecursionError:
        raise InvalidValue(f"it is nested more than {DEPTH} deep") from None
    except msgspec.ValidationError:
        raise InvalidValue("a number is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The value is not JSON.", field="value") from None
    outline = raw.translate(_OUTLINE)
    if _LONG_NUMBER in outline or outline.count(b"[") > DEPTH:
        _walk(value)
    text = _encode(value)
    if len(text) > limit:
        raise TooLarge(
            f"That value has {len(text)} bytes as compact JSON; {limit} are allowed.", limit=limit, actual=len(text)
        )
    # the same for every spelling: sorted names, no white space, 1.0 as 1
    if _FLOAT in outline:
        canonical = _encode_sorted(_fold_numbers(value))
    else:
        canonical = _encode_sorted(value) if b"[" in outline else text
    return Value(text.decode(), canonical)


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
                raise InvalidValue("an integer is beyond ±(2^53−1); send it as a string")
        # a level that holds a container, even an empty one, is one deeper
        depth += any(isinstance(item, (dict, list)) for item in level)
        if depth > DEPTH:
            raise InvalidValue(f"it is nested more than {DEPTH} deep")
        level = deeper


def _fold_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_fold_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _fold_numbers(item) for name, item in value.items()}
    return value
