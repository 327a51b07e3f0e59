"""A few of the random runs, judged by their outcomes; `python3 -m tests.chaos` makes any number."""

import subprocess
import sys

from tests.chaos.lane import FAULTS
from tests.live_server import ROOT

# two runs in which every fault occurs
SEED = 361


def test_faults_cause_no_unreported_loss_and_no_double_application_of_writes():
    command = [sys.executable, "-m", "tests.chaos", "--runs=2", "--lanes=1", f"--seed={SEED}", "--untimed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost without a report: 0; applied twice: 0;" in done.stdout
    for fault in FAULTS:
        assert f"{fault} " in done.stdout
