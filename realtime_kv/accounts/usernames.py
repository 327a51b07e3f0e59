"""Username rules (protocol §4): 3–32 characters of `A–Z a–z 0–9 . _ -`, unique without regard to case."""

import re

from realtime_kv.errors import InvalidName

_ALLOWED = re.compile(r"[A-Za-z0-9._-]+")


def check(name: str) -> str:
    """Return the name without surrounding spaces, which phone keyboards add. Raises InvalidName."""
    name = name.strip()
    if not 3 <= len(name) <= 32:
        raise InvalidName("A username has 3 to 32 characters.")
    if not _ALLOWED.fullmatch(name):
        raise InvalidName("A username consists of letters A to Z, digits, dots, underscores and hyphens.")
    return name


def folded(name: str) -> str | None:
    """Return the name in lower case, without surrounding spaces, for look-up; None for a name that nobody can have."""
    name = name.strip()
    # checked before folding, which would turn a Kelvin sign into a plain k
    return name.lower() if len(name) <= 32 and _ALLOWED.fullmatch(name) else None
