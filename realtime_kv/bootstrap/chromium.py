"""Chromium, for the browser tests."""

import os
import shutil
from pathlib import Path

from realtime_kv.bootstrap import system_packages

# without a window system: it takes two thirds of the processor time for the same pages
_HEADLESS = "chromium-headless-shell"
_COMMANDS = [_HEADLESS, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
_APPLICATIONS = ["Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium"]


def install() -> None:
    """Install Chromium if it is missing, and set its path in `CHROMIUM` for the tests."""
    if not find():
        system_packages.install(
            f"{_HEADLESS}|chromium",
            "fonts-dejavu-core",
            reason="Chromium, which the browser tests run in,",
            elsewhere="Install Chromium or Google Chrome, or say where one is: CHROMIUM=/path/to/chromium",
        )
    os.environ["CHROMIUM"] = find() or ""


def find() -> str | None:
    """Return the path of a Chromium or a related browser."""
    if given := os.environ.get("CHROMIUM"):
        return given
    applications = [str(Path("/Applications") / name) for name in _APPLICATIONS]
    return next((found for name in [*_COMMANDS, *applications] if (found := shutil.which(name))), None)
