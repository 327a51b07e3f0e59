"""What everybody knows together: which writes were acknowledged, how long things took, what went wrong.

Filled by all tabs' threads at once.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

# of each kind of problem, this many are told in full
SHOWN = 5


class Ledger:
    """The acknowledged writes by revision, and everything that was counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.ack_seconds: list[float] = []
        self.seen_seconds: list[float] = []
        # when a write was sent for the first time; no longer there once it has been sent again
        self.sent: dict[str, float] = {}
        self._lock = threading.Lock()
        self._writes: dict[int, Sequence[dict[str, Any]]] = {}

    def count(self, what: str, number: int = 1) -> None:
        """So many more of these."""
        with self._lock:
            self.counts[what] += number

    def complain(self, kind: str, sentence: str) -> None:
        """Something that must not happen has happened."""
        with self._lock:
            self.counts[kind] += 1
            if self.counts[kind] <= SHOWN:
                self.problems.append(sentence)

    def acknowledged(self, revision: int, ops: Sequence[dict[str, Any]]) -> None:
        """These ops were answered with this revision."""
        with self._lock:
            twice = revision in self._writes
            self._writes[revision] = ops
        if twice:
            self.complain("wrong", f"Revision {revision} was given to two writes.")

    def check_revisions(self, last: int) -> None:
        """Every revision of a space that is ours alone is one acknowledged write."""
        if unknown := set(range(1, last + 1)) - self._writes.keys():
            some = ", ".join(map(str, sorted(unknown)[:10]))
            self.complain("wrong", f"{len(unknown)} revisions belong to no acknowledged write ({some}).")
        if beyond := [revision for revision in self._writes if revision > last]:
            self.complain("wrong", f"{len(beyond)} acknowledged writes are missing from the space: it ends at {last}.")

    def expected(self) -> dict[str, tuple[int, Any]]:
        """What every copy has to hold, by the acknowledgements alone."""
        entries: dict[str, tuple[int, Any]] = {}
        for revision in sorted(self._writes):
            for op in self._writes[revision]:
                if op["op"] == "set":
                    entries[op["key"]] = (revision, op["value"])
                else:
                    entries.pop(op["key"], None)
        return entries
