"""One attack and its control: a fresh server with its limits on for each, and the bystander beside it."""

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fairness.data import Template
from tests.running import ROOT, Server

# the attack begins first, so that the bystander meets it at its height, and outlasts the bystander
LEAD_SECONDS = 1.0
REST_SECONDS = 3.0


@dataclass(frozen=True)
class Outcome:
    """What the attacker and the bystander saw; `control` is the bystander's result beside a busy processor."""

    name: str
    attacker: dict
    bystander: dict
    control: dict

    @property
    def times(self) -> float:
        """How many times the control's p99 the bystander's was."""
        return self.bystander["p99"] / max(self.control["p99"], 0.001)

    @property
    def ending_ms(self) -> float:
        """How much longer it took to end a session."""
        return self.bystander["ending"] - self.control["ending"]


def run(template: Template, people: Path, name: str, seconds: float) -> Outcome:
    """Attack, then the control with the processor time that the attacker used."""
    length = str(seconds + LEAD_SECONDS + REST_SECONDS)
    attacker, bystander = _beside(template, people, seconds, lambda port: ["attacker", str(people), name, port, length])
    share = str(attacker["cpu"])
    _, control = _beside(template, people, seconds, lambda _: ["burner", share, length])
    return Outcome(name, attacker, bystander, control)


def _beside(template: Template, people: Path, seconds: float, other) -> tuple[dict, dict]:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory(prefix="fairness-") as folder:
        server = Server(template.copy(Path(folder) / "data"), RKV_RATE_LIMITS="on").start()
        try:
            first = _start(*other(str(server.port)))
            # not a wait for a result: the attack is to be under way
            with contextlib.suppress(subprocess.TimeoutExpired):
                first.wait(LEAD_SECONDS)
            second = _start("bystander", str(people), str(server.port), str(seconds))
            measured = json.loads(second.communicate(timeout=seconds + 300)[0] or "{}")
            said = first.communicate(timeout=60)[0]
            return json.loads(said or "{}"), measured
        finally:
            server.close()


def _start(module: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", f"tests.fairness.{module}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
