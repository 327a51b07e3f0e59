"""`python3 -m tests.timing_attacks`: measure what response times reveal, and how sign-ins delay pushes.

names   whether signing in and recovering take different times for known and unknown names
pushes  how much later tabs receive a write while people sign in
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.timing_attacks import names, pushes

FAIR = (0.45, 0.55)
MOST_TIMES = 3.0


def main(arguments: list[str]) -> int:
    """Return 0 if every figure is within its limits."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.timing_attacks", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("names", help="known names and unknown ones, interleaved")
    asked.add_argument("--times", type=int, default=500, help="timings of each (500)")
    asked = commands.add_parser("pushes", help="pushes alone, and while 20 sign-ins a second arrive")
    asked.add_argument("--seconds", type=float, default=60, help="how long each is measured (60)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="timing-") as folder:
        if options.command == "names":
            return _names(Path(folder), options.times)
        return _pushes(Path(folder), options.seconds)


def _names(folder: Path, times: int) -> int:
    good = True
    for call, area in names.measure(folder / "honest", times):
        fair = FAIR[0] <= area <= FAIR[1]
        good &= fair
        print(f"{call}: area under the curve {area:.3f}, {'cannot' if fair else 'CAN'} be told apart", flush=True)
    for call, area in names.measure(folder / "broken", times, broken=True):
        told = not FAIR[0] <= area <= FAIR[1]
        good &= told
        print(f"{call} without the dummy hash: {area:.3f}, {'can' if told else 'CANNOT'} be told apart", flush=True)
    return 0 if good else 1


def _pushes(folder: Path, seconds: float) -> int:
    alone, beside, arrived = pushes.measure(folder, seconds)
    times = beside.p99 / alone.p99
    print(f"alone: p50 {alone.p50:.2f} ms, p99 {alone.p99:.2f} ms over {alone.count} pushes")
    told = f"p50 {beside.p50:.2f} ms, p99 {beside.p99:.2f} ms: {times:.2f} times"
    print(f"while {arrived:.1f} sign-ins a second arrive: {told}")
    return 0 if times < MOST_TIMES else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
