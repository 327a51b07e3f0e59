"""What is measured: sets under load beside the tutorial server, growth of a space, tabs that only listen."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import Plan, as_json
from bench.servers import ROOT, Ours, Server, Tutorial
from bench.tab import Loop

Measured = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One row of the table: so many users, each with so many calls in flight, of so many keys."""

    name: str
    in_flight: int
    batch: int = 1
    alone: bool = False
    tutorial: bool = True


SCENARIOS = [
    Scenario("1 set in flight, 1 user", in_flight=1, alone=True),
    Scenario("4 sets in flight", in_flight=4),
    Scenario("32 sets in flight", in_flight=32),
    Scenario("4 batches of 32 in flight", in_flight=4, batch=32, tutorial=False),
]


def load(folder: Path, *, users: int, tabs: int, rounds: int, seconds: float) -> Measured:
    """Every scenario in turn on both servers, so that a noisy minute meets both; fresh servers and data each round."""
    results: Measured = {scenario.name: {} for scenario in SCENARIOS}
    resident: dict[str, list[float]] = {}
    for number in range(rounds):
        with ExitStack() as stack:
            servers: list[Server] = [stack.enter_context(Ours(folder)), stack.enter_context(Tutorial(folder))]
            for scenario in SCENARIOS:
                # whoever goes first finds a quieter disk: take turns
                for server in servers if number % 2 == 0 else servers[::-1]:
                    if scenario.tutorial or not server.is_tutorial:
                        say(f"round {number + 1} of {rounds}: {scenario.name}, {server.name}")
                        measured = run(server, scenario, users, tabs, seconds)
                        results[scenario.name].setdefault(server.name, []).append(measured)
            for server in servers:
                resident.setdefault(server.name, []).append(server.resident_mib())
    return {
        "users": users,
        "tabs": tabs,
        "seconds": seconds,
        "scenarios": {
            name: {server: {"median": _medians(runs), "rounds": runs} for server, runs in by_server.items()}
            for name, by_server in results.items()
        },
        "resident_mib": {name: max(values) for name, values in resident.items()},
    }


def run(server: Server, scenario: Scenario, users: int, tabs: int, seconds: float) -> Measured:
    """One measurement, with new users, by a load process of its own."""
    auths = server.auths(1 if scenario.alone else users)
    return in_own_process(
        Plan(
            port=server.port,
            auths=auths,
            tabs=tabs,
            in_flight=scenario.in_flight,
            batch=scenario.batch,
            seconds=seconds,
            tutorial=server.is_tutorial,
            sync=not server.is_tutorial,
        )
    )


def growth(folder: Path, *, rounds: int, seconds: float, sizes: tuple[int, int] = (100, 100_000)) -> Measured:
    """A set and a get, one in flight, in a small and in a large space of the same server, by turns."""
    took: dict[str, dict[int, list[float]]] = {verb: {size: [] for size in sizes} for verb in ("set", "get")}
    with Ours(folder) as server:
        owners = dict(zip(sizes, server.auths(len(sizes)), strict=True))
        for size, owner in owners.items():
            say(f"growth: filling a space with {size} keys")
            _fill(server, owner, size)
        for number in range(rounds):
            for verb in took:
                for size in sizes if number % 2 == 0 else sizes[::-1]:
                    say(f"growth: round {number + 1} of {rounds}, {verb} among {size} keys")
                    plan = Plan(
                        port=server.port,
                        auths=[owners[size]],
                        verb=verb,
                        tabs=1,
                        in_flight=1,
                        keys=size,
                        seconds=min(seconds, 2.0),
                    )
                    took[verb][size].append(in_own_process(plan)["ack_ms"]["p50"])
        resident = server.resident_mib()
    small, large = sizes
    return {
        "sizes": sizes,
        "p50_ms": {verb: {str(size): median(values) for size, values in of.items()} for verb, of in took.items()},
        "factor": {verb: median(of[large]) / median(of[small]) for verb, of in took.items()},
        "resident_mib": resident,
    }


def idle(folder: Path, *, tabs: int = 300, users: int = 10) -> Measured:
    """The memory that the server holds with so many tabs that only listen, in step."""
    with Ours(folder) as server:
        before = server.resident_mib()
        auths = server.auths(users)
        loop = Loop()
        say(f"idle: {tabs} tabs")
        opened = loop.open(server.port, [auths[n % users] for n in range(tabs)])
        loop.sync(opened)
        settled = time.monotonic() + 3
        while time.monotonic() < settled:
            loop.turn(0.1)
        return {"tabs": tabs, "before_mib": before, "resident_mib": server.resident_mib()}


def in_own_process(plan: Plan) -> Measured:
    """What `bench.load` measures of this plan."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, input=as_json(plan), capture_output=True, text=True, check=False
    )
    sys.stderr.write(done.stderr if done.returncode == 0 else "")
    if done.returncode != 0:
        raise RuntimeError(f"the load process failed:\n{done.stderr[-2000:]}")
    measured: Measured = json.loads(done.stdout)
    return measured


def say(sentence: str) -> None:
    """Progress goes to stderr: stdout gets the table."""
    print(sentence, file=sys.stderr, flush=True)


def _fill(server: Server, owner: dict[str, Any], keys: int) -> None:
    batch = min(keys, 100)
    in_own_process(
        Plan(
            port=server.port,
            auths=[owner],
            tabs=1,
            in_flight=4,
            batch=batch,
            keys=keys,
            seconds=600,
            warm_up=0,
            fill=keys + 5 * batch,
        )
    )


def _medians(runs: list[Measured]) -> Measured:
    return {
        "calls_per_second": median(run["calls_per_second"] for run in runs),
        "keys_per_second": median(run["keys_per_second"] for run in runs),
        **{
            kind: {share: median(_present(run[kind] and run[kind][share] for run in runs)) for share in ("p50", "p99")}
            for kind in ("ack_ms", "push_ms")
        },
        "pushes_missing": sum(run["pushes_missing"] for run in runs),
        "load_cpu": max(run["load_cpu"] for run in runs),
    }


def _present(values: Iterator[float | None]) -> list[float]:
    return [value for value in values if value is not None] or [float("nan")]
