"""Run the tests of the JavaScript modules in Node.js: one test here for each of their files."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(file.name for file in (ROOT / "tests" / "js").glob("*.test.js"))


@pytest.mark.parametrize("file", FILES)
def test_javascript_test_file_passes_under_node(file):
    node = shutil.which("node")
    assert node, "Node.js is missing: `python3 run.py test` brings it along"
    # Node's default reporter differs between terminals and pipes
    command = [node, "--test", "--test-reporter=spec", f"tests/js/{file}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_javascript_test_files_exist():
    assert FILES
