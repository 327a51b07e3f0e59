"""`python3 -m tests.disk`: run one user at the full allowed rate on a file system of 400 MiB, and print a table."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.disk.filesystem import CannotMount, small_disk
from tests.disk.run import MIB, run


def main(arguments: list[str]) -> int:
    """Return 0 if every check passed, 1 if one failed, 2 if no file system can be mounted."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.disk", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="how long (10)")
    parser.add_argument("--mib", type=int, default=400, metavar="N", help="the size of the file system (400)")
    options = parser.parse_args(arguments)
    try:
        with small_disk(options.mib * MIB) as disk, tempfile.TemporaryDirectory() as elsewhere:
            outcome = run(disk, Path(elsewhere), seconds=60 * options.minutes, progress=_say)
    except CannotMount as error:
        print(f"A small file system has to be mounted, which needs root: {error}", file=sys.stderr)
        return 2
    print("\n".join(outcome.rows))
    return 1 if outcome.failures else 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
