"""The report: results, and a note on the limits of the check."""

import sys
import time
from collections.abc import Sequence

from realtime_kv.doctor.check import Check
from realtime_kv.doctor.results import Results

NOT_CHECKED = (
    "Not checked: a killed server and a power cut, other users' spaces, signing in and out, expiry, HTTP reads, "
    "and browsers."
)


class Progress:
    """Progress while tabs write: a line that is redrawn on a terminal, otherwise a line now and then."""

    def __init__(self, ledger: Results) -> None:
        self._ledger = ledger
        self._terminal = sys.stdout.isatty()
        self._last = time.monotonic()
        self._open = False

    def __call__(self, seconds: float) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._last < 2:
            return
        self._last = now
        counts = self._ledger.counts
        line = f"  {seconds:4.0f} s   {number(counts['writes'])} writes, {number(counts['changes'])} changes, "
        line += f"{counts['cuts']} cuts, {counts['missed']} missed"
        sys.stdout.write(f"\r{line} " if self._terminal else f"{line}\n")
        sys.stdout.flush()
        self._open = self._terminal

    def end(self) -> None:
        """End the progress line."""
        if self._open:
            sys.stdout.write("\n")
            self._open = False


def lines(examination: Check) -> list[str]:
    """Return the lines of the report."""
    ledger, counts = examination.ledger, examination.ledger.counts
    digests = "digests equal" if not counts["different"] else f"{counts['different']} DIGESTS DIFFERENT"
    text = [
        "",
        f"{number(counts['changes'])} changes, {number(counts['missed'])} missed, {digests}.",
        "",
        f"  {number(examination.revision)} writes took effect, each acknowledged and with a revision of its own.",
        f"  {counts['cuts']} times a tab was cut off, {counts['connections']} times one connected and caught up.",
        f"  {counts['replayed']} writes were repeated after a lost answer, and applied once.",
        f"  {counts['bookmarks']} bookmarks agreed while tabs were writing, {examination.equal} digests at the end.",
        f"  Acknowledged after {percentiles(ledger.ack_seconds)}.",
        f"  Seen by another tab after {percentiles(ledger.seen_seconds)}.",
        "",
        NOT_CHECKED,
    ]
    if ledger.problems:
        text += ["", "Problems found:", *(f"  - {problem}" for problem in ledger.problems)]
        text += ["Please keep the server's log, and report this."]
    return text


def number(value: int) -> str:
    """Format a number: `12 431`"""
    return f"{value:,}".replace(",", " ")


def percentiles(seconds: Sequence[float]) -> str:
    """Format latencies: `p50 2 ms, p99 9 ms, at most 31 ms`"""
    if not seconds:
        return "(nothing measured)"
    ordered = sorted(seconds)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
    return f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, at most {ordered[-1] * 1000:.1f} ms"
