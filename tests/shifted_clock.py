"""Run the unchanged server with a wall clock that can be set: CLOCK_FILE holds the offset in milliseconds."""

import os
import sys
from functools import partial
from pathlib import Path

from realtime_kv import cli, server
from realtime_kv.app import create_app
from realtime_kv.core.clock import now_ms, steady_ms

_file = Path(os.environ["CLOCK_FILE"])

server.create_app = partial(create_app, clock=lambda: now_ms() + int(_file.read_text() or 0), steady=steady_ms)
sys.exit(cli.main(sys.argv[1:]))
