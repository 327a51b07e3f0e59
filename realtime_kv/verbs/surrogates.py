"""Lone surrogates: `\\ud800` without its other half is an escape that JSON allows and no text can hold."""

import json
import re
from typing import Any

from realtime_kv.errors import InvalidKey, InvalidValue, Refusal

_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYS = frozenset({"key", "prefix", "from", "to", "after"})
_REASON = "it has a lone surrogate, half of a UTF-16 pair"


def refusal(body: bytes) -> Refusal | None:
    """Return the refusal of a body that strict parsers reject, if a lone surrogate in a key or value is the reason."""
    if not _ESCAPED.search(body):
        return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    ops = payload.get("ops")
    parts: list[tuple[Any, dict[str, int]]] = [(payload, {})]
    parts += [(op, {"index": n}) for n, op in enumerate(ops if isinstance(ops, list) else ())]
    for part, where in parts:
        if isinstance(part, dict):
            if any(_is_broken(part.get(name)) for name in _KEYS):
                return InvalidKey(_REASON, **where)
            if _is_broken(part.get("value")):
                return InvalidValue(_REASON, **where)
    return None


def _is_broken(value: Any) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            if _SURROGATE.search(one):
                return True
        elif isinstance(one, dict):
            left += one.keys()
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False
