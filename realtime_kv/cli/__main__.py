"""`python -m realtime_kv.cli`."""

import sys

from realtime_kv.cli.main import main

sys.exit(main(sys.argv[1:]))
