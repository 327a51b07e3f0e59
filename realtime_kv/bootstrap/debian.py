"""Packages of the system: installed where we may (root on Debian and its kin), else a sentence that says how."""

import os
import shutil

from realtime_kv.bootstrap.steps import SetupError, step, succeeds


def install(*packages: str, reason: str, elsewhere: str = "") -> None:
    """Install these; `a|b` is the first of them that there is. Raises SetupError with what to type instead."""
    names = " ".join(package.split("|")[-1] for package in packages)
    if not shutil.which("apt-get"):
        raise SetupError(f"{reason} is missing here. {elsewhere or 'Install it, then run this again.'}")
    if os.geteuid() != 0:
        raise SetupError(
            f"{reason} is missing here. Install it, then run this again:\n\n    sudo apt-get install {names}"
        )
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    advice = f"Install it by hand, then run this again:\n\n    apt-get install {names}"
    step("Reading the package lists", ["apt-get", "update"], advice)
    names = " ".join(wanted := [_available(package.split("|")) for package in packages])
    step(f"Installing {names}", ["apt-get", "install", "-y", "--no-install-recommends", *wanted], advice)


def _available(packages: list[str]) -> str:
    return next((name for name in packages if succeeds("apt-cache", "show", name)), packages[-1])
