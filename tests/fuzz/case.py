"""One attack, as plain data: the bytes to send over one connection, piece by piece."""

from dataclasses import dataclass

# placeholders of the right length, so that the bytes built around them fit when the real ones are filled in
TOKEN = b"rks_" + b"T" * 43
# the same user's session in a browser
COOKIE_TOKEN = b"rks_" + b"C" * 43
SID = b"SSSSSSSSSSSSSSSSSSSS"
# API tokens of the same user: one that may only read, and one that sees only `folder/`
READER = b"rkv_" + b"R" * 43
LIMITED = b"rkv_" + b"L" * 43
# a form of ours: the cookie of the browser that it was shown to, and the token in it (web/http/csrf.py)
VISITOR = b"V" * 32
FORM = b"F" * 147
# the superuser's session
ADMIN = b"rks_" + b"A" * 43
# an expendable user, replaced by a new one once the session has ended: name, session, and the ids of the user, of
# this session, of another one and of an API token; a link that sets a new password; a sign-in that waits for a code
NAME = b"pawn-NNNNNNN"
PAWN = b"rks_" + b"P" * 43
USER_ID = b"000000000000042"
SESSION_ID, OTHER_ID, TOKEN_ID = (letter * 12 for letter in (b"s", b"o", b"t"))
LINK = b"K" * 43
STEP = b"Q" * 43
PAWNS = (NAME, PAWN, USER_ID, SESSION_ID, OTHER_ID, TOKEN_ID, LINK, STEP)
# the epoch of every data set here, since it also occurs in cursors
EPOCH = b"fuzzed-epoch"


@dataclass(frozen=True)
class Case:
    """`kind` says how `inputs` are sent; `messages` is the number of requests, frames or packets that they contain.

    `ending` is the last action of a raw connection: `half` closes its sending side and reads on, `reset` hangs up at
    once. `who` is the token that a tab joins with.
    """

    kind: str
    inputs: tuple[bytes, ...]
    messages: int
    ending: str = "half"
    who: bytes = TOKEN


class Wrong(Exception):
    """The server did something forbidden."""
