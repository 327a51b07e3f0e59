"""Passwords: rules (protocol §4) and hashing: argon2id, 19 MiB, two passes, one lane.

Strength checks and hashing take tens of milliseconds and belong on a real thread; nothing here stores a password.
"""

import base64

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from zxcvbn import zxcvbn

from realtime_kv.errors import InvalidPassword

MIN_BYTES, MAX_BYTES = 8, 1024
MIN_SCORE = 2
# guesses that an attacker of this server tries first, besides the user's name (docs/security.md lists them)
HOUSE_WORDS = ("realtime_kv", "realtimekv", "realtime", "keyvalue", "keyvaluestore", "rkv", "superuser")
# zxcvbn's time grows steeply with crafted input. It tries every way to read such signs as letters (p@$$w0rd), so each
# kind of sign in the text doubles it: 2 s for all of them in 48 characters, 0.1 s for eight kinds. No word has nine.
_JUDGED = 48
_DISGUISES = "4@8({[<3691!|0$5+7%2"
_MAX_DISGUISES = 8

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


# Verified for an unknown username, so that the answer takes as long as for a wrong password. No known password has
# this hash, and checking it costs as much as a real one.
NOBODYS_HASH = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${_base64(bytes(_hasher.salt_len))}${_base64(bytes(_hasher.hash_len))}"
)


def check(password: str) -> str:
    """Return the password unchanged. Raises InvalidPassword for its length; `judge` checks its strength."""
    size = _size(password)
    if size is None:
        raise InvalidPassword("That password is not valid text.")
    if size < MIN_BYTES:
        raise InvalidPassword(f"A password must have at least {MIN_BYTES} characters.")
    if size > MAX_BYTES:
        raise InvalidPassword(f"A password may have at most {MAX_BYTES} bytes.")
    return password


def judge(password: str, username: str) -> None:
    """Raise InvalidPassword, with advice, for a password that is guessed easily. Slow: for a real thread."""
    verdict = zxcvbn(_judged(password), user_inputs=[username, *HOUSE_WORDS])
    if verdict["score"] < MIN_SCORE:
        feedback = verdict["feedback"]
        advice = [feedback["warning"], *feedback["suggestions"]]
        sentences = [sentence.rstrip(".") + "." for sentence in advice if sentence]
        raise InvalidPassword(" ".join(["That password is too easy to guess.", *sentences]))


def _judged(password: str) -> str:
    """Return the part of the password that is judged."""
    start = password[:_JUDGED]
    kinds = [sign for sign in dict.fromkeys(start) if sign in _DISGUISES]
    return start.translate({ord(sign): "~" for sign in kinds[_MAX_DISGUISES:]})


def digest(password: str) -> str:
    """Return the hash to keep. Slow: for a real thread."""
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Return whether this is the password. Slow: for a real thread."""
    try:
        return _hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False


def is_outdated(password_hash: str) -> bool:
    """Return whether the hash was made with other parameters than the current ones."""
    return _hasher.check_needs_rehash(password_hash)


def could_be(password: str) -> bool:
    """Return whether a user can have this password. It says nothing about any user, so it may be told at once."""
    size = _size(password)
    return size is not None and MIN_BYTES <= size <= MAX_BYTES


def _size(password: str) -> int | None:
    try:
        return len(password.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return None
