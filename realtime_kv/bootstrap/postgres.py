"""PostgreSQL's server programs, for the tests: each test run starts a server of its own."""

import os
import shutil
from pathlib import Path

from realtime_kv.bootstrap import system_packages

# Debian keeps each version in a folder of its own, outside of PATH
_DEBIAN = Path("/usr/lib/postgresql")


def install() -> None:
    """Install PostgreSQL if it is missing, and set the folder of its programs in `POSTGRES_BIN` for the tests."""
    if not find():
        system_packages.install(
            "postgresql",
            reason="PostgreSQL, which a part of the tests runs on,",
            elsewhere="Install PostgreSQL 15 or later, or say where its programs are: POSTGRES_BIN=/path/to/bin",
        )
    os.environ["POSTGRES_BIN"] = str(find() or "")


def find() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL."""
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given)
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None
