"""The demo's web server: serves the page and its modules, reports the state, and executes the page's commands."""

import json
import mimetypes
import queue
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from realtime_kv import static_assets
from realtime_kv.demo.proxy import CuttableProxy
from realtime_kv.demo.server_process import ServerProcess
from realtime_kv.demo.watcher import ReplicaWatcher

ROOT = Path(__file__).resolve().parent.parent.parent
STATIC = ROOT / "static"
PAGE = ROOT / "templates" / "demo.html"
# the proxies listen on ports of this machine
POLICY = "; ".join(
    (
        "default-src 'self'",
        "connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
CUT_SECONDS = 2.5
BODY_BYTES = 65536


@dataclass(frozen=True)
class Outcome:
    """The final result that the page reports."""

    changes: int
    missed: int
    equal: int
    devices: int
    kills: int
    cuts: int

    @property
    def good(self) -> bool:
        return self.missed == 0 and self.equal == self.devices and self.changes > 0

    @property
    def sentence(self) -> str:
        """The result, as the page words it."""
        changes = f"{self.changes:,}".replace(",", " ")
        return (
            f"{changes} changes, {self.missed} missed, digest equal on {self.equal} devices"
            f"{'' if self.equal == self.devices else f' of {self.devices}'}"
            f" (server kills: {self.kills}, cut connections: {self.cuts})"
        )


class DemoServer:
    """A web server for the page, on the loopback interface only."""

    def __init__(self, port: int, seconds: float) -> None:
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._seconds = seconds
        self._state: dict[str, Any] = {}
        stage = self

        class Handler(_Handler):
            def tell(self) -> dict[str, Any]:
                return stage.tell()

            def act(self, order: dict[str, Any]) -> None:
                stage.act(order)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        Handler.own_host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{Handler.own_host}"

    def open(self, server: ServerProcess, proxies: list[CuttableProxy], watcher: ReplicaWatcher, token: str) -> None:
        """Start serving the page."""
        self._process, self._proxies, self._watcher, self._token = server, proxies, watcher, token
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving the page."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()

    def wait(self) -> Outcome:
        """Wait for the result of the page."""
        while True:
            try:
                # with a timeout, so that Ctrl+C is handled
                return self._outcomes.get(timeout=0.5)
            except queue.Empty:
                continue

    def tell(self) -> dict[str, Any]:
        """Return the state that the page shows."""
        return {
            "seconds": self._seconds,
            "token": self._token,
            "server": {"pid": self._process.pid, "kills": self._process.kills},
            "proxies": [
                {"name": proxy.name, "url": proxy.url, "cut": proxy.is_cut, "cuts": proxy.cuts}
                for proxy in self._proxies
            ],
            "watcher": self._watcher.shown,
        }

    def act(self, order: dict[str, Any]) -> None:
        """Execute a command: `kill` the server, `cut` a device's proxy, or take the result. Raises ValueError."""
        match order:
            case {"do": "kill"}:
                threading.Thread(target=self._process.kill, daemon=True).start()
            case {"do": "cut", "device": int(device)} if 0 <= device < len(self._proxies):
                seconds = order.get("seconds", CUT_SECONDS)
                self._proxies[device].cut(min(30.0, float(seconds)))
            case {"do": "end", "changes": int(changes), "missed": int(missed), "equal": int(equal),
                  "devices": int(devices)}:  # fmt: skip
                cuts = sum(proxy.cuts for proxy in self._proxies)
                self._outcomes.put(Outcome(changes, missed, equal, devices, self._process.kills, cuts))
            case _:
                raise ValueError("no such command")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    own_host = ""

    def tell(self) -> dict[str, Any]:
        raise NotImplementedError

    def act(self, order: dict[str, Any]) -> None:
        raise NotImplementedError

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        # refuses a foreign name that is made to point here (DNS rebinding)
        if self.headers.get("Host") != self.own_host:
            self.send_error(HTTPStatus.BAD_REQUEST, "This is not a host name of the demo.")
            return False
        return True

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            self._send_file(PAGE)
        elif path == "/stage":
            self._send(HTTPStatus.OK, "application/json", json.dumps(self.tell()).encode())
        elif path.startswith("/static/"):
            self._send_file(_file(path.removeprefix("/static/")))
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"There is nothing here.")

    def do_POST(self) -> None:
        # only the demo's own page may send commands: for this type, a page of another site needs a CORS preflight
        if self.headers.get("Content-Type") != "application/json":
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "text/plain", b"Orders are JSON.")
            return
        try:
            length = min(BODY_BYTES, int(self.headers.get("Content-Length", 0)))
            self.act(json.loads(self.rfile.read(length)))
        except (ValueError, TypeError):
            self._send(HTTPStatus.BAD_REQUEST, "text/plain", b"There is no such command.")
            return
        self._send(HTTPStatus.OK, "application/json", b"{}")

    def log_message(self, format: str, *_: Any) -> None:
        """Log nothing: the terminal is for the result."""

    def _send_file(self, file: Path | None) -> None:
        if file is None or not file.is_file():
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such file.")
            return
        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
        self._send(HTTPStatus.OK, kind or "application/octet-stream", file.read_bytes())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)


def _file(name: str) -> Path | None:
    """Return the file that is served under `/static/`; it must not lead out of its folder."""
    if name.startswith("js/vendor/"):
        return static_assets.path(name.removeprefix("js/vendor/"))
    file = (STATIC / name).resolve()
    return file if file.is_relative_to(STATIC) else None
