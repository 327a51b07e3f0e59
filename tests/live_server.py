"""A real server in its own process on a real file, real accounts, and real Socket.IO clients as tabs."""

import itertools
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import engineio
import requests
import socketio

from realtime_kv_client import HttpClient
from realtime_kv_client.transports import TRANSPORTS
from tests.fork_server import Forked

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "a-rather-Long-passphrase"
# long, so that a starved machine is not taken for a hang
DEADLINE = 90


class Server:
    """`realtime_kv serve` on a free port and a data folder; can be killed and started again."""

    def __init__(self, data_dir: Path, *, launcher: Path | None = None, **settings: str) -> None:
        """`settings` are environment variables; a `launcher` is a script that starts the server in its own way."""
        self.data_dir = data_dir
        self.port = 0
        self.process: subprocess.Popen[str] | Forked | None = None
        self.output: list[str] = []
        self._written = threading.Condition()
        self._launcher = launcher
        self._settings = {"RKV_RATE_LIMITS": "off", "PYTHONPATH": str(ROOT), **settings}
        # settings that the interpreter itself reads need a new interpreter
        self._forked = launcher is None and all(name.startswith("RKV_") for name in settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and return when it says that it serves; a restart takes the same port."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
        environ |= self._settings
        arguments = ["serve", f"--port={self.port}", f"--data-dir={self.data_dir}"]
        if self._forked:
            self.process = Forked(arguments, cwd=ROOT, env=environ)
        else:
            command = ["-m", "realtime_kv.cli"] if self._launcher is None else [str(self._launcher)]
            self.process = subprocess.Popen(
                [sys.executable, *command, *arguments],
                cwd=ROOT,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        line = ready.get(timeout=DEADLINE)
        if line is None:
            raise AssertionError("the server did not start:\n" + "".join(self.output))
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def kill(self) -> None:
        """Kill it with SIGKILL, at any moment."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stop it gracefully and return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def wait_for(self, text: str) -> str:
        """Wait for a line of its output that holds `text`, and return the first one."""
        with self._written:
            assert self._written.wait_for(lambda: any(text in line for line in self.output), DEADLINE), self.output
            return next(line for line in self.output if text in line)

    def status(self, name: str) -> int:
        """Return a figure of the process by the kernel's name for it (proc_pid_status(5)); memory is in KiB."""
        assert self.process is not None
        found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])

    def sign_up(self, username: str) -> "Account":
        answer = requests.post(
            f"{self.url}/api/v1/sign_up",
            json={"username": username, "password": PASSWORD, "token": True},
            timeout=DEADLINE,
        )
        assert answer.status_code == 201, answer.text
        return Account(self, username, answer.json()["token"])

    def sign_in(self, username: str) -> "Account":
        """Open a further session of an existing user."""
        credentials = {"username": username, "password": PASSWORD, "token": True}
        answer = requests.post(f"{self.url}/api/v1/sign_in", json=credentials, timeout=DEADLINE)
        assert answer.status_code == 200, answer.text
        return Account(self, username, answer.json()["token"])

    def _read(self, process: "subprocess.Popen[str] | Forked", ready: "queue.SimpleQueue[str | None]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._written:
                self.output.append(line)
                self._written.notify_all()
            if line.startswith("Ready on "):
                ready.put(line.strip())
        ready.put(None)


class Account:
    """A signed-in user, over HTTP and over Socket.IO."""

    def __init__(self, server: Server, username: str, token: str) -> None:
        self.server = server
        self.username = username
        self.token = token
        self.headers = {"Authorization": f"Bearer {token}"}
        self._tabs: list[Tab] = []

    def http(self, verb: str, **payload: Any) -> requests.Response:
        return requests.post(f"{self.server.url}/api/v1/{verb}", json=payload, headers=self.headers, timeout=DEADLINE)

    def open_tab(self, transports: list[str] | None = None) -> "Tab":
        tab = Tab(self, transports)
        self._tabs.append(tab)
        return tab

    def close(self) -> None:
        for tab in self._tabs:
            tab.close()


class _OneByOne(engineio.Client):
    """A client that handles messages in order; the stock client starts a thread for each, and threads overtake each
    other.
    """

    def _trigger_event(self, event: str, *args: Any, **options: Any) -> Any:
        return super()._trigger_event(event, *args, **{**options, "run_async": False})


class _Client(socketio.Client):
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _OneByOne


class Tab:
    """A stock Socket.IO client; keeps every event until a test asks for it."""

    def __init__(self, account: Account, transports: list[str] | None = None) -> None:
        self.account = account
        self.heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        # websocket-client's UTF-8 check takes half a second per MiB, and the client answers no ping meanwhile; decoding
        # the text checks it as well
        self.client = _Client(reconnection=False, websocket_extra_options={"skip_utf8_validation": True})
        self.client.on("*", lambda event, data: self.heard.put((event, data)))
        self.client.on("disconnect", lambda reason: self.heard.put(("disconnect", reason)))
        self.client.connect(
            account.server.url, auth={"token": account.token}, transports=transports, wait_timeout=DEADLINE
        )

    def call(self, verb: str, **payload: Any) -> dict[str, Any]:
        """Call a verb and return its acknowledgement."""
        return self.client.call(verb, payload, timeout=DEADLINE)

    def send(self, verb: str, **payload: Any) -> None:
        """Call a verb without waiting for the answer."""
        self.client.emit(verb, payload)

    def next(self, event: str) -> Any:
        """Return the next event of this name, and skip earlier events of other names."""
        while True:
            name, data = self.heard.get(timeout=DEADLINE)
            if name == event:
                return data

    def close(self) -> None:
        self.client.disconnect()
        self.client.shutdown()


_names = itertools.count(1)


def fresh_name(prefix: str = "user") -> str:
    """Return a username that this run has not used yet."""
    return f"{prefix}{next(_names)}"


class Wire:
    """A tab that sends and reads raw packets in the order in which they come; no client library reorders them."""

    def __init__(self, account: Account, transport: str) -> None:
        self._transport = TRANSPORTS[transport](HttpClient(account.server.url, timeout=DEADLINE))
        self._waiting: list[str] = []
        assert self.receive().startswith("0")
        self.send("40" + json.dumps({"token": account.token}))
        assert self.receive().startswith("40")

    def send(self, *packets: str) -> None:
        """Send Engine.IO packets, together if the transport can."""
        self._transport.send(packets)

    def receive(self) -> str:
        """Return the next Engine.IO packet; answer and skip pings. Raises ConnectionLost."""
        while True:
            if not self._waiting:
                self._waiting = self._transport.receive()
            packet = self._waiting.pop(0)
            if packet != "2":
                return packet
            self.send("3")

    def close(self) -> None:
        self._transport.close()
