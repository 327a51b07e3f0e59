#!/usr/bin/env python3
"""Entry point: install missing dependencies, then run `realtime_kv.cli`.

Runs on a bare Python. Its syntax stays valid for old versions, which then report that they are too old.
"""

import os
import sys

if sys.version_info < (3, 11):
    sys.exit(
        "realtime_kv needs Python 3.11 or newer, and this is Python %d.%d.\n" % sys.version_info[:2]
        + "Install a newer one and start it by its name, for example: python3.12 run.py"
    )
if os.name != "posix":
    sys.exit("realtime_kv runs on Linux and macOS. On Windows, start it inside WSL.")

# these import nothing that must be installed first
from realtime_kv.bootstrap import setup as bootstrap
from realtime_kv.cli import main as cli


def main(arguments: list[str]) -> None:
    """Parse the command line, set up the dependencies of the command, and replace this process with it."""
    options = cli.parse(arguments)
    python = bootstrap.prepare(options.command)
    # -P and the checkout on the path: the command works from any folder and imports no file that lies in that folder
    path = [str(bootstrap.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    os.execv(python, [str(python), "-P", "-m", "realtime_kv.cli", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
