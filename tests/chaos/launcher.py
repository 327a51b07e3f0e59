"""Starts the real server under the version in the file CHAOS_VERSION: another one is an upgrade to its pages."""

import os
import sys
from pathlib import Path

from realtime_kv import cli, version

if __name__ == "__main__":
    version.VERSION = Path(os.environ["CHAOS_VERSION"]).read_text()
    sys.exit(cli.main(sys.argv[1:]))
