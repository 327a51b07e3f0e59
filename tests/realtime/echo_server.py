"""A server with the real transport and the smallest possible gateway, as a process of its own for tests.

Started with a JSON object on the command line: `limits` (fields of Limits), `queue` (how many unanswered events a tab
may have), `deadlines` (of server.http), `http_cap` (connections of an address), `proxies` (the number of proxies whose
`X-Forwarded-For` counts), `budget` (of a TimeBudget). It prints its port.

Events: `echo` returns its argument, `hold` waits for the next `/release`, `push {times, bytes}` sends numbered `news`
back; any other event is answered with `"unknown"`. Over HTTP: `/stats`, `/reset` (forget the recorded events), `/pause`
(every tab, until the next call), `/release`, `/push?times=&bytes=` and `/disconnect` (every tab), `/close` (every
connection); `/length` returns the announced and the actual length of the body. `auth` at connect: `{"slow": true}`
waits for `/release`, `{"fail": "TypeError"}` raises, `{"refuse": true}` refuses.
"""

import json
import logging
import sys
from collections import defaultdict
from functools import partial
from urllib.parse import parse_qs

import socketio

from realtime_kv.concurrency.runtime import Future
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.config import Config
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.engineio import server as transport
from realtime_kv.realtime.engineio.server import Limits, ack_frame, event_frame
from realtime_kv.request import authentication
from realtime_kv.server import http_server
from realtime_kv.server.admission import Admission
from realtime_kv.server.eventlet_runtime import EventletRuntime
from realtime_kv.server.http_server import ConnectionLimiter, Listener
from realtime_kv.server.listening import listen

PATHS = {"/stats", "/reset", "/pause", "/release", "/push", "/disconnect", "/close"}


class EchoGateway:
    def __init__(self, server: socketio.Server, queue: int) -> None:
        self.engine: transport.EngineIOServer
        self.log: list[str] = []
        self.received: dict[str, list] = defaultdict(list)
        self.batches = 0
        self.requests = 0
        self.paused = False
        self._server = server
        self._queue = queue
        self._outgoing: dict[str, list] = defaultdict(list)
        self._held: dict[str, list[int | None]] = defaultdict(list)
        self._release: Future[None] = Future()
        server.on("connect", self.connect)
        server.on("disconnect", self.disconnect)

    def connect(self, sid, environ, auth):
        auth = auth if isinstance(auth, dict) else {}
        self.log.append("connect")
        if auth.get("slow"):
            hub.wait(self._release)
        if auth.get("fail"):
            raise {"TypeError": TypeError, "KeyError": KeyError}[auth["fail"]]("a bug")
        if auth.get("refuse"):
            raise socketio.exceptions.ConnectionRefusedError("unauthenticated", {"code": "unauthenticated"})
        self.log.append("accepted")

    def disconnect(self, sid, reason):
        self.log.append(f"disconnect: {reason}")

    def receive(self, eio_sid, ack_id, body):
        try:
            name, *arguments = json.loads(body)
        except ValueError:
            name, arguments = "broken", []
        self.received[eio_sid].append([name, *arguments])
        if name == "hold":
            self._held[eio_sid].append(ack_id)
        elif name == "push":
            self.push(eio_sid, **arguments[0])
        elif ack_id is not None:
            answer = json.dumps(arguments[0] if name == "echo" else "unknown").encode()
            self._outgoing[eio_sid].append(ack_frame(ack_id, answer))

    def flush(self):
        self.batches += 1
        for eio_sid in list(self._outgoing):
            self.engine.send(eio_sid, self._outgoing.pop(eio_sid))

    def account(self, eio_sid):
        return None

    def credential(self, eio_sid):
        return None

    def busy(self, eio_sid):
        return len(self._held.get(eio_sid, ())) >= self._queue

    def used(self, eio_sid, seconds):
        pass

    def pause(self, eio_sid):
        return 0.01 if self.paused else 0.0

    def push(self, eio_sid, times, bytes):
        filler = "x" * bytes
        for n in range(times):
            self.engine.send(eio_sid, [event_frame("news", json.dumps({"n": n, "filler": filler}).encode())])

    def release(self):
        self._release.resolve(None)
        self._release = Future()
        for eio_sid in list(self._held):
            for ack_id in self._held.pop(eio_sid):
                if ack_id is not None:
                    self.engine.send(eio_sid, [ack_frame(ack_id, b'"released"')])
            self.engine.resume(eio_sid)

    def stats(self):
        return {
            "count": self.engine.count,
            "open_websockets": self.engine.open_websockets,
            "tabs": len(self.engine._joined),
            "log": self.log,
            "received": list(self.received.values()),
            "batches": self.batches,
            "requests": self.requests,
            "limits": sorted((row.limit, row.network, row.count) for row in self.limit_log.recent()),
        }


def main(options: dict) -> None:
    for name, seconds in options.get("deadlines", {}).items():
        setattr(http_server, name, seconds)
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    origins = [f"http://127.0.0.1:{port}", "http://ours.example"]
    server = socketio.Server(async_mode="eventlet", cors_allowed_origins=origins)
    gateway = EchoGateway(server, options.get("queue", 256))
    limit_log = LimitLog(lambda: 0)
    gateway.limit_log = limit_log
    address = partial(authentication.address, config=Config(proxies=options.get("proxies", 0)))
    token = lambda environ: authentication.credentials(environ, Config())[0]  # noqa: E731
    budget = TimeBudget(**options["budget"]) if "budget" in options else None
    limits = Limits(**options.get("limits", {}), address=address, network_budget=budget, limit_log=limit_log)
    gateway.engine = transport.EngineIOServer(server, gateway, limits, hub)

    def control(environ, start_response):
        gateway.requests += 1
        if environ["PATH_INFO"] == "/length":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps([int(environ["CONTENT_LENGTH"]), len(environ["wsgi.input"].read())]).encode()]
        if environ["PATH_INFO"] not in PATHS:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such path"]
        arguments = {name: int(value) for name, [value] in parse_qs(environ.get("QUERY_STRING", "")).items()}
        tabs = sorted(gateway.engine._joined)
        match environ["PATH_INFO"]:
            case "/reset":
                gateway.log.clear()
                gateway.received.clear()
                gateway.limit_log._rows.clear()
            case "/pause":
                gateway.paused = not gateway.paused
            case "/release":
                gateway.release()
            case "/push":
                for eio_sid in tabs:
                    gateway.push(eio_sid, **arguments)
            case "/disconnect":
                for eio_sid in tabs:
                    gateway.push(eio_sid, 1, 0)
                    gateway.engine.disconnect(eio_sid)
            case "/close":
                gateway.engine.close_all()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(gateway.stats()).encode()]

    print(port, flush=True)
    app = socketio.WSGIApp(server, control)
    admission = Admission(
        hub, address, token, budget, limit_log, connections_per_network=options.get("http_cap"), connections=19_500
    )
    limiter = ConnectionLimiter(admission, origins)
    http_server.start(
        Listener(listener), app, limiter, max_connections=20_000, keep_alive_seconds=options.get("keep_alive", 15)
    ).wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    hub = EventletRuntime()
    main(json.loads(sys.argv[1]))
