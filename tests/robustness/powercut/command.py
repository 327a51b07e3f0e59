"""`python3 -m tests.robustness powercut`: a number of power cuts, and the control, which has to lose something."""

import argparse
import random
import time
from pathlib import Path

from tests.robustness.powercut.cuts import Cuts, Tally
from tests.robustness.powercut.layer import CannotBuild

RELAXED = Path(__file__).with_name("relaxed_server.py")


def main(arguments: list[str]) -> int:
    """Return 0 if nothing was lost with the product's settings, and something with the control's."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.robustness powercut", description=__doc__)
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help="power cuts of the server as it is (10)")
    parser.add_argument("--control", type=int, default=3, metavar="N", help="cuts with synchronous=NORMAL (3)")
    parser.add_argument("--calls", type=int, default=30_000, metavar="N", help="at most so many calls to a cut (30000)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="seed of the random choices")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"{options.cuts} power cuts, seed {seed}", flush=True)
    try:
        begin = time.monotonic()
        real = Cuts(seed, calls=options.calls, say=_say).run(options.cuts)
        print(f"The control, with synchronous=NORMAL: {options.control} power cuts", flush=True)
        control = Cuts(seed, launcher=RELAXED, calls=options.calls, say=_say).run(options.control)
    except CannotBuild as error:
        print(error)
        return 2
    print(*summary(real, control, time.monotonic() - begin), sep="\n")
    return 0 if is_proved(real, control) else 1


def is_proved(real: Tally, control: Tally) -> bool:
    """Return whether nothing was lost or wrong although unsynced data was at stake."""
    return not real.lost and not real.problems and (control.lost > 0 or not control.cuts)


def summary(real: Tally, control: Tally, seconds: float) -> list[str]:
    """Return the results as sentences."""
    lines = [
        "",
        f"{real.cuts} power cuts, {real.acknowledged} acknowledged writes, {real.lost} lost ({seconds:.0f} s).",
        f"  {real.cuts_at_start} came while the server started, {real.cuts_at_stop} while it stopped,",
        f"  {real.cuts_in_checkpoint} inside a checkpoint.",
        f"  At {real.cuts_with_unsynced} something had been written to the database and not synced.",
        f"  {real.disks} disks looked through: for each cut one with only what was synced,",
        "  and two with a random share of the rest, torn at 512 and at 4096 bytes.",
        "The control, with synchronous=NORMAL:",
        f"  {control.cuts} power cuts, {control.acknowledged} acknowledged writes, {control.lost} lost.",
    ]
    if real.problems:
        lines += ["Problems found:", *(f"  - {problem}" for problem in real.problems[:20])]
    if control.cuts and not control.lost:
        lines.append("The control lost nothing, so this run proves nothing.")
    return lines


def _say(line: str) -> None:
    print(f"  {line}", flush=True)
