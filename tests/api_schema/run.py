"""One run of schemathesis, in a separate process, because it brings its own hypothesis settings."""

import os
import subprocess
import sys
from pathlib import Path

from tests.live_server import Server, fresh_name

HOOKS = Path(__file__).with_name("hooks.py")


def run(server: Server, examples: int, seed: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Send requests that fit the document, and ones that do not, as a user of this server; code 0: nothing was wrong.

    Not checked: `/api/v1/stream`, which does not end; and whether calls without a token are refused, since the
    session cookie is the second way to authenticate (`tests/matrix` checks that).
    """
    token = server.sign_up(fresh_name("schema")).token
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {token}", "--exclude-path", "/api/v1/stream"),
        *("--checks", "all", "--exclude-checks", "ignored_auth,positive_data_acceptance"),
        *("--phases", "coverage,fuzzing", "--max-examples", str(examples), "--continue-on-failure"),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)}
    # it stores its findings in the current folder
    folder = server.data_dir.parent
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
