"""System packages: installed as root on Debian and its derivatives, else reported with the command to type."""

import os
import shutil

from realtime_kv.bootstrap.progress import SetupError, step, succeeds


def install(*packages: str, reason: str, elsewhere: str = "") -> None:
    """Install these packages; `a|b` is the first one available. Raises SetupError with instructions."""
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
