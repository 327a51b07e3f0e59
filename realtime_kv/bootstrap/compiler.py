"""A C compiler, for the tests that put a layer of their own under the server's disk."""

import shutil
import sys

from realtime_kv.bootstrap import debian


def install() -> None:
    """Make sure that there is one, where those tests run."""
    if sys.platform.startswith("linux") and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        # without the second one the first cannot build anything, and only recommends it
        debian.install("gcc", "libc6-dev", reason="A C compiler, which the power-cut tests build their layer with,")
