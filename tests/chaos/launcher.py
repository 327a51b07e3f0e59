"""Starts the real server under the version in the file CHAOS_VERSION: its pages see another one as an upgrade."""

import os
import sys
from pathlib import Path

from realtime_kv import version
from realtime_kv.cli import main as cli

if __name__ == "__main__":
    version.VERSION = Path(os.environ["CHAOS_VERSION"]).read_text()
    sys.exit(cli.main(sys.argv[1:]))
