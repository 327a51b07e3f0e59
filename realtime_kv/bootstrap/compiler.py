"""A C compiler, for the tests that put a layer of their own under the server's disk."""

import shutil
import sys

from realtime_kv.bootstrap import system_packages


def install() -> None:
    """Install a C compiler if it is missing, on the platform of those tests."""
    if sys.platform.startswith("linux") and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        # gcc only recommends libc6-dev, but cannot build anything without it
        system_packages.install(
            "gcc", "libc6-dev", reason="A C compiler, which the power-cut tests build their layer with,"
        )
