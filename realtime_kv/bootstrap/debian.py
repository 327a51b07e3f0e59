"""Packages of the system: installed where we may (root on Debian and its kin), else a sentence that says how."""

import os
import shutil

from realtime_kv.bootstrap.steps import SetupError, step


def install(*packages: str, reason: str, elsewhere: str = "") -> None:
    """Install these. Raises SetupError with what to type instead, where we may not."""
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise SetupError(f"{reason} is missing here. {elsewhere or 'Install it, then run this again.'}")
    if os.geteuid() != 0:
        raise SetupError(
            f"{reason} is missing here. Install it, then run this again:\n\n    sudo apt-get install {names}"
        )
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    advice = f"Install it by hand, then run this again:\n\n    apt-get install {names}"
    step("Reading the package lists", ["apt-get", "update"], advice)
    step(f"Installing {names}", ["apt-get", "install", "-y", "--no-install-recommends", *packages], advice)
