"""`python3 -m tests.fuzz`: a given number of hostile inputs; one line at the end reports the result.

Progress goes to stderr. A failing case is minimized and printed in a form that --replay takes.
"""

import argparse
import random
import shlex
import sys
from collections.abc import Sequence

from tests.fuzz.campaign import Campaign, Findings
from tests.fuzz.case import Case, Wrong
from tests.fuzz.minimize import fresh_services, minimize, play


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, metavar="N", help="hostile messages (20000)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="where the rng start")
    parser.add_argument("--replay", metavar="CASE", help="play one case, as it was printed: Case(kind=…, inputs=…)")
    options = parser.parse_args(arguments)
    if options.replay:
        return _replay(eval(options.replay, {"Case": Case}))
    seed = random.randrange(10**6) if options.seed is None else options.seed
    _say(f"seed {seed}")
    with fresh_services() as services:
        findings = Campaign(services, [seed], options.inputs, say=_say).run()
    for problem in findings.problems:
        print(problem)
    if findings.suspects:
        _say(f"looking for the smallest case among {len(findings.suspects)}")
        case = minimize(findings.suspects)
        print(
            f"--replay {shlex.quote(repr(case))}"
            if case
            else f"none of these does it by itself: {findings.suspects!r}"[:20_000]
        )
    print(summary([seed], findings))
    return 1 if findings.problems else 0


def summary(seeds: Sequence[int], findings: Findings) -> str:
    """Return the summary as one line."""
    total = findings.inputs.total()
    kinds = ", ".join(f"{count} {kind}" for kind, count in findings.inputs.most_common())
    fives = sum(
        count for code, count in findings.codes.items() if code in {"503", "507", "unavailable", "quota_exceeded"}
    )
    parts = [
        f"{total} hostile inputs ({kinds}) in {findings.cases} connections and sessions",
        f"{total / max(findings.seconds, 0.001):.0f} a second",
        "seed " + " and ".join(map(str, seeds)),
        f"{len(findings.problems)} problems" if findings.problems else "no 5xx but the documented, no traceback",
        f"{fives} times unavailable (503) or over quota (507)",
        f"before: {findings.before}; after: {findings.after}",
        f"{findings.control_writes} writes of a control client within {findings.control_slowest * 1000:.0f} ms",
        f"{findings.stalls} stalls over 250 ms",
    ]
    return "; ".join(parts)


def _replay(case: Case) -> int:
    with fresh_services() as services:
        try:
            play(services, case)
            services.stop()
        except Wrong as wrong:
            print(wrong)
            return 1
    print("nothing is wrong with this")
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
