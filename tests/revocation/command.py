"""`python3 -m tests.revocation N`: end N sessions while their tabs write, and print one line with the findings."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.revocation.services import Services
from tests.revocation.trial import trial


def main(arguments: list[str]) -> int:
    """Return 0 if the promise was kept in every trial."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.revocation", description=__doc__)
    parser.add_argument("trials", type=int, nargs="?", default=1000, metavar="N", help="how many (1000)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="seed of the random choices")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    rng, kinds, pushes, closed = random.Random(seed), Counter(), [], []
    problems, started = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="endings-") as folder:
        services = Services(Path(folder))
        try:
            for number in range(1, options.trials + 1):
                outcome = trial(services, rng)
                kinds[outcome.ending] += 1
                pushes.append(outcome.last_push)
                closed.append(outcome.shut_out)
                problems += len(outcome.problems)
                for problem in outcome.problems:
                    print(f"trial {number}, {outcome.ending}: {problem}", file=sys.stderr)
                if number % 50 == 0:
                    print(f"{number} of {options.trials}", file=sys.stderr)
        finally:
            services.close()
    print(
        f"{options.trials} endings, seed {seed}, {problems} problems ({(time.monotonic() - started) / 60:.1f} min); "
        f"last push at most {max(pushes):.3f} s and tabs closed at most {max(closed):.3f} s after the answer; "
        + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
    )
    return 1 if problems else 0
