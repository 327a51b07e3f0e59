"""Sets under load: our server, a tutorial's server, and a strong peer in Node.js, in turn."""

import math
from contextlib import ExitStack
from dataclasses import dataclass

from bench import plot
from bench.servers import Server
from bench.setting import Measured, Setting, by_turns, carry_out, medians, ratio, say

_BOTTLENECK = 0.85


@dataclass(frozen=True)
class Scenario:
    """One row of the table: calls in flight of each user, and keys per call."""

    name: str
    in_flight: int
    batch: int = 1
    alone: bool = False

    def fits(self, server: Server) -> bool:
        return self.batch == 1 or server.has_batch


ALONE = Scenario("1 set in flight, 1 user", in_flight=1, alone=True)
FOUR = Scenario("4 sets in flight", in_flight=4)
MANY = Scenario("32 sets in flight", in_flight=32)
BATCHES = Scenario("4 batches of 32 in flight", in_flight=4, batch=32)
SCENARIOS = [ALONE, FOUR, MANY, BATCHES]


def measure(setting: Setting) -> Measured:
    """Run every scenario in turn on every server, so that noise affects all; fresh servers and data each round."""
    runs: Measured = {scenario.name: {} for scenario in SCENARIOS}
    resident: dict[str, float] = {}
    for number in range(setting.rounds):
        with ExitStack() as stack:
            servers = [stack.enter_context(s) for s in (setting.ours(), *setting.peer(), setting.tutorial())]
            for scenario in SCENARIOS:
                for server in by_turns(number, servers):
                    if scenario.fits(server):
                        say(f"load: round {number + 1} of {setting.rounds}, {scenario.name}, {server.name}")
                        measured = _run(server, scenario, setting)
                        runs[scenario.name].setdefault(server.name, []).append(measured)
            for server in servers:
                resident[server.name] = max(resident.get(server.name, 0), server.resident_mib())
    measured = {
        "users": setting.users,
        "tabs": setting.tabs,
        "seconds": setting.seconds,
        "rounds": setting.rounds,
        "scenarios": {
            name: {server: {"median": medians(rounds), "rounds": rounds} for server, rounds in by_server.items()}
            for name, by_server in runs.items()
        },
        "resident_mib": resident,
    }
    return {**measured, "ratios": ratios(measured)}


def ratios(measured: Measured) -> dict[str, float]:
    """Return our results relative to the others': rates as they are and times inverted, so that more is better."""
    of = {
        (scenario.name, server): runs["median"]
        for scenario in SCENARIOS
        for server, runs in measured["scenarios"][scenario.name].items()
    }
    found: dict[str, float] = {}
    for other in ("peer", "tutorial"):
        for scenario in (FOUR, MANY, BATCHES):
            if (scenario.name, other) in of:
                rate, theirs = of[scenario.name, "ours"]["keys_per_second"], of[scenario.name, other]["keys_per_second"]
                found[f"{scenario.name}: keys per second, ours / {other}"] = ratio(rate, theirs)
        if (ALONE.name, other) in of:
            time, theirs = of[ALONE.name, "ours"]["ack_ms"]["p50"], of[ALONE.name, other]["ack_ms"]["p50"]
            found[f"{ALONE.name}: time to acknowledge, {other} / ours"] = ratio(theirs, time)
    batches = of[BATCHES.name, "ours"]["keys_per_second"]
    for single in (FOUR, MANY):
        for other in ("peer", "tutorial"):
            if (single.name, other) in of:
                theirs = of[single.name, other]["keys_per_second"]
                found[f"{BATCHES.name}, keys per second, over {single.name} of {other}"] = ratio(batches, theirs)
    return found


def rows(measured: Measured) -> list[str]:
    """Return one row for each scenario and server, and the ratios."""
    lines = [
        (
            f"{measured['users']} users x {measured['tabs']} tabs, medians of {measured['rounds']} rounds of "
            f"{measured['seconds']:g} s; times in ms; CPU s: of the server's process, for 1000 keys"
        ),
        "",
        f"{'':26}{'':9}{'keys/s':>8}{'ack p50':>9}{'p99':>8}{'push p50':>10}{'p99':>8}{'CPU s':>8}{'load CPU':>10}",
    ]
    for name, servers in measured["scenarios"].items():
        title = name
        for server, runs in servers.items():
            row = runs["median"]
            lines.append(
                f"{title:26}{server:9}{row['keys_per_second']:8.0f}{row['ack_ms']['p50']:9.2f}{row['ack_ms']['p99']:8.2f}"
                f"{row['push_ms']['p50']:10.2f}{row['push_ms']['p99']:8.2f}{row['server_cpu_per_1000_keys']:8.3f}"
                f"{row['load_cpu']:9.0%}{' *' if row['load_cpu'] > _BOTTLENECK else ''}"
            )
            if row["pushes_missing"]:
                lines.append(f"{'':26}{row['pushes_missing']} pushes never came")
            title = ""
    if any(runs["median"]["load_cpu"] > _BOTTLENECK for of in measured["scenarios"].values() for runs in of.values()):
        lines.append("* the load was the bottleneck: the server could have done more")
    lines += ["", *(f"{name:75}{times:7.2f} x" for name, times in measured["ratios"].items())]
    memory = ", ".join(f"{server} {mib:.0f} MiB" for server, mib in measured["resident_mib"].items())
    return [*lines, f"resident memory after it: {memory}"]


def plots(measured: Measured) -> dict[str, str]:
    """Return the rates and times as bars."""
    scenarios = measured["scenarios"]
    names = [name for name in ("ours", "peer", "tutorial") if name in scenarios[FOUR.name]]

    def of(scenarios_shown: list[Scenario], *path: str) -> list[plot.Group]:
        return [
            plot.Group(scenario.name, [_at(scenarios[scenario.name].get(name), path) for name in names])
            for scenario in scenarios_shown
        ]

    return {
        "throughput": plot.bars(
            "Acknowledged keys per second",
            "Durable writes that were acknowledged, by server. More is better.",
            names,
            of([FOUR, MANY, BATCHES], "keys_per_second"),
        ),
        "latency": plot.bars(
            "Time to acknowledge, p50 in ms",
            "From sending a set to its acknowledgement, by server. Less is better.",
            names,
            of([ALONE, FOUR, MANY], "ack_ms", "p50"),
        ),
        "cpu": plot.bars(
            "Processor time for 1000 keys, in ms",
            "What the server's process uses for a thousand acknowledged keys. Less is better.",
            names,
            [
                plot.Group(group.name, [value and value * 1000 for value in group.values])
                for group in of([FOUR, MANY, BATCHES], "server_cpu_per_1000_keys")
            ],
        ),
    }


def _at(runs: Measured | None, path: tuple[str, ...]) -> float | None:
    if runs is None:
        return None
    value = runs["median"]
    for name in path:
        value = value[name]
    return None if math.isnan(value) else value


def _run(server: Server, scenario: Scenario, setting: Setting) -> Measured:
    auths = server.auths(1 if scenario.alone else setting.users)
    return carry_out(
        server,
        auths,
        tabs=setting.tabs,
        in_flight=scenario.in_flight,
        batch=scenario.batch,
        seconds=setting.seconds,
    )
