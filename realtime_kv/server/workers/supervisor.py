"""Supervisor: starts the workers of a server on one listening socket, replaces those that end, and stops all of them.

Invariants:
1. A connection that the kernel has accepted waits for a worker, whichever workers end: the supervisor keeps the socket.
2. No two running workers have the same number; a number is used again only once its worker has ended.
3. A worker is replaced by request only after its successor serves.

Signals: SIGTERM and SIGINT stop all workers; SIGHUP replaces them one after another. The supervisor imports neither
eventlet nor Flask.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from realtime_kv.config import Config
from realtime_kv.server import logs
from realtime_kv.server.data_lock import StartupError, lock_data, require_database
from realtime_kv.server.listening import listen
from realtime_kv.server.workers.connection_counts import ConnectionCounts
from realtime_kv.server.workers.link import MESSAGE_BYTES, READY, RETIRE, WorkerArguments

log = logging.getLogger(__name__)

FOLDER = "workers"
TICK_SECONDS = 1.0
# Periods are counted in ticks, not by a clock: a machine that was suspended has no worker that hangs.
# After the watchdog has logged a blocked event loop and its stack (after 10 seconds), the worker is killed.
MAX_LATE_TICKS = 2
MAX_SILENT_TICKS = 15
MAX_STOP_TICKS = 15
MAX_RETIRE_TICKS = 40
# a worker that ends sooner after it became ready counts as failed, and its successor starts later each time
STABLE_SECONDS = 10.0
MAX_RESTART_SECONDS = 30.0


def main(config: Config, command: Sequence[str]) -> int:
    """Run `config.workers` workers until told to stop; return the exit code. `command` starts a worker."""
    logs.to_standard_error()
    os.umask(0o077)
    if sys.platform != "linux":
        # sockets of the type SEQPACKET, and short names of their addresses under /proc
        sys.stderr.write("Several workers need Linux. Set RKV_WORKERS to 1.\n")
        return 1
    try:
        lock = lock_data(config)
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with lock:
        try:
            require_database(config)
            listener = listen(config.host, config.port)
        except StartupError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        return Supervisor(command, listener, config.workers, config.data_dir / FOLDER).run()


class _Worker:
    """A running worker. `place` is the one of the N places that it fills."""

    def __init__(self, number: int, place: int, process: "subprocess.Popen[bytes]", link: socket.socket) -> None:
        self.number = number
        self.place = place
        self.process = process
        self.link = link
        self.ready_at: float | None = None
        # the worker that is to retire once this one is ready
        self.replaces: _Worker | None = None
        self.retiring = False
        # ticks since its last beat, and until it is killed
        self.silent = 0
        self.ticks_left: int | None = None

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process.pid})"

    def kill_after(self, ticks: int) -> None:
        """Kill it if it has not ended by then."""
        self.ticks_left = ticks


class Supervisor:
    """Runs `count` workers. `command` starts one; the encoded WorkerArguments are appended to it."""

    def __init__(self, command: Sequence[str], listener: socket.socket, count: int, folder: Path) -> None:
        """`folder` is for the workers' sockets, and used by no other server."""
        self._command = command
        self._listener = listener
        self._folder = folder.absolute()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._folder.iterdir():
            left.unlink()
        self._counts = ConnectionCounts(self._folder)
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        # when a worker is to be started, by place; the first one alone, because it prepares the database
        self._due: dict[int, float] = {0: time.monotonic()}
        self._others = range(1, count)
        self._failures = [0] * count
        self._to_replace: list[_Worker] = []
        self._has_served = False
        self._stop_requested = self._reload_requested = self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Run the workers until told to stop; return the exit code."""
        self._catch_signals()
        next_tick = time.monotonic() + TICK_SECONDS
        while True:
            for key, _ in self._selector.select(max(0.0, next_tick - time.monotonic())):
                if key.data is None:
                    os.read(key.fd, 4096)
                else:
                    self._read(key.data)
            if self._stop_requested and not self._stopping:
                self._stop()
            self._reap()
            if self._stopping and not self._workers:
                return self._exit_code
            if not self._stopping:
                self._reload()
                self._start_due()
            if time.monotonic() >= next_tick:
                # not made up for: ticks without time to read the beats in between prove nothing
                next_tick = time.monotonic() + TICK_SECONDS
                self._tick()

    def _catch_signals(self) -> None:
        bell, button = os.pipe()
        for descriptor in (bell, button):
            os.set_blocking(descriptor, False)
        self._selector.register(bell, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(button, warn_on_full_buffer=False)

        def request_stop(*_: object) -> None:
            self._stop_requested = True

        def request_reload(*_: object) -> None:
            self._reload_requested = True

        signal.signal(signal.SIGTERM, request_stop)
        signal.signal(signal.SIGINT, request_stop)
        signal.signal(signal.SIGHUP, request_reload)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    # starting

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in [place for place, due in self._due.items() if due <= now]:
            del self._due[place]
            if self._start(place) is None:
                self._schedule(place)

    def _start(self, place: int) -> _Worker | None:
        used = {worker.number for worker in self._workers}
        number = next(number for number in range(1, len(used) + 2) if number not in used)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = self._listener.fileno(), theirs.fileno()
        arguments = WorkerArguments(number, *descriptors, str(self._folder), place, first=not self._has_served)
        try:
            # a process group of its own: signals of a terminal reach the supervisor only
            process = subprocess.Popen([*self._command, arguments.encode()], pass_fds=descriptors, process_group=0)
        except OSError as error:
            ours.close()
            log.error("worker %d could not be started: %s", number, error)
            return None
        finally:
            theirs.close()
        ours.setblocking(False)
        worker = _Worker(number, place, process, ours)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _schedule(self, place: int) -> float:
        """Schedule the start of a worker after a failure; return in how many seconds."""
        self._failures[place] += 1
        delay = min(2.0 ** (self._failures[place] - 1), MAX_RESTART_SECONDS)
        self._due[place] = time.monotonic() + delay
        return delay

    def _read(self, worker: _Worker) -> None:
        while True:
            try:
                message = worker.link.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                # it ends; SIGCHLD tells when
                self._selector.unregister(worker.link)
                worker.link.close()
                return
            worker.silent = 0
            if message == READY:
                self._on_ready(worker)

    def _on_ready(self, worker: _Worker) -> None:
        worker.ready_at = time.monotonic()
        sys.stdout.write(f"Worker {worker.number} is process {worker.process.pid}\n")
        sys.stdout.flush()
        if not self._has_served:
            self._has_served = True
            self._due.update(dict.fromkeys(self._others, worker.ready_at))
        if worker.replaces is not None:
            self._retire(worker.replaces, worker)
            worker.replaces = None

    # ending

    def _reap(self) -> None:
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            self._workers.remove(worker)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(worker.link)
            worker.link.close()
            self._counts.remove(worker.number)
            self._on_exit(worker, worker.process.returncode)

    def _on_exit(self, worker: _Worker, code: int) -> None:
        how = f"exited with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        successor = next((other for other in self._workers if other.replaces is worker), None)
        if self._stopping:
            if code not in {0, -signal.SIGTERM}:
                log.error("%s %s while it stopped", worker, how)
                self._exit_code = 1
        elif worker.retiring:
            if code != 0:
                log.error("%s %s while it retired", worker, how)
        elif successor is not None:
            successor.replaces = None
            log.error("%s %s; worker %d, which is starting, takes its place", worker, how, successor.number)
        elif worker.replaces is not None:
            self._to_replace.clear()
            log.error("%s %s before it was ready, so no further worker is replaced", worker, how)
        elif not self._has_served:
            # it has said why: the server cannot start
            self._exit_code = code if code > 0 else 1
            self._stop()
        else:
            if worker.ready_at is not None and time.monotonic() - worker.ready_at >= STABLE_SECONDS:
                self._failures[worker.place] = 0
                self._due[worker.place] = time.monotonic()
                log.error("%s %s; another one starts", worker, how)
            else:
                log.error("%s %s; another one starts in %d s", worker, how, self._schedule(worker.place))

    def _retire(self, worker: _Worker, successor: _Worker) -> None:
        worker.retiring = True
        worker.kill_after(MAX_RETIRE_TICKS)
        try:
            worker.link.send(RETIRE + str(successor.number).encode())
        except OSError:
            worker.process.terminate()

    def _stop(self) -> None:
        self._stopping = True
        for worker in self._workers:
            worker.process.terminate()
            worker.kill_after(MAX_STOP_TICKS)

    def _reload(self) -> None:
        """Replace the next worker if a reload is under way, and no worker is being replaced."""
        if self._reload_requested:
            self._reload_requested = False
            self._to_replace = [worker for worker in self._workers if not worker.retiring]
        if not self._to_replace or any(worker.retiring or worker.replaces for worker in self._workers):
            return
        worker = self._to_replace.pop(0)
        if worker in self._workers and worker.ready_at is not None:
            successor = self._start(worker.place)
            if successor is not None:
                successor.replaces = worker

    def _tick(self) -> None:
        for worker in self._workers:
            if worker.ready_at is not None:
                worker.silent += 1
                if worker.silent > MAX_LATE_TICKS:
                    # the others do not wait for it to accept connections; a beat later it is back
                    self._counts.remove(worker.number)
                if worker.silent > MAX_SILENT_TICKS:
                    log.error("%s hangs: its event loop is blocked for %d s; it is killed", worker, worker.silent)
                    worker.process.kill()
                    worker.silent = 0
            if worker.ticks_left is not None:
                worker.ticks_left -= 1
                if worker.ticks_left == 0:
                    log.error("%s did not stop in time; it is killed", worker)
                    worker.process.kill()
