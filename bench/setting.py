"""Options of every part (servers, durations, peers), and the execution of plans."""

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import Plan, as_json
from bench.servers import ROOT, Ours, Peer, Server, Tutorial

Measured = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """The options of one run of the benchmark."""

    folder: Path
    node: Path | None
    users: int
    tabs: int
    rounds: int
    seconds: float
    idle_tabs: int
    storm_tabs: int

    def ours(self) -> Ours:
        return Ours(self.folder)

    def tutorial(self) -> Tutorial:
        return Tutorial(self.folder)

    def peer(self) -> list[Peer]:
        """Return the peer, if there is Node.js."""
        return [Peer(self.folder, self.node)] if self.node else []


def carry_out(server: Server, auths: list[dict[str, Any]], **plan: Any) -> Measured:
    """Run this plan of `bench.load` on this server, in a process of its own; return the results."""
    full = Plan(port=server.port, pid=server.pid, ours=server.is_ours, auths=auths, **plan)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, input=as_json(full), capture_output=True, text=True, check=False
    )
    sys.stderr.write(done.stderr if done.returncode == 0 else "")
    if done.returncode != 0:
        raise RuntimeError(f"the load process failed:\n{done.stderr[-2000:]}")
    measured: Measured = json.loads(done.stdout)
    return measured


def medians(runs: list[Measured]) -> Measured:
    """Return the median of each figure, the sum of missing pushes, and the highest processor time of the load."""
    middle: Measured = {
        name: median(run[name] for run in runs)
        for name in (
            "calls_per_second",
            "keys_per_second",
            "deliveries_per_second",
            "server_cpu",
            "server_cpu_per_1000_keys",
        )
    }
    for kind in ("ack_ms", "push_ms"):
        present = [run[kind] for run in runs if run[kind] is not None]
        middle[kind] = {share: median_or_nan(times[share] for times in present) for share in ("p50", "p99")}
    middle["pushes_missing"] = sum(run["pushes_missing"] for run in runs)
    middle["load_cpu"] = max(run["load_cpu"] for run in runs)
    return middle


def median_or_nan(values: Iterable[float]) -> float:
    return median([*values] or [math.nan])


def ratio(over: float, under: float) -> float:
    """Return the ratio; NaN if the divisor is 0."""
    return over / under if under else math.nan


def by_turns(number: int, things: list[Any]) -> list[Any]:
    """Return the things, reversed in every second round: the first one finds a quieter disk."""
    return things if number % 2 == 0 else things[::-1]


def say(sentence: str) -> None:
    """Print progress to stderr: stdout is for the table."""
    print(sentence, file=sys.stderr, flush=True)
