"""`python3 run.py bench`: runs the parts, prints the tables. `realtime_kv.cli` defines the options."""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import document, node
from bench.parts import fanout, growth, idle, load, stall, storm
from bench.servers import ROOT
from bench.setting import Measured, Setting
from realtime_kv_client import ClientError

PARTS: dict[str, Any] = {
    "load": load,
    "stall": stall,
    "fanout": fanout,
    "growth": growth,
    "idle": idle,
    "storm": storm,
}
_BESIDE_THE_PEER = {"load", "stall", "fanout"}
TITLES = {
    "load": "Sets under load",
    "stall": "The server's loop under load",
    "fanout": "Fan-out",
    "growth": "Growth",
    "idle": "Idle tabs",
    "storm": "Restart storm",
}


def main(options: argparse.Namespace) -> int:
    """Run the measurements that the options select."""
    names = options.only or [*PARTS]
    peer = node.find() if _BESIDE_THE_PEER & {*names} else None
    everything: Measured = {"machine": _machine(peer)}
    tables: dict[str, list[str]] = {}
    for line in _machine_rows(everything["machine"]):
        print(line)
    with tempfile.TemporaryDirectory(prefix="realtime_kv-bench-") as folder:
        setting = Setting(
            folder=Path(folder),
            node=peer.path if peer else None,
            users=options.users,
            tabs=options.tabs,
            rounds=options.rounds,
            seconds=options.seconds,
            idle_tabs=options.idle_tabs,
            storm_tabs=options.storm_tabs,
        )
        for name in names:
            try:
                everything[name] = PARTS[name].measure(setting)
            except (RuntimeError, OSError, ClientError) as error:
                print(f"The benchmark cannot go on: {error}", file=sys.stderr)
                return 1
            tables[name] = PARTS[name].rows(everything[name])
            print("", f"{TITLES[name]}: {name}", "", *tables[name], sep="\n", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(_without_nan(everything), indent=2, allow_nan=False) + "\n")
    if options.docs:
        plots = {title: svg for name in names for title, svg in PARTS[name].plots(everything[name]).items()}
        document.write(ROOT / "docs", _machine_rows(everything["machine"]), tables, plots)
    return max(bool(everything[name].get("failed")) for name in names)


def _machine(peer: node.Node | None) -> Measured:
    return {
        "processors": os.cpu_count() or 1,
        "load_average": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "node": peer and peer.says,
    }


def _machine_rows(machine: Measured) -> list[str]:
    versions = ", ".join(filter(None, [f"Python {machine['python']}", machine["node"]]))
    lines = [f"{machine['processors']} processors, {machine['system']}, {versions}; server and load on one machine"]
    if machine["load_average"] > 0.3 * machine["processors"]:
        lines.append(f"This machine was busy with other things (load {machine['load_average']:.1f}): expect noise.")
    return lines


def _without_nan(value: Any) -> Any:
    """Return the value without NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
