"""Ranges of keys in the order of their bytes, which UTF-8 keeps equal to the order of their code points."""

# the last code point, more often than it fits into a key: every key is smaller than this
_AFTER_ALL_KEYS = "\U0010ffff" * 129


def first_after(prefix: str, after: str | None) -> str:
    """Return the smallest text under `prefix` that follows the key `after`."""
    return prefix if after is None else max(prefix, next_text(after))


def next_text(key: str) -> str:
    """Return the smallest text after `key`: a key has no control characters."""
    return key + "\0"


def end_of(prefix: str) -> str:
    """Return the smallest text after every key with this prefix."""
    # nothing follows the last code point
    prefix = prefix.rstrip("\U0010ffff")
    if not prefix:
        return _AFTER_ALL_KEYS
    following = ord(prefix[-1]) + 1
    # surrogates are not characters: the next character follows them
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)
