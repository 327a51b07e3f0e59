"""What a key and a value may be (protocol §1): the one place where that is decided, for every door.

A value is kept as compact JSON text. Everything a value could hide is found by decoding it, which is strict (no NaN, no
lone surrogates, no trailing bytes) and quick; only a value whose bytes look suspicious is walked in Python.
"""

import re
from typing import Any

import msgspec

from realtime_kv.core.errors import BadRequest, InvalidKey, InvalidValue, TooLarge

KEY_BYTES = 512
VALUE_BYTES = 65_536
DEPTH = 64
SAFE_INTEGER = 2**53 - 1

_CONTROL = re.compile("[\x00-\x1f\x7f]")
# an integer beyond ±(2^53−1) has at least 16 digits; so has many a float, hence only "suspicious"
_LONG_NUMBER = re.compile(rb"\d{16}")
_FLOAT = re.compile(rb"\d[.eE]")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def check_key(key: str) -> str:
    """The key, as it came. Raises InvalidKey."""
    if not key:
        raise InvalidKey("it is empty")
    if len(key) > KEY_BYTES or len(key.encode()) > KEY_BYTES:
        raise InvalidKey(f"it is longer than {KEY_BYTES} bytes")
    if _CONTROL.search(key):
        raise InvalidKey("it has a control character")
    return key


def check_value(raw: bytes, limit: int = VALUE_BYTES) -> str:
    """The value as compact JSON text, at most `limit` bytes. Raises BadRequest, InvalidValue, TooLarge."""
    text = _encode(decode_value(raw))
    if len(text) > limit:
        raise TooLarge(
            f"That value has {len(text)} bytes as compact JSON; {limit} are allowed.", limit=limit, actual=len(text)
        )
    return text.decode()


def decode_value(raw: bytes) -> Any:
    """The decoded value, with depth and numbers checked. Raises BadRequest, InvalidValue."""
    try:
        value = _decode(raw)
    except RecursionError:
        raise InvalidValue(f"it is nested more than {DEPTH} deep") from None
    except msgspec.ValidationError:
        raise InvalidValue("a number is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The value is not JSON.", field="value") from None
    if raw.count(b"[") + raw.count(b"{") > DEPTH or _LONG_NUMBER.search(raw):
        _walk(value)
    return value


def canonical(raw: bytes) -> bytes:
    """The same bytes for every spelling of the same JSON value: sorted names, no white space, 1.0 as 1."""
    value = _decode(raw)
    return _encode_sorted(_fold_numbers(value) if _FLOAT.search(raw) else value)


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
