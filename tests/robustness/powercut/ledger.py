"""The acknowledgements of the server before its power went: the promises that it has to keep."""

from dataclasses import dataclass, field

# a key, and the value as compact JSON; None for a delete
Ops = list[tuple[str, str | None]]


@dataclass
class Words:
    """One user's promises: the token, the `op_id` of every write sent, and the acknowledged writes by revision."""

    username: str
    token: str
    sent: set[str] = field(default_factory=set)
    acknowledged: dict[int, tuple[str, Ops]] = field(default_factory=dict)
    # a write may be refused only while the server stops
    refusals: list[str] = field(default_factory=list)
    # the content of the disk that the server starts on: the revision and the value of each key
    entries: dict[str, tuple[int, str]] = field(default_factory=dict)


class Ledger:
    """All users of one disk."""

    def __init__(self) -> None:
        self.users: dict[str, Words] = {}

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged writes; a sign-up is one as well."""
        return sum(1 + len(words.acknowledged) for words in self.users.values())
