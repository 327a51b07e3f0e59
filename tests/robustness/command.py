"""`python3 -m tests.robustness`: run a given number of histories under faults; one line at the end reports the result.

run        histories with every kind of fault
kills      SIGKILLs, at any moment and at each failpoint of the writer
deliver    pushed changes, with tabs that are cut all the time
sabotage   servers broken on purpose: each has to be noticed
powercut   cuts the power below the server's SQLite
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.robustness.powercut import command as powercut
from tests.robustness.runs import Plan, run, scratch
from tests.robustness.sabotage import EXPECTED
from tests.robustness.validators import check

KILLS = ["kill", "before_begin:kill", "before_commit:kill", "after_commit:kill", "before_push:kill"]
KILLS_EACH = 10
SHOWN = 10


class Tally:
    """Runs histories one after the other and sums up the results."""

    def __init__(self) -> None:
        self.histories = 0
        self.problems = 0
        self.counts: Counter[str] = Counter()
        self._started = time.monotonic()

    def add(self, plan: Plan) -> None:
        """Execute and judge `plan`; keep the record of a history with problems."""
        with scratch() as folder:
            done = run(plan, folder)
            problems = done.problems
            self.histories += 1
            self.problems += len(problems)
            self.counts += done.counts
            _say(f"history {self.histories}, seed {plan.seed}: {len(problems)} violations, {done.seconds:.0f} s")
            for problem in problems[:SHOWN]:
                _say(f"  {problem}")
            if problems:
                kept = Path(tempfile.mkdtemp(prefix="robustness-")) / "records"
                shutil.copytree(folder / "records", kept)
                _say(f"  the record: {kept}")

    def summary(self) -> str:
        """Return the summary as one line."""
        minutes = (time.monotonic() - self._started) / 60
        own = {"operations", "acknowledged", "changes"}
        counts = self.counts
        figures = {name: count for name, count in sorted(counts.items()) if name not in own}
        return (
            f"{self.histories} histories, {counts['operations']} operations, {counts['acknowledged']} acknowledged "
            f"writes, {counts['changes']} changes delivered, {self.problems} violations ({minutes:.1f} min); "
            "faults and what tabs met: " + ", ".join(f"{name} {count}" for name, count in figures.items())
        )


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if nothing was violated."""
    if arguments[:1] == ["powercut"]:
        return powercut.main(arguments[1:])
    options = _parse(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    _say(f"seed {seed}")
    if options.command == "sabotage":
        return _sabotage_all(seed)
    tally = Tally()
    for plan in PLANS[options.command](options, seed, tally):
        tally.add(plan)
    print(tally.summary())
    return 1 if tally.problems else 0


def every_fault(seed: str, number: int, operations: int) -> Plan:
    """Return plan `number`: every fault; every second one has small pages, every fifth a tab cut for stalling."""
    return Plan(
        f"{seed}/{number}",
        operations,
        page_bytes=2048 if number % 2 else 0,
        stall_seconds=13.0 if number % 5 == 4 else 0.0,
    )


def broken(sabotage: str, seed: str) -> Plan:
    """Return a short history of a server that is broken on purpose or, with `""`, of an intact one."""
    every = {"drop": 40, "reorder": 40, "twice": 40, "wrong_room": 20, "early_ack": 1, "retry_applied": 1}
    return Plan(seed, 500, processes=1, faults=[], cut_every=25, sabotage=sabotage, every=every.get(sabotage, 3))


def _histories(options: argparse.Namespace, seed: int, tally: Tally) -> Iterator[Plan]:
    for number in range(options.histories):
        yield every_fault(str(seed), number, options.operations)


def _kills(options: argparse.Namespace, seed: int, tally: Tally) -> Iterator[Plan]:
    # each history ends with one more kill
    while sum(tally.counts[name] for name in KILLS) < options.kills or tally.counts["acknowledged"] < options.writes:
        rounds = max(1, options.kills // (KILLS_EACH + 1))
        operations = max(1000, int(options.writes / rounds * 1.6))
        yield Plan(f"{seed}/{tally.histories}", operations, faults=KILLS * (KILLS_EACH // len(KILLS)))


def _deliver(options: argparse.Namespace, seed: int, tally: Tally) -> Iterator[Plan]:
    while tally.counts["changes"] < options.changes or tally.counts["cut"] < options.reconnects:
        # about one operation in `every` cuts its tab; half of the tabs are of the kind that is cut
        every = max(4, 22 * options.changes // (options.reconnects or 1) // 100)
        yield Plan(
            f"{seed}/{tally.histories}", 8000, users=1, tabs=24, faults=[], cut_every=every, pause_every=0,
            abandon_every=0,
        )  # fmt: skip


def _sabotage_all(seed: int) -> int:
    missed = []
    for sabotage, guarantee in {**EXPECTED, "": "nothing"}.items():
        with scratch() as folder:
            found = Counter(
                violation.guarantee for violation in check(run(broken(sabotage, str(seed)), folder).history)
            )
        _say(f"{sabotage or 'as it is'}: {dict(found) or 'nothing violated'}")
        if not found[guarantee] and (sabotage or found):
            missed.append(sabotage or "as it is")
    print(f"{len(EXPECTED)} sabotages, {len(missed)} missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


PLANS: dict[str, Callable[[argparse.Namespace, int, Tally], Iterator[Plan]]] = {
    "run": _histories,
    "kills": _kills,
    "deliver": _deliver,
}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.robustness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    command = commands.add_parser("run", help="histories with every fault there is")
    command.add_argument("--histories", type=int, default=50, metavar="N", help="how many (50)")
    command.add_argument("--operations", type=int, default=5000, metavar="N", help="in each of them (5000)")
    command = commands.add_parser("kills", help="SIGKILLs under load")
    command.add_argument("kills", type=int, nargs="?", default=100, metavar="N", help="how many at least (100)")
    command.add_argument("--writes", type=int, default=100_000, metavar="N", help="acknowledged, at least (100000)")
    command = commands.add_parser("deliver", help="pushed changes, with tabs that are cut all the time")
    command.add_argument("changes", type=int, nargs="?", default=1_000_000, metavar="N", help="at least (1000000)")
    command.add_argument("--reconnects", type=int, default=10_000, metavar="N", help="forced, at least (10000)")
    commands.add_parser("sabotage", help="servers broken on purpose")
    commands.add_parser("powercut", help="power cuts below the server's SQLite; its own --help tells more")
    for command in commands.choices.values():
        command.add_argument("--seed", type=int, default=None, metavar="N", help="seed of the random choices")
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
