"""A server of several workers with the real supervisor and transport, and the smallest possible application.

`python -m tests.server.echo_workers '{"workers": 2, "folder": …}'` is the supervisor; it prints the port. Further
options: `max_silent_ticks` (of the supervisor), `http_cap` (connections of an address), `exit_when_ready` (each worker
exits with this code), `fails_if` (a worker exits at its start if this file exists).

Events: `echo` returns its argument and the number of the worker; `hang` blocks the event loop for ever. Over HTTP,
every path returns the number of the worker and the body. A request with `stats=` in its query returns figures of the
worker that answers it; a `sid` under `/socket.io/` decides which one that is.
"""

import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import eventlet
import socketio
from eventlet import event

from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.engineio import server as transport
from realtime_kv.realtime.engineio.server import Limits, ack_frame
from realtime_kv.server import http_server
from realtime_kv.server.admission import Admission
from realtime_kv.server.eventlet_runtime import EventletRuntime
from realtime_kv.server.http_server import ConnectionLimiter
from realtime_kv.server.listening import listen
from realtime_kv.server.workers import supervisor
from realtime_kv.server.workers.link import WorkerArguments
from realtime_kv.server.workers.supervisor import Supervisor
from realtime_kv.server.workers.worker import Worker


class EchoGateway:
    def __init__(self, number: int) -> None:
        self.engine: transport.EngineIOServer
        self._number = number

    def receive(self, eio_sid, ack_id, body):
        name, *arguments = json.loads(body)
        if name == "hang":
            time.sleep(3600)
        if ack_id is not None:
            answer = {"worker": self._number, "sid": eio_sid, "data": arguments[0]}
            self.engine.send(eio_sid, [ack_frame(ack_id, json.dumps(answer).encode())])

    def flush(self):
        pass

    def account(self, eio_sid):
        return None

    def credential(self, eio_sid):
        return None

    def busy(self, eio_sid):
        return False

    def used(self, eio_sid, seconds):
        pass

    def pause(self, eio_sid):
        return 0.0


def serve(options: dict, arguments: WorkerArguments) -> int:
    if Path(options.get("fails_if", "/nothing")).exists():
        return 4
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hub = EventletRuntime()
    told = event.Event()

    def tell():
        if not told.ready():
            told.send()

    signal.signal(signal.SIGTERM, lambda *_: hub.deliver(tell))
    worker = Worker(arguments, socket.socket(fileno=arguments.listener), hub, tell)
    server = socketio.Server(async_mode="eventlet", cors_allowed_origins="*")
    server.on("connect", lambda sid, environ, auth: None)
    gateway = EchoGateway(worker.number)
    limit_log = LimitLog(lambda: 0)
    engine = transport.EngineIOServer(server, gateway, Limits(ping_interval=5), hub, worker.number)
    gateway.engine = engine
    echo = socketio.WSGIApp(server, lambda environ, start: answer(environ, start, 200, environ["wsgi.input"].read()))
    admission = Admission(
        hub,
        lambda environ: environ["REMOTE_ADDR"],
        lambda _: "",
        None,
        limit_log,
        connections_per_network=options.get("http_cap"),
        connections=19_500,
    )

    def answer(environ, start, status, body):
        start(f"{status} OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body) + 4))])
        return [b"%03d " % worker.number + body]

    def app(environ, start):
        if "stats=" not in environ.get("QUERY_STRING", ""):
            return echo(environ, start)
        figures = {
            "worker": worker.number,
            "pid": os.getpid(),
            "sessions": engine.count,
            "websockets": engine.open_websockets,
            "connections": admission.connections,
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        }
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(figures).encode()]

    limiter = ConnectionLimiter(admission, (), worker.hand_over)
    for source in (worker.listener, worker.hand_over):
        http_server.start(source, app, limiter, max_connections=20_000, keep_alive_seconds=15)
    worker.ready(lambda: admission.connections + engine.count)
    if "exit_when_ready" in options:
        os._exit(options["exit_when_ready"])
    told.wait()
    if worker.is_retiring:
        worker.hand_over_connections(admission)
    engine.close_all()
    deadline = time.monotonic() + 5
    while (engine.count or engine.open_websockets) and time.monotonic() < deadline:
        eventlet.sleep(0.02)
    if worker.is_retiring:
        worker.close(admission)
    return 0


def supervise(options: dict) -> int:
    supervisor.MAX_SILENT_TICKS = options.get("max_silent_ticks", supervisor.MAX_SILENT_TICKS)
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "tests.server.echo_workers", json.dumps(options)]
    return Supervisor(command, listener, options["workers"], Path(options["folder"])).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    given = json.loads(sys.argv[1])
    sys.exit(serve(given, WorkerArguments.decode(sys.argv[2])) if len(sys.argv) > 2 else supervise(given))
