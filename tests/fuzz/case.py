"""One attack, as plain data: what is sent over one connection, piece by piece."""

from dataclasses import dataclass

# stand-ins of the right length, so that what was built round them fits when the real ones are put in
TOKEN = b"rks_" + b"T" * 43
SID = b"SSSSSSSSSSSSSSSSSSSS"
# the epoch that every data set here has, since it also stands inside of cursors
EPOCH = b"fuzzed-epoch"


@dataclass(frozen=True)
class Case:
    """`kind` says how `inputs` are sent; `messages` is how many requests, frames or packets they are meant to be.

    `ending` is what a raw connection does last: `half` closes its sending side and reads on, `reset` hangs up at once.
    """

    kind: str
    inputs: tuple[bytes, ...]
    messages: int
    ending: str = "half"


class Wrong(Exception):
    """The server did what it must never do."""
