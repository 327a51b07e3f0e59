"""`python3 -m tests.chaos`: random runs of faults as they occur in the field, in real browsers; prints a table.

It fails when a write was lost without a report or applied twice, when a tab's content differs from the server's, or
when a tab was live later than ten seconds after the network's return. To allow for a busy machine, three times the
undisturbed connecting time of that run is added to the ten seconds.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from playwright.async_api import async_playwright

from realtime_kv.bootstrap.chromium import find
from tests.browser.conftest import FLAGS
from tests.chaos.lane import FAULTS, Lane, Result

LIVE_WITHIN_SECONDS = 10.0
CONTROLS = 3
MOST_LANES = 3


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 if nothing was wrong."""
    options = _parse(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    results: list[Result] = []
    try:
        asyncio.run(run(results, options.runs, seed, lanes=options.lanes, minutes=options.minutes))
    except KeyboardInterrupt:
        print("interrupted")
    print(table(results))
    judge = (lambda result: result.problems) if options.untimed else problems
    return 1 if any(map(judge, results)) else 0


async def run(results: list[Result], runs: int, seed: int, *, lanes: int = 2, minutes: float | None = None) -> None:
    """Make `runs` runs, in parallel lanes, and add their results; none begins after `minutes`."""
    numbers = iter(range(runs))
    ends = time.monotonic() + minutes * 60 if minutes else None
    path = find()
    assert path, "Chromium is missing: `python3 run.py test` says how to get it"

    async def follow(lane: Lane) -> None:
        for number in numbers:
            if ends is not None and time.monotonic() > ends:
                return
            result = await lane.run(f"{seed}:{number}", f"chaos{number}")
            results.append(result)
            _say(len(results), result)

    with tempfile.TemporaryDirectory(prefix="rkv-chaos-") as folder:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
            opened = [Lane(browser, Path(folder) / str(number)) for number in range(min(lanes, MOST_LANES))]
            try:
                for lane in opened:
                    await lane.__aenter__()
                await asyncio.gather(*map(follow, opened))
            finally:
                for lane in opened:
                    await lane.__aexit__()
                await browser.close()


def problems(result: Result) -> list[str]:
    """Return the problems of this run."""
    allowed = LIVE_WITHIN_SECONDS + CONTROLS * result.control
    late = [
        f"live {seconds:.1f} s after {fault}, allowed {allowed:.1f}"
        for fault, seconds in result.live
        if seconds > allowed
    ]
    return result.problems + late


def table(results: list[Result]) -> str:
    """Return all results as a readable table."""
    if not results:
        return "no run was finished"
    lines = [f"{'fault':<20}{'times':>7}{'live: median':>14}{'95 %':>8}{'most':>8}  seconds"]
    for fault in FAULTS:
        live = sorted(seconds for result in results for name, seconds in result.live if name == fault)
        if live:
            most, high = live[-1], live[min(len(live) - 1, int(len(live) * 0.95))]
            lines.append(f"{fault:<20}{len(live):>7}{statistics.median(live):>14.1f}{high:>8.1f}{most:>8.1f}")
    controls = [result.control for result in results if result.control] or [0.0]
    outcomes: Counter[str] = sum((result.outcomes for result in results), Counter())
    found = [problem for result in results for problem in problems(result)]
    lost = sum("lost" in problem or "is not there" in problem for problem in found)
    twice = sum("applied" in problem for problem in found)
    undisturbed = f"median {statistics.median(controls):.1f} s, most {max(controls):.1f} s"
    counted = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    lines.append(f"{len(results)} runs; connecting undisturbed: {undisturbed}")
    lines.append(f"writes: {outcomes.total()}: {counted}")
    others = len(found) - lost - twice
    lines.append(f"lost without a report: {lost}; applied twice: {twice}; other problems: {others}")
    return "\n".join(lines)


def _say(number: int, result: Result) -> None:
    live = ", ".join(f"{fault} {seconds:.1f} s" for fault, seconds in result.live)
    print(f"run {number}, seed {result.seed}: {len(problems(result))} problems; {live}", flush=True)
    for problem in problems(result):
        print(f"  {problem}", flush=True)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.chaos", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="how many runs (200)")
    parser.add_argument("--seed", type=int, help="of the random choices; printed")
    parser.add_argument("--minutes", type=float, help="begin no run after so many minutes")
    parser.add_argument("--untimed", action="store_true", help="report how soon tabs were live, and do not judge it")
    parser.add_argument("--lanes", type=int, default=2, help=f"runs at the same time (2; {MOST_LANES} at most)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
