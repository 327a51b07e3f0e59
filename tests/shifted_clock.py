"""Run the unchanged server with a wall clock that can be set: CLOCK_FILE holds the offset in milliseconds."""

import os
import sys
from functools import partial
from pathlib import Path

from realtime_kv.app import create_app
from realtime_kv.cli import main as cli
from realtime_kv.clock import now_ms, steady_ms
from realtime_kv.server import serve as server

_file = Path(os.environ["CLOCK_FILE"])

server.create_app = partial(create_app, clock=lambda: now_ms() + int(_file.read_text() or 0), steady=steady_ms)
sys.exit(cli.main(sys.argv[1:]))
