"""One attack as a process of its own: `python3 -m tests.fairness.attacker TEMPLATE NAME PORT SECONDS`."""

import json
import sys
import time
from pathlib import Path

from tests.fairness import catalogue, connections
from tests.fairness.catalogue import Context
from tests.fairness.data import Template


def main(template: str, name: str, port: str, seconds: str) -> None:
    """Attack, then print the result as JSON."""
    people = Template.load(Path(), Path(template))
    lines = catalogue.BY_NAME[name].lines(Context.of(people, int(port)))
    began, burnt = time.monotonic(), connections.cpu_seconds()
    counts = connections.flood(lines, began + float(seconds))
    share = (connections.cpu_seconds() - burnt) / (time.monotonic() - began)
    print(json.dumps({**vars(counts), "held_back": counts.held_back, "cpu": share}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
