"""The formatter, the linter and the type checker report nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("tool", [["ruff", "format", "--check", "--diff"], ["ruff", "check"], ["mypy"]], ids=" ".join)
def test_tool_reports_no_problems(tool):
    done = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
