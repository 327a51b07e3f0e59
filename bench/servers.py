"""The measured servers: each a process of its own, with a free port and a data folder on the same disk."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import processes
from realtime_kv_client import HttpClient

ROOT = Path(__file__).resolve().parent.parent

# on a busy machine, a password hash may take long
_TIMEOUT_SECONDS = 120

Auth = dict[str, Any]


class Server:
    """A running server; it stops at the end of the `with` block."""

    name: str
    # our server has revisions, batches, `op_id` and `sync`; the others have the tutorial's protocol
    is_ours = False
    has_batch = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"{self.name}-{secrets.token_hex(3)}"
        self.folder.mkdir()
        self.port = _free_port()
        self._users = 0

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def auths(self, count: int) -> list[Auth]:
        """Return the CONNECT payloads of that many new users."""
        self._users += count
        return [{"user": f"bench-{self._users - n}"} for n in range(count)]

    def start(self) -> None:
        """Start the server on the contents of its folder; return when it answers."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
        self._log = (self.folder / "log").open("a+")
        self._process = subprocess.Popen(
            self.command(),
            cwd=ROOT,
            env={**clean, **self.environment()},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, and wait for its end."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def kill(self) -> None:
        """Kill the server without a warning, as a power cut would."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def resident_mib(self) -> float:
        """Return the memory that it holds now."""
        return processes.resident_mib(self.pid)

    def _wait(self) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self._log.seek(0)
        raise RuntimeError(f"the {self.name} server does not answer:\n{self._log.read()[-3000:]}")


class Ours(Server):
    """The server of this checkout."""

    name = "ours"
    is_ours = True

    def command(self) -> list[str]:
        return [sys.executable, "-m", "realtime_kv.cli", "serve"]

    def environment(self) -> dict[str, str]:
        return {
            "RKV_PORT": str(self.port),
            "RKV_DATA_DIR": str(self.folder / "data"),
            "RKV_RATE_LIMITS": "off",
            "RKV_QUOTA_KEYS": "10000000",
            "RKV_QUOTA_BYTES": "100000000000",
        }

    def auths(self, count: int) -> list[Auth]:
        first, self._users = self._users, self._users + count
        # two at a time, the number of passwords that the server hashes at once
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(self._sign_up, range(first, first + count)))

    def call(self, auth: Auth, verb: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call one verb over HTTP."""
        return self._client().post(verb, payload, auth["token"])

    def figures(self, prefix: str) -> dict[str, float]:
        """Return the metrics with this name prefix, by name and labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith(prefix))
        return {name: float(value) for name, value in pairs}

    def _sign_up(self, number: int) -> Auth:
        user = {"username": f"bench-{number}", "password": secrets.token_urlsafe(16), "token": True}
        return {"token": self._client().post("sign_up", user)["token"]}

    def _client(self) -> HttpClient:
        return HttpClient(f"http://127.0.0.1:{self.port}", timeout=_TIMEOUT_SECONDS)


class Tutorial(Server):
    """A server as in a tutorial, as durable as ours."""

    name = "tutorial"
    has_batch = False

    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "bench" / "tutorial_server.py")]

    def environment(self) -> dict[str, str]:
        return {"PORT": str(self.port), "DATA_DIR": str(self.folder)}


class Peer(Server):
    """The same in Node.js, optimized for speed; `node` is the result of `bench.node`."""

    name = "peer"

    def __init__(self, folder: Path, node: Path) -> None:
        super().__init__(folder)
        self._node = node

    def command(self) -> list[str]:
        return [str(self._node), "--no-warnings", str(ROOT / "bench" / "peer" / "server.js")]

    def environment(self) -> dict[str, str]:
        return {"PORT": str(self.port), "DATA_DIR": str(self.folder), "NODE_ENV": "production"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
