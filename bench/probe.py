"""Event loop probe: small calls at a steady pace over a tab of its own, in a process of its own, until stdin closes.

The server's event loop answers these calls alone, without a thread and without the disk: on our server, they use a verb
that does not exist. Each answer is timed from its call, and calls do not wait for earlier answers, so a stall shows in
every call that falls into it.
"""

import gc
import json
import math
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from bench.servers import ROOT, Auth, Ours, Server
from bench.tab import Loop

_PACE = 0.002
_SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


class Probe:
    """A probe of this server while the `with` block runs; afterwards `found` holds its times in milliseconds."""

    def __init__(self, server: Server, auth: Auth) -> None:
        self._plan = {"port": server.port, "auth": auth, "ours": server.is_ours}
        self.found: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.probe"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(self._plan) + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        out, _ = self._process.communicate()
        if self._process.returncode == 0:
            self.found = json.loads(out)
        elif error is None:
            raise RuntimeError("the probe of the hub was cut off")


def row(found: dict[str, float]) -> str:
    """Return the times in one line."""
    times = ", ".join(f"{share} {found[share]:.2f}" for share in _SHARES)
    return f"{times} ms ({found['calls']:.0f} calls)"


def watchdog(server: Ours) -> dict[str, float]:
    """Return the event loop's stalls in the last minute, as measured by the server itself, in milliseconds."""
    seen = server.figures("rkv_hub_stall")
    return {
        "p99.9": seen["rkv_hub_stall_p999_seconds"] * 1000,
        "max": seen["rkv_hub_stall_max_seconds"] * 1000,
        "stalls": seen["rkv_hub_stalls_total"],
    }


def watchdog_row(seen: dict[str, float]) -> str:
    """Return the watchdog's figures in one line."""
    return f"p99.9 {seen['p99.9']:.2f}, max {seen['max']:.2f} ms, {seen['stalls']:.0f} stalls"


def _main() -> None:
    plan = json.loads(sys.stdin.readline())
    loop = Loop()
    [tab] = loop.open(plan["port"], [plan["auth"]], seconds=60)
    sent: dict[int, int] = {}
    took: list[int] = []
    tab.on_ack = lambda number, *_: took.append(time.perf_counter_ns() - sent.pop(number))
    event, payload = ("are_you_there", "{}") if plan["ours"] else ("get", '{"key":"are_you_there"}')
    print("probing", flush=True)
    gc.disable()
    due = time.perf_counter()
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = time.perf_counter()
        if now >= due:
            due = max(due + _PACE, now)
            number = tab.take_id()
            sent[number] = time.perf_counter_ns()
            tab.send([f'42{number}["{event}",{payload}]'])
        loop.step(max(0.0, due - time.perf_counter()))
    # calls without an answer count with their age
    took += [time.perf_counter_ns() - began for began in sent.values()]
    print(json.dumps(_times(took)))


def _times(took: list[int]) -> dict[str, Any]:
    took.sort()
    at = {name: took[int((len(took) - 1) * share)] / 1e6 if took else math.nan for name, share in _SHARES.items()}
    return {**at, "calls": len(took)}


if __name__ == "__main__":
    _main()
