"""`python3 run.py bench`: runs the parts, prints the tables. The options stand in `realtime_kv.cli`."""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import report, scenarios

PARTS = ("load", "growth", "idle")


def main(options: argparse.Namespace) -> int:
    """Measure what the options choose."""
    try:
        everything = _measure(options)
    except (RuntimeError, OSError) as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 1
    for part in _parts(options):
        print("", *getattr(report, part)(everything[part]), sep="\n")
    if options.json:
        Path(options.json).write_text(json.dumps(everything, indent=2) + "\n")
    return 0


def _parts(options: argparse.Namespace) -> tuple[str, ...]:
    return (options.only,) if options.only else PARTS


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    machine: dict[str, Any] = {
        "processors": os.cpu_count() or 1,
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    if machine["load_average"] > 0.3 * machine["processors"]:
        scenarios.say(f"This machine is busy with other things (load {machine['load_average']:.1f}): expect noise.")
    everything: dict[str, Any] = {"machine": machine}
    with tempfile.TemporaryDirectory(prefix="realtime_kv-bench-") as name:
        folder = Path(name)
        if "load" in _parts(options):
            everything["load"] = scenarios.load(
                folder, users=options.users, tabs=options.tabs, rounds=options.rounds, seconds=options.seconds
            )
            everything["load"]["ratios"] = report.ratios(everything["load"])
        if "growth" in _parts(options):
            everything["growth"] = scenarios.growth(folder, rounds=options.rounds, seconds=options.seconds)
        if "idle" in _parts(options):
            everything["idle"] = scenarios.idle(folder)
    return everything
