"""Server process: real threads for the core, one eventlet event loop for everything that waits for the network.

Invariants:
1. Nothing is monkey-patched: `threading`, `queue` and `time` are the real ones, so blocking code needs a real thread.
2. The event loop's thread never blocks.
3. Every request has a deadline.
4. A stop loses nothing that was accepted.
"""

import ctypes
import dataclasses
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import Any, NoReturn

# no name is resolved on the event loop; eventlet's own resolver costs 0.3 s at every start
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")

import eventlet
from eventlet import event
from flask import Flask

from realtime_kv import control_api
from realtime_kv.app import create_app
from realtime_kv.concurrency import switch_interval
from realtime_kv.concurrency.runtime import Future, Runtime, repeat
from realtime_kv.config import Config
from realtime_kv.core.backend import own_error
from realtime_kv.errors import Refusal, Unavailable
from realtime_kv.request import authentication
from realtime_kv.server import http_server, interfaces, logs
from realtime_kv.server.admission import Admission
from realtime_kv.server.control_socket import ControlSocket
from realtime_kv.server.data_lock import StartupError, lock_data, mark, require_database
from realtime_kv.server.eventlet_runtime import EventletRuntime
from realtime_kv.server.http_server import ConnectionLimiter, Listener
from realtime_kv.server.listening import listen
from realtime_kv.server.processor_time import metered
from realtime_kv.server.watchdog import Watchdog
from realtime_kv.server.workers.link import WorkerArguments
from realtime_kv.server.workers.worker import Worker, processor_of
from realtime_kv.services import Services
from realtime_kv.storage.backends import errors
from realtime_kv.storage.migrations.copies import NoRoom
from realtime_kv.storage.migrations.runner import NewerDatabase
from realtime_kv.storage.sqlite.connections import NotDurable
from realtime_kv.storage.sqlite.files.damage import Damaged, advice, is_damage
from realtime_kv.storage.sqlite.files.disk_reserve import is_disk_full

log = logging.getLogger(__name__)

DRAIN_SECONDS = 7.0
CLOSE_SECONDS = 1.0
CONNECTIONS = 20_000
# when fewer than this many are free, an idle connection is closed for each new one
SPARE_CONNECTIONS = 500


def main(config: Config, worker: WorkerArguments | None = None) -> int:
    """Serve until told to stop; return the exit code. `worker`: a supervisor has started this process."""
    logs.to_standard_error()
    # only this user may read the database, the secret key and the backups, whatever the folder's permissions
    os.umask(0o077)
    # the event loop never waits long for the writer, and the two do not pass the lock back and forth all the time
    sys.setswitchinterval(switch_interval.USUAL_SECONDS)
    _raise_file_limit()
    _return_large_blocks()
    if worker is not None:
        # the supervisor has the lock of the data and the listening socket
        return _run(config, socket.socket(fileno=worker.listener), worker)
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
        return _run(config, listener, None)


def _run(config: Config, listener: socket.socket, worker: WorkerArguments | None) -> int:
    """Open the database and serve; the data is locked."""
    # with port 0, our origins are known only now
    config = dataclasses.replace(config, port=listener.getsockname()[1])
    hub = EventletRuntime()
    failures: tuple[type[Exception], ...] = (*errors(config), OSError)
    try:
        app = create_app(
            config, hub, on_fatal=partial(fail_stop, config), worker=None if worker is None else worker.number
        )
        mark(config)
    except (Damaged, NewerDatabase, NoRoom, NotDurable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except failures as error:
        if config.postgres_url is not None:
            sys.stderr.write(f"Cannot start: {own_error(error)}\n")
            return 1
        if not is_disk_full(error):
            if is_damage(error):
                sys.stderr.write(f"The database {config.database_path} is damaged. {advice(config.data_dir)}\n")
                return 1
            raise
        sys.stderr.write(
            f"Cannot start: the disk that holds {config.data_dir} is full. Make some MiB of room there, and start "
            "again; then `purge` gives back what it can.\n"
        )
        return 1
    if worker is None or worker.first:
        _warn_of_root()
    _tune_gc(hub)
    store = app.extensions["realtime_kv"].store
    # identity requests are short, and must not wait for a processor that others have made busy
    identity = [thread.native_id for thread in store.identity.threads]
    processor = None if worker is None else processor_of(worker.processor)
    pin_to_one_cpu(threading.get_native_id(), store.writer.thread_id, *identity, processor=processor)
    return serve(app, config, hub, listener, worker)


def serve(
    app: Flask, config: Config, hub: EventletRuntime, listener: socket.socket, arguments: WorkerArguments | None = None
) -> int:
    """Serve `app` until SIGTERM or SIGINT, then stop without losing anything."""
    told: event.Event = event.Event()

    def tell() -> None:
        if not told.ready():
            told.send()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: hub.deliver(tell))
    if arguments is not None:
        # it is the supervisor that replaces workers
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    services: Services = app.extensions["realtime_kv"]
    worker = None if arguments is None else Worker(arguments, listener, hub, tell)
    admission = Admission(
        hub,
        partial(authentication.address, config=config),
        lambda environ: authentication.credentials(environ, config)[0],
        services.network_budget,
        services.limit_log,
        # behind proxies, every connection comes from one of the proxies
        connections_per_network=config.connections_per_address if config.rate_limits and not config.proxies else None,
        connections=CONNECTIONS - SPARE_CONNECTIONS,
    )
    limiter = ConnectionLimiter(admission, config.origins, None if worker is None else worker.hand_over)
    sources: list[Any] = [Listener(listener)] if worker is None else [worker.listener, worker.hand_over]
    serving = [
        http_server.start(
            source,
            metered(app),
            limiter,
            max_connections=CONNECTIONS,
            keep_alive_seconds=config.keep_alive_seconds,
        )
        for source in sources
    ]
    watchdog = Watchdog(hub, threading.get_ident(), config.data_dir)
    services.gauges.append(watchdog.metrics)
    watchdog.start()
    control = ControlSocket(
        config.data_dir,
        hub,
        partial(control_api.carry_out, services),
        number=None if worker is None else worker.number,
    )
    if arguments is None or arguments.first:
        sys.stdout.write(f"Ready on {config.listening_url}\n")
        for line in interfaces.other_addresses(config):
            sys.stdout.write(f"{line}\n")
        _offer_setup(services)
        sys.stdout.flush()
    if worker is not None:
        engine = app.extensions["socketio"].server.eio
        worker.ready(lambda: admission.connections + engine.count + services.streams.count)
    told.wait()
    control.close()
    if worker is not None and worker.is_retiring:
        worker.hand_over_connections(admission)
    _stop(app, hub)
    if worker is not None and worker.is_retiring:
        worker.close(admission)
    for greenlet in serving:
        eventlet.kill(greenlet)
    listener.close()
    return 0


def _offer_setup(services: control_api.ControlServices) -> None:
    """Print a URL that makes the first superuser, if there is none; a failure does not stop the server."""
    try:
        setup = control_api.setup_address(services)
    except Refusal as refusal:
        sys.stdout.write(
            f"There is no superuser yet, and a setup link could not be stored: {refusal.message} Free some disk "
            "space and start again, or use create-admin.\n"
        )
    else:
        if setup is not None:
            sys.stdout.write(
                f"There is no superuser yet. This link creates one; it can be used once, within a day:\n{setup}\n"
            )


def fail_stop(config: Config, error: BaseException) -> NoReturn:
    """Exit at once: storage has failed in a way that makes every further acknowledgement a guess."""
    if is_damage(error):
        log.critical(
            "The database %s is damaged (%s), so the server stops; nothing is acknowledged any more. %s",
            config.database_path,
            getattr(error, "orig", None) or error,
            advice(config.data_dir),
        )
    else:
        log.critical("the storage failed, so the server stops: %r", error)
    os._exit(1)


def _warn_of_root() -> None:
    if os.geteuid() == 0:
        sys.stderr.write(
            "Warning: The server runs as root and needs no privileges: a fault in it would expose the whole machine. "
            "Run it as a user of its own that owns the data folder.\n"
        )


def _raise_file_limit() -> None:
    """Raise the limit of open files: each tab is an open file, and the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else hard, hard))
    except (OSError, ValueError):
        log.warning("the limit of open files could not be raised")


def _return_large_blocks() -> None:
    """Return the memory of a password hash (19 MiB) to the system as soon as it is freed.

    glibc raises its threshold for that with the first large block that is freed, and then keeps one such block for each
    thread: 38 MiB for nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_mmap_threshold = -3
        mallopt(m_mmap_threshold, 1 << 20)


def pin_to_one_cpu(*threads: int | None, processor: int | None = None) -> None:
    """Pin the threads of the event loop, the writer and identity requests to one processor, by default the current one.

    The interpreter lock lets only one of them run at a time, and each reads data that another has just written. On two
    processors this data and the lock move from cache to cache, which costs a tenth to a fifth of a write. Readers
    and password hashes run mostly without the lock, so they may use every processor.
    """
    current = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    if current is None or not hasattr(os, "sched_setaffinity"):
        return
    processor = current() if processor is None else processor
    try:
        for thread in threads:
            if thread is not None:
                os.sched_setaffinity(thread, {processor})
    except (OSError, ValueError):
        log.warning("the threads could not be kept on one processor")


def _tune_gc(runtime: Runtime) -> None:
    """Collect reference cycles some thousand objects at a time: a thousand tabs that connect at once create many.

    Existing objects stay and are excluded from collection. A full collection takes time in proportion to the number
    of tabs (0.1 s for ten thousand). It therefore runs every few minutes, and sooner only if much may be garbage (a
    refusal can keep alive the connection being opened) and, Python's own rule, a quarter of the objects is new.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(4_000, 4, 25)
    repeat(runtime, 150, gc.collect)


def _stop(app: Flask, hub: EventletRuntime) -> None:
    """Notify the tabs, finish queued work, close. Polls go on meanwhile to fetch the last acknowledgements."""
    services = app.extensions["realtime_kv"]
    engine = app.extensions["socketio"].server.eio
    services.gateway.announce_restart()
    stopped: Future[None] = Future()

    def stop_services() -> None:
        try:
            services.stop()
        finally:
            hub.deliver(lambda: stopped.resolve(None))

    # on a thread: stopping waits for the services' threads, and these wait for the event loop
    hub.start_thread(stop_services, "stop")
    try:
        hub.wait(stopped, DRAIN_SECONDS)
    except Unavailable:
        log.error("the store did not stop in time")
    engine.close_all()
    services.streams.close_all()
    deadline = time.monotonic() + CLOSE_SECONDS
    while (engine.count or engine.open_websockets or services.streams.count) and time.monotonic() < deadline:
        eventlet.sleep(0.02)
