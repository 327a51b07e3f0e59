"""The servers under measurement: each a process of its own, with a free port and a data folder on the same disk."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """A running server; leave the `with` block, and it is gone."""

    name: str
    is_tutorial = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"{self.name}-{secrets.token_hex(3)}"
        self.folder.mkdir()
        self.port = _free_port()
        self._users = 0

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        raise NotImplementedError

    def auths(self, count: int) -> list[dict[str, Any]]:
        """What so many new users say when they connect."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
        self._log = (self.folder / "log").open("w+")
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
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def resident_mib(self) -> float:
        """How much memory it holds now."""
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, check=True)
        return int(shown.stdout) / 1024

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
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
    """What this checkout serves."""

    name = "ours"

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

    def auths(self, count: int) -> list[dict[str, Any]]:
        return [{"token": self._sign_up()} for _ in range(count)]

    def _sign_up(self) -> str:
        self._users += 1
        user = {"username": f"bench-{self._users}", "password": secrets.token_urlsafe(16), "token": True}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/api/v1/sign_up", json.dumps(user), {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != 201:
            raise RuntimeError(f"signing up was answered {response.status}: {body[:300]}")
        token: str = json.loads(body)["token"]
        return token


class Tutorial(Server):
    """What a tutorial would write, as durable as ours."""

    name = "tutorial"
    is_tutorial = True

    def command(self) -> list[str]:
        return [sys.executable, str(ROOT / "bench" / "tutorial_server.py")]

    def environment(self) -> dict[str, str]:
        return {"PORT": str(self.port), "DATA_DIR": str(self.folder)}

    def auths(self, count: int) -> list[dict[str, Any]]:
        self._users += count
        return [{"user": f"bench-{self._users - n}"} for n in range(count)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
