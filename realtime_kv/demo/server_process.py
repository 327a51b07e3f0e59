"""The server under test: a subprocess that is killed and restarted on the same port."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

READY_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent.parent


class ServerProcess:
    """A server in `folder`, for pages of `origin`. Its methods may be called from any thread."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kills = 0
        self._environment = {
            **os.environ,
            "RKV_DATA_DIR": str(folder / "data"),
            "RKV_PORT": str(self.port),
            "RKV_HOST": "127.0.0.1",
            "RKV_ORIGINS": origin,
            # all devices come from one address, and reconnect after every kill
            "RKV_RATE_LIMITS": "off",
        }
        self._log = (folder / "server.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._serves = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Return the process id while the server runs."""
        process = self._process
        return None if process is None or not self._serves or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start the server, and wait until it listens. Raises RuntimeError."""
        command = [sys.executable, "-m", "realtime_kv.cli", "serve"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + READY_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"The server did not start; its log: {self._log.name}")
            time.sleep(0.05)
        self._serves = True

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a power failure would, and start it again."""
        with self._lock:
            if self._process is None:
                return
            self._serves = False
            self._process.kill()
            self._process.wait()
            self.kills += 1
            self.start()

    def stop(self) -> None:
        """Stop the server permanently."""
        with self._lock:
            if self._process is not None:
                self._process.terminate()
                self._process.wait()
                self._process = None
            self._log.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
