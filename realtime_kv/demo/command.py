"""`python3 run.py demo`: a page where devices write, are cut off and see their server killed, and miss nothing.

It runs a server with a scratch user in a temporary folder, a proxy for each device that can be cut, a Python client
that watches, and a small web server of its own for the page, which outlives the server that is killed.
"""

import secrets
import shutil
import signal
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path
from types import FrameType

from realtime_kv.demo.proxy import CuttableProxy
from realtime_kv.demo.server_process import ServerProcess
from realtime_kv.demo.watcher import ReplicaWatcher
from realtime_kv.demo.web import DemoServer
from realtime_kv_client import HttpClient

__all__ = ["main"]

DEVICES = ("Laptop", "Phone", "Tablet")


def main(port: int, seconds: float, *, once: bool, browser: bool) -> int:
    """Run the demo until stopped, or with `once` until the page has ended once; return 1 for a bad result."""
    folder = Path(tempfile.mkdtemp(prefix="realtime_kv-demo-"))
    signal.signal(signal.SIGTERM, _stop)
    stage = DemoServer(port, seconds)
    server = ServerProcess(folder, origin=stage.url)
    proxies: list[CuttableProxy] = []
    watcher: ReplicaWatcher | None = None
    try:
        print("Starting a server with a scratch user …", flush=True)
        server.start()
        token = _sign_up(server.url)
        proxies = [CuttableProxy(name, server.port) for name in DEVICES]
        watcher = ReplicaWatcher(server.url, token)
        stage.open(server, proxies, watcher, token)
        print(f"Watch it on {stage.url}   (Ctrl+C ends it)", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=(stage.url,), daemon=True).start()
        return _watch(stage, once=once)
    except KeyboardInterrupt:
        return 0
    finally:
        stage.close()
        for proxy in proxies:
            proxy.close()
        if watcher is not None:
            watcher.close()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _watch(stage: DemoServer, *, once: bool) -> int:
    while True:
        outcome = stage.wait()
        print(outcome.sentence, flush=True)
        if once:
            return 0 if outcome.good else 1


def _sign_up(url: str) -> str:
    name, password = f"demo-{secrets.token_hex(3)}", secrets.token_urlsafe(24)
    answer = HttpClient(url).post("sign_up", {"username": name, "password": password, "token": True})
    token: str = answer["token"]
    return token


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
