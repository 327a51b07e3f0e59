"""`python3 -m tests.fairness`: run the catalogue with its controls and print a table; some 20 s for each attack and
round.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.fairness import catalogue, data, trial
from tests.fairness.trial import MAX_ENDING_MS, MAX_ROUNDS, MAX_TIMES


def main() -> int:
    """Return 1 if the bystander was slowed down more than allowed, or an attacker was not held back."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.fairness", description=__doc__)
    parser.add_argument("--only", action="append", metavar="TEXT", help="attacks whose names contain this")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long the bystander measures (6)")
    parser.add_argument("--rounds", type=int, default=MAX_ROUNDS, help="at most, for what is over a limit (3)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured")
    parser.add_argument("--list", action="store_true", help="only name the attacks")
    options = parser.parse_args()
    chosen = [
        attack.name
        for attack in catalogue.ATTACKS
        if not options.only or any(part in attack.name for part in options.only)
    ]
    if options.list:
        print(*chosen, sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder:
        template = data.make(Path(folder) / "template")
        people = Path(folder) / "people.json"
        template.save(people)
        print(f"{len(chosen)} attacks on {data.disk_usage(template.folder)} of data", flush=True)
        columns = ("p99 ms", "control", "times", "ending", "held back", "rounds")
        print(f"{'attack':42}", *(f"{column:>9}" for column in columns), " by", flush=True)
        bad, results = 0, []
        for name in chosen:
            outcome = trial.run(template, people, name, options.seconds, options.rounds)
            results.append(asdict(outcome))
            bad += not outcome.is_fair
            _show(outcome)
        if options.json:
            Path(options.json).write_text(json.dumps(results, indent=1))
    print(f"{len(chosen) - bad} of {len(chosen)} within {MAX_TIMES:g} times and {MAX_ENDING_MS:g} ms")
    return 1 if bad else 0


def _show(outcome: trial.Outcome) -> None:
    slowest, milliseconds = outcome.bystander.slowest
    errors = outcome.bystander.errors[:2]
    print(
        f"{outcome.name:42.42} {outcome.bystander.p99:9.1f} {outcome.control.p99:9.1f} {outcome.times:9.1f} "
        f"{outcome.ending_ms:9.0f} {outcome.held_back:9.0f} {outcome.rounds:9}  "
        f"{slowest} {milliseconds:.0f}{f'  {errors}' if errors else ''}{'' if outcome.is_fair else '  <--'}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
