"""The time from a write to its push in another tab, alone and during sign-ins; alternating, for equal conditions."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.live_server import Account, Server, Wire

PER_SECOND = 40
SIGN_INS_PER_SECOND = 20
ROUNDS = 6


@dataclass(frozen=True)
class Latency:
    """Latencies in milliseconds."""

    p50: float
    p99: float
    count: int


def measure(folder: Path, seconds: float) -> tuple[Latency, Latency, float]:
    """Return the latency alone, the latency during sign-ins, and the sign-ins per second; `seconds` of each."""
    server = Server(folder).start()
    try:
        tabs = Tabs(server.sign_up("watcher"))
        for n in range(10):
            server.sign_up(f"user{n}")
        tabs.push_for(2)
        alone: list[float] = []
        beside: list[float] = []
        answered = 0
        for round_ in range(ROUNDS):
            if round_ % 2:
                answered += _beside(server.port, tabs, beside, seconds * 2 / ROUNDS)
            else:
                alone += tabs.push_for(seconds * 2 / ROUNDS)
        return _latency(alone), _latency(beside), answered / seconds
    finally:
        server.close()


class Tabs:
    """One tab that writes, and one that receives the pushes."""

    def __init__(self, account: Account) -> None:
        self._writer, self._reader = Wire(account, "websocket"), Wire(account, "websocket")
        self._written = 0

    def push_for(self, seconds: float) -> list[float]:
        """Return the milliseconds from each write to its arrival in the other tab."""
        took = []
        began = time.perf_counter()
        while (sent := time.perf_counter()) < began + seconds:
            self._written += 1
            self._writer.send(f'42["set",{json.dumps({"key": "k", "value": self._written})}]')
            mark = f'"value":{self._written}'
            while mark not in self._reader.receive():
                pass
            took.append((time.perf_counter() - sent) * 1000)
            # read the writer's own messages, so that they do not pile up
            while mark not in self._writer.receive():
                pass
            time.sleep(max(0, sent + 1 / PER_SECOND - time.perf_counter()))
        return took


def _beside(port: int, tabs: Tabs, took: list[float], seconds: float) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.timing_attacks.sign_ins",
        str(port),
        str(SIGN_INS_PER_SECOND),
        str(seconds + 2),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as people:
        assert people.stdout is not None
        people.stdout.readline()
        tabs.push_for(1)
        took += tabs.push_for(seconds)
        answered = int(people.stdout.readline())
    return round(answered * seconds / (seconds + 2))


def _latency(took: list[float]) -> Latency:
    took = sorted(took)
    return Latency(took[len(took) // 2], took[int((len(took) - 1) * 0.99)], len(took))
