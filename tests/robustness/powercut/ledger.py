"""What the server acknowledged before its power went: the words that it has to keep."""

from dataclasses import dataclass, field

# a key, and the value as compact JSON; None for a delete
Ops = list[tuple[str, str | None]]


@dataclass
class Words:
    """One user's: their token, every write that was sent, and those that were acknowledged, by revision."""

    username: str
    token: str
    sent: set[str] = field(default_factory=set)
    acknowledged: dict[int, tuple[str, Ops]] = field(default_factory=dict)
    # there is no reason to refuse one, but that the server stops
    refusals: list[str] = field(default_factory=list)
    # what stands on the disk that the server is given: the revision and the value of each key
    entries: dict[str, tuple[int, str]] = field(default_factory=dict)


class Ledger:
    """All users of one disk."""

    def __init__(self) -> None:
        self.users: dict[str, Words] = {}

    @property
    def acknowledged(self) -> int:
        """How many writes were; signing up is one too."""
        return sum(1 + len(words.acknowledged) for words in self.users.values())
