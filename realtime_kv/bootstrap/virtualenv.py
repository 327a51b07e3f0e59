"""The virtual environment and its packages: the active one, else `.venv`, created if it is missing."""

import hashlib
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from realtime_kv.bootstrap import system_packages
from realtime_kv.bootstrap.progress import ROOT, SetupError, say, step, succeeds

_VENV = ROOT / ".venv"
_RETRY = "Check the network connection and the free disk space, then run this again: it goes on from here."


class Environment:
    """The virtual environment with the project's packages; `python` runs with them."""

    def __init__(self) -> None:
        self.is_active = sys.prefix != sys.base_prefix
        self.folder = Path(sys.prefix) if self.is_active else _VENV
        self.python = Path(sys.executable) if self.is_active else _VENV / "bin" / "python"

    def install(self, requirements: str) -> None:
        """Install the pinned packages of this file, unless its stamp says that all are installed."""
        stamp = self.folder / f"realtime_kv-{requirements}.json"
        if self._is_current(stamp, requirements):
            return
        stamp.unlink(missing_ok=True)
        install = self._installer()
        pins = _pins(ROOT / requirements)
        title = f"Installing the Python packages of {requirements}"
        step(title, [*install, "--require-hashes", "-r", ROOT / requirements], _RETRY)
        present = [name for name in self._distributions() if name in pins]
        stamp.write_text(json.dumps({"fingerprint": self._fingerprint(requirements), "present": present}))

    def site_packages(self) -> list[Path]:
        """Return the folders that packages are installed in."""
        if self.is_active:
            return [Path(sysconfig.get_path("platlib"))]
        return list(self.folder.glob("lib/python*/site-packages"))

    def _is_current(self, stamp: Path, requirements: str) -> bool:
        try:
            said = json.loads(stamp.read_text())
            # a package may have been removed since, or replaced by another version
            return said["fingerprint"] == self._fingerprint(requirements) and self._distributions() >= {
                *said["present"]
            }
        except (OSError, ValueError, KeyError):
            return False

    def _fingerprint(self, requirements: str) -> str:
        # with the interpreter: packages that were installed for Python 3.11 are of no use to 3.12
        return hashlib.sha256((ROOT / requirements).read_bytes() + os.path.realpath(self.python).encode()).hexdigest()

    def _distributions(self) -> set[str]:
        """Return the installed packages, as `flask-login==0.6.3`."""
        infos = (info.name for site in self.site_packages() for info in site.glob("*.dist-info"))
        return _normal(info.removesuffix(".dist-info").rsplit("-", 1) for info in infos)

    def _installer(self) -> list[str | Path]:
        """Return the command that installs packages; create the environment if it is missing or incomplete."""
        pip: list[str | Path] = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        has_pip = succeeds(self.python, "-m", "pip", "--version")
        if not self.is_active:
            if not has_pip:
                self._make()
            return pip
        say(f"Using the active virtual environment, {self.folder}")
        if has_pip or succeeds(self.python, "-m", "ensurepip"):
            return pip
        if uv := shutil.which("uv"):
            return [uv, "pip", "install", "--python", self.python]
        raise SetupError(
            f"The active virtual environment, {self.folder}, has no pip. Install pip into it, or leave the environment "
            "(deactivate) and run this again: it then makes one of its own."
        )

    def _make(self) -> None:
        make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", self.folder]
        if not succeeds(sys.executable, "-c", "import ensurepip, venv; assert ensurepip.version()"):
            # Debian and Ubuntu have this part of Python in a separate package
            system_packages.install(f"python3.{sys.version_info.minor}-venv", reason="Python's own module venv")
        step(f"Making {self.folder.name}", make, "Check that this folder can be written to, then run this again.")


def _pins(file: Path) -> set[str]:
    lines = (line.split()[0] for line in file.read_text().splitlines() if re.match(r"[\w.-]+==", line))
    return _normal(line.split("==") for line in lines)


def _normal(pairs: Iterable[list[str]]) -> set[str]:
    return {"==".join([re.sub(r"[-_.]+", "-", name).lower(), version]) for name, version in pairs}
