"""The figures as tables that a person can read."""

from typing import Any

_BOTTLENECK = 0.85


def load(measured: dict[str, Any]) -> list[str]:
    """One row for each scenario and server, and the ratios."""
    lines = [
        f"{measured['users']} users x {measured['tabs']} tabs, medians of the rounds; times in ms",
        "",
        f"{'':28}{'':10}{'keys/s':>9}{'ack p50':>9}{'p99':>9}{'push p50':>10}{'p99':>9}{'load CPU':>10}",
    ]
    for name, servers in measured["scenarios"].items():
        title = name
        for server, runs in servers.items():
            row = runs["median"]
            lines.append(
                f"{title:28}{server:10}{row['keys_per_second']:9.0f}{row['ack_ms']['p50']:9.2f}{row['ack_ms']['p99']:9.2f}"
                f"{row['push_ms']['p50']:10.2f}{row['push_ms']['p99']:9.2f}{row['load_cpu']:9.0%}"
                f"{' *' if row['load_cpu'] > _BOTTLENECK else ''}"
            )
            if row["pushes_missing"]:
                lines.append(f"{'':28}{row['pushes_missing']} pushes never came")
            title = ""
    if any(runs["median"]["load_cpu"] > _BOTTLENECK for of in measured["scenarios"].values() for runs in of.values()):
        lines.append("* the load was the bottleneck: the server could have done more")
    lines += ["", *(f"{name:52}{ratio:8.1f} x" for name, ratio in ratios(measured).items())]
    memory = ", ".join(f"{server} {mib:.0f} MiB" for server, mib in measured["resident_mib"].items())
    return [*lines, f"resident memory after it: {memory}"]


def ratios(measured: dict[str, Any]) -> dict[str, float]:
    """Ours over the tutorial server's: rates, and the other way round for the time of a single set."""
    scenarios = {
        name: {server: runs["median"] for server, runs in of.items()} for name, of in measured["scenarios"].items()
    }
    found: dict[str, float] = {}
    for name, of in scenarios.items():
        if "tutorial" not in of:
            for other, row in scenarios.items():
                if "tutorial" in row and "1 user" not in other:
                    title = f"{name}, per key, over {other}"
                    found[title] = of["ours"]["keys_per_second"] / row["tutorial"]["keys_per_second"]
        elif "1 user" in name:
            found[f"{name}: time to acknowledge, tutorial/ours"] = (
                of["tutorial"]["ack_ms"]["p50"] / of["ours"]["ack_ms"]["p50"]
            )
        else:
            found[f"{name}: sets per second, ours/tutorial"] = (
                of["ours"]["keys_per_second"] / of["tutorial"]["keys_per_second"]
            )
    return found


def growth(measured: dict[str, Any]) -> list[str]:
    """What a large space costs over a small one."""
    small, large = measured["sizes"]
    return [
        f"one call in flight, p50 in ms: among {small} keys, among {large} keys, factor",
        *(
            f"{verb:8}{of[str(small)]:9.3f}{of[str(large)]:9.3f}{measured['factor'][verb]:8.2f} x"
            for verb, of in measured["p50_ms"].items()
        ),
        f"resident memory after it: {measured['resident_mib']:.0f} MiB",
    ]


def idle(measured: dict[str, Any]) -> list[str]:
    """What tabs cost that only listen."""
    before, after = measured["before_mib"], measured["resident_mib"]
    return [f"resident memory: {before:.0f} MiB after the start, {after:.0f} MiB with {measured['tabs']} idle tabs"]
