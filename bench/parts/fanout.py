"""Fan-out: one user writes, an increasing number of their tabs listens."""

import math
from contextlib import ExitStack

from bench import plot
from bench.setting import Measured, Setting, by_turns, carry_out, ratio, say

TABS = (1, 2, 4, 8, 16, 32, 64)
_IN_FLIGHT = 8


def measure(setting: Setting) -> Measured:
    """Measure deliveries per second and latency for each number of listening tabs."""
    seconds = min(setting.seconds, 1.5)
    results: Measured = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(server) for server in (setting.ours(), *setting.peer())]
        for number, tabs in enumerate(TABS):
            for server in by_turns(number, servers):
                say(f"fanout: {tabs} listening tabs, {server.name}")
                plan = {"tabs": tabs + 1, "in_flight": _IN_FLIGHT, "seconds": seconds, "warm_up": 0.3}
                results.setdefault(server.name, []).append(carry_out(server, server.auths(1), **plan))
    return {"tabs": TABS, "in_flight": _IN_FLIGHT, "servers": results}


def rows(measured: Measured) -> list[str]:
    """Return one row for each number of tabs and server."""
    lines = [
        f"one user, {measured['in_flight']} sets in flight; times in ms; CPU s: of the server, for 1000 deliveries",
        "",
        (
            f"{'listening tabs':16}{'':9}{'sets/s':>8}{'deliveries/s':>14}{'push p50':>10}{'p99':>8}{'CPU s':>8}"
            f"{'load CPU':>10}"
        ),
    ]
    for at, tabs in enumerate(measured["tabs"]):
        title = str(tabs)
        for server, results in measured["servers"].items():
            row = results[at]
            push = row["push_ms"] or {"p50": math.nan, "p99": math.nan}
            per_1000 = ratio(row["server_cpu"] * 1000, row["deliveries_per_second"])
            lines.append(
                f"{title:16}{server:9}{row['keys_per_second']:8.0f}{row['deliveries_per_second']:14.0f}"
                f"{push['p50']:10.2f}{push['p99']:8.2f}{per_1000:8.3f}{row['load_cpu']:9.0%}"
            )
            if row["pushes_missing"]:
                lines.append(f"{'':16}{row['pushes_missing']} pushes never came")
            title = ""
    return lines


def plots(measured: Measured) -> dict[str, str]:
    """Return plots of deliveries and their latency, over the tabs."""
    labels = [str(tabs) for tabs in measured["tabs"]]
    servers = measured["servers"]
    return {
        "fanout-deliveries": plot.lines(
            "Deliveries per second, by listening tabs of one user",
            "Pushes that reached tabs in a second, while more tabs listen. More is better.",
            labels,
            {name: [row["deliveries_per_second"] for row in rows] for name, rows in servers.items()},
        ),
        "fanout-latency": plot.lines(
            "Time from set to push, p50 in ms, by listening tabs of one user",
            "How old the news is when it reaches a tab, while more tabs listen. Less is better.",
            labels,
            {
                name: [row["push_ms"]["p50"] if row["push_ms"] else math.nan for row in rows]
                for name, rows in servers.items()
            },
        ),
    }
