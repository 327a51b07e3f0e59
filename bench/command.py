"""`python3 run.py bench`: runs the parts, prints the tables. The options stand in `realtime_kv.cli`."""

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

from bench import report, scenarios

PARTS = ("load", "growth", "idle")


def main(options: argparse.Namespace) -> int:
    """Measure what the options choose."""
    parts = [options.only] if options.only else PARTS
    everything: dict[str, Any] = {
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    }
    with tempfile.TemporaryDirectory(prefix="realtime_kv-bench-") as name:
        folder = Path(name)
        if "load" in parts:
            everything["load"] = scenarios.load(
                folder, users=options.users, tabs=options.tabs, rounds=options.rounds, seconds=options.seconds
            )
            everything["load"]["ratios"] = report.ratios(everything["load"])
        if "growth" in parts:
            everything["growth"] = scenarios.growth(folder, rounds=options.rounds, seconds=options.seconds)
        if "idle" in parts:
            everything["idle"] = scenarios.idle(folder)
    for part in parts:
        print("", *getattr(report, part)(everything[part]), sep="\n")
    if options.json:
        Path(options.json).write_text(json.dumps(everything, indent=2) + "\n")
    return 0
