"""Chromium, for the tests that look at the pages."""

import os
import shutil
from pathlib import Path

from realtime_kv.bootstrap import debian

# without the parts that draw windows: it takes two thirds of the processor time for the same pages
_HEADLESS = "chromium-headless-shell"
_COMMANDS = [_HEADLESS, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
_APPLICATIONS = ["Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium"]


def install() -> None:
    """Make sure that there is one, and tell the tests where, in `CHROMIUM`."""
    if not find():
        debian.install(
            f"{_HEADLESS}|chromium",
            "fonts-dejavu-core",
            reason="Chromium, which the browser tests run in,",
            elsewhere="Install Chromium or Google Chrome, or say where one is: CHROMIUM=/path/to/chromium",
        )
    os.environ["CHROMIUM"] = find() or ""


def find() -> str | None:
    """The path of a Chromium, or of its next of kin."""
    if given := os.environ.get("CHROMIUM"):
        return given
    applications = [str(Path("/Applications") / name) for name in _APPLICATIONS]
    return next((found for name in [*_COMMANDS, *applications] if (found := shutil.which(name))), None)
