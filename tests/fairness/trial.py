"""One attack and its control, each on a fresh server with its limits on, while the bystander measures."""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.fairness.data import Template
from tests.live_server import ROOT, Server

# the attack begins before the bystander, so that it is at full strength, and ends after the bystander
LEAD_SECONDS = 1.0
REST_SECONDS = 3.0
MAX_TIMES = 4.0
MAX_ENDING_MS = 500.0
# one stall of a shared machine is a large part of a few seconds, so a result over a limit is measured again; the
# samples of all rounds count
MAX_ROUNDS = 3

_LIMIT = re.compile(r'^rkv_limits_reached_total\{limit="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass
class Side:
    """The bystander's measurements of all rounds: milliseconds by operation."""

    samples: dict[str, list[float]] = field(default_factory=dict)
    endings: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, measured: dict) -> None:
        for name, samples in measured["samples"].items():
            self.samples.setdefault(name, []).extend(samples)
        self.endings.append(measured["ending"])
        self.errors += measured["errors"]

    @property
    def p99(self) -> float:
        return _percentile([sample for samples in self.samples.values() for sample in samples], 0.99)

    @property
    def slowest(self) -> tuple[str, float]:
        """Return the operation with the largest p99, and that p99."""
        by = {name: _percentile(samples, 0.99) for name, samples in self.samples.items()}
        name = max(by, key=by.__getitem__)
        return name, by[name]


@dataclass
class Outcome:
    """The results of the attacker and of the bystander; `control` is the bystander's result beside a busy processor."""

    name: str
    attackers: list[dict] = field(default_factory=list)
    bystander: Side = field(default_factory=Side)
    control: Side = field(default_factory=Side)

    @property
    def rounds(self) -> int:
        return len(self.attackers)

    @property
    def held_back(self) -> int:
        """Return how often the attacker was refused, disconnected or left waiting, or reached a limit."""
        return sum(attacker["held_back"] + sum(attacker["limits"].values()) for attacker in self.attackers)

    @property
    def times(self) -> float:
        """Return the ratio of the bystander's p99 to the control's."""
        return self.bystander.p99 / max(self.control.p99, 0.001)

    @property
    def ending_ms(self) -> float:
        """Return how much longer ending a session took: the difference of the medians of the rounds."""
        return median(self.bystander.endings) - median(self.control.endings)

    @property
    def is_fair(self) -> bool:
        """Return whether the bystander was neither slowed down nor refused, and the attacker was held back."""
        quick = self.times <= MAX_TIMES and self.ending_ms <= MAX_ENDING_MS
        return quick and not self.bystander.errors and self.held_back > 0


def run(template: Template, people: Path, name: str, seconds: float, rounds: int = MAX_ROUNDS) -> Outcome:
    """Run the attack, then the control with the processor time that the attacker used; at most `rounds` times."""
    length = str(seconds + LEAD_SECONDS + REST_SECONDS)
    outcome = Outcome(name)
    while outcome.rounds < rounds and not (outcome.rounds and outcome.is_fair):
        attacker, bystander = _beside(
            template, people, seconds, lambda port: ["attacker", str(people), name, port, length]
        )
        share = str(attacker["cpu"])
        _, control = _beside(template, people, seconds, lambda _, share=share: ["burner", share, length])
        outcome.attackers.append(attacker)
        outcome.bystander.add(bystander)
        outcome.control.add(control)
    return outcome


def _beside(template: Template, people: Path, seconds: float, other) -> tuple[dict, dict]:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder:
        server = Server(template.copy(Path(folder) / "data"), RKV_RATE_LIMITS="on").start()
        try:
            first = _start(*other(str(server.port)))
            # not a wait for a result: the attack must be under way
            with contextlib.suppress(subprocess.TimeoutExpired):
                first.wait(LEAD_SECONDS)
            second = _start("bystander", str(people), str(server.port), str(seconds))
            measured = json.loads(second.communicate(timeout=seconds + 300)[0] or "{}")
            said = json.loads(first.communicate(timeout=60)[0] or "{}")
            return {**said, "limits": _limits_reached(server.port)}, measured
        finally:
            server.close()


def _start(module: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", f"tests.fairness.{module}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _limits_reached(port: int) -> dict[str, float]:
    """Return how often each limit was reached, as the server counts it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {limit: float(count) for limit, count in _LIMIT.findall(text)}


def _percentile(samples: list[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
