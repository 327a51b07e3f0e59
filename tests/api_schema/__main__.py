"""`python3 -m tests.api_schema`: schemathesis against a real server and the OpenAPI document that it publishes."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.api_schema.run import run
from tests.live_server import Server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.api_schema", description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="generated requests for each operation (500)")
    parser.add_argument("--seed", type=int, help="repeats a run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="api-schema-") as folder:
        server = Server(Path(folder)).start()
        try:
            done = run(server, options.examples, options.seed)
            sys.stdout.write(done.stdout + done.stderr)
            return done.returncode
        finally:
            server.close()


if __name__ == "__main__":
    sys.exit(main())
