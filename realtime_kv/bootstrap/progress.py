"""Runs one step of the set-up: shows progress, and on failure the tool's last output and advice."""

import subprocess
import sys
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_WIDTH = 100


class SetupError(Exception):
    """The set-up cannot continue; the message says what to do."""


def say(sentence: str) -> None:
    """Print progress to stderr: stdout belongs to the command."""
    print(sentence, file=sys.stderr, flush=True)


def step(title: str, command: list[str | Path], advice: str, *, cwd: Path = ROOT) -> None:
    """Run a tool, showing its output on a terminal. Raises SetupError with its last lines and `advice`."""
    started = time.monotonic()
    live = sys.stderr.isatty()
    print(f"{title} …", end="" if live else "\n", file=sys.stderr, flush=True)
    last: deque[str] = deque(maxlen=15)
    code = _follow(command, cwd, last, title if live else None)
    took = f"{time.monotonic() - started:.0f} s"
    if live:
        say(f"\r\033[K{title}: {took}")
    if code != 0:
        words = "\n".join(f"    {line}" for line in last)
        raise SetupError(f"{title} failed:\n\n{words}\n\n{advice}")


def succeeds(*command: str | Path) -> bool:
    """Return whether a command exists and succeeds; its output is dropped."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _follow(command: list[str | Path], cwd: Path, last: deque[str], live_title: str | None) -> int:
    try:
        tool = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        last.append(f"{command[0]}: {error.strerror}")
        return 1
    with tool:
        assert tool.stdout is not None
        for line in tool.stdout:
            if words := line.strip():
                last.append(words)
                if live_title:
                    print(f"\r\033[K{live_title} … {words}"[:_WIDTH], end="", file=sys.stderr, flush=True)
    return tool.returncode
