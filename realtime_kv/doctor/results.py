"""Results shared by all tabs: acknowledged writes, latencies, and problems. The tabs' threads fill it concurrently."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

# number of problems of each kind that are reported in full
SHOWN = 5


class Results:
    """The acknowledged writes by revision, and all counters."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.ack_seconds: list[float] = []
        self.seen_seconds: list[float] = []
        # when a write was first sent; removed once it is sent again
        self.sent: dict[str, float] = {}
        self._lock = threading.Lock()
        self._writes: dict[int, Sequence[dict[str, Any]]] = {}

    def count(self, what: str, number: int = 1) -> None:
        """Increase a counter."""
        with self._lock:
            self.counts[what] += number

    def complain(self, kind: str, sentence: str) -> None:
        """Record a problem."""
        with self._lock:
            self.counts[kind] += 1
            if self.counts[kind] <= SHOWN:
                self.problems.append(sentence)

    def acknowledged(self, revision: int, ops: Sequence[dict[str, Any]]) -> None:
        """Record that these ops were acknowledged with this revision."""
        with self._lock:
            twice = revision in self._writes
            self._writes[revision] = ops
        if twice:
            self.complain("wrong", f"Revision {revision} was given to two writes.")

    def check_revisions(self, last: int) -> None:
        """Check that each revision of the space, which nobody else writes to, is one acknowledged write."""
        if unknown := set(range(1, last + 1)) - self._writes.keys():
            some = ", ".join(map(str, sorted(unknown)[:10]))
            self.complain("wrong", f"{len(unknown)} revisions belong to no acknowledged write ({some}).")
        if beyond := [revision for revision in self._writes if revision > last]:
            self.complain("wrong", f"{len(beyond)} acknowledged writes are missing from the space: it ends at {last}.")

    def expected(self) -> dict[str, tuple[int, Any]]:
        """Return the entries that every copy must hold according to the acknowledgements."""
        entries: dict[str, tuple[int, Any]] = {}
        for revision in sorted(self._writes):
            for op in self._writes[revision]:
                if op["op"] == "set":
                    entries[op["key"]] = (revision, op["value"])
                else:
                    entries.pop(op["key"], None)
        return entries
