"""The formatters, the linters and the type checkers report nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from realtime_kv.cli.main import CHECKS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("command", CHECKS, ids=lambda command: " ".join(command).rpartition("/")[2])
def test_tool_reports_no_problems(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ("export const a = 1;\n", "biome"),  # format
        ("export const a = () => {\n  debugger\n}\n", "biome"),  # lint
        ("/** @param {string} a */\nexport const f = (a) => a * 2\n", "tsconfig.json"),
        ("export const f = (a) => a\n", "tsconfig.strict.json"),
    ],
    ids=["format", "lint", "types", "types of parameters"],
)
def test_checks_of_javascript_find_a_problem(tmp_path, content, command):
    [check] = [check for check in CHECKS if command in " ".join(check)]
    for config in (*ROOT.glob("tsconfig*.json"), ROOT / "biome.jsonc"):
        shutil.copy(config, tmp_path)
    shutil.copytree(ROOT / "types", tmp_path / "types")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    file = tmp_path / "static" / "js" / "client" / "with-a-problem.js"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert file.name in done.stdout + done.stderr
