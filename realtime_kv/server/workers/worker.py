"""A worker's part in a server of several: it accepts its share, hands connections over, and retires.

A retiring worker accepts no more, hands idle connections and new requests to its successor, and answers what it has
begun. Requests of its sessions go on to reach it until these have been closed.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eventlet
from eventlet import event, greenio, hubs

from realtime_kv.concurrency.runtime import Runtime, repeat
from realtime_kv.server.admission import Admission
from realtime_kv.server.workers.connection_counts import ConnectionCounts
from realtime_kv.server.workers.hand_over import HandOver
from realtime_kv.server.workers.link import BEAT_SECONDS, WorkerArguments, WorkerLink

log = logging.getLogger(__name__)

# how long a worker with more connections than another one leaves a new one to the others
ACCEPT_DELAY_SECONDS = 0.03
# how soon a pause is noticed
PAUSE_SECONDS = 0.2
# how long requests may go on after their worker was told to retire, and connections after its sessions were closed
REQUEST_SECONDS = 10.0
CLOSE_SECONDS = 1.0


class Worker:
    """This process as one of several workers. `stop` is called on the event loop when it has to stop or retire."""

    def __init__(
        self, arguments: WorkerArguments, listener: socket.socket, runtime: Runtime, stop: Callable[[], None]
    ) -> None:
        for descriptor in (arguments.listener, arguments.link):
            # not for the processes that this one starts
            os.set_inheritable(descriptor, False)
        self.number = arguments.number
        self._runtime = runtime
        self._stop = stop
        self._counts = ConnectionCounts(Path(arguments.folder))
        self._link = WorkerLink(arguments.link, runtime, stop, self._on_retire)
        self.hand_over = HandOver(Path(arguments.folder), self.number)
        self.listener = SharedListener(listener, self._is_ahead)
        self._count: Callable[[], int] = lambda: 0
        self._successor: int | None = None

    @property
    def is_retiring(self) -> bool:
        """True if another worker takes this one's place."""
        return self._successor is not None

    def ready(self, count: Callable[[], int]) -> None:
        """Tell the supervisor that this worker serves. `count` returns the number of its connections."""
        self._count = count
        self._publish()
        repeat(self._runtime, BEAT_SECONDS, self._publish)
        self._link.ready()

    def hand_over_connections(self, admission: Admission) -> None:
        """Accept no more connections, and hand over those without a session; wait for the requests in progress."""
        self.listener.pause()
        self._counts.remove(self.number)
        self.hand_over.successor = self._successor
        admission.move_idle()
        deadline = time.monotonic() + REQUEST_SECONDS
        while self.hand_over.requests and time.monotonic() < deadline:
            eventlet.sleep(0.02)

    def close(self, admission: Admission) -> None:
        """Hand over what is left, after the sessions were closed."""
        self.hand_over.close()
        deadline = time.monotonic() + CLOSE_SECONDS
        while (admission.connections or not self.hand_over.is_drained) and time.monotonic() < deadline:
            eventlet.sleep(0.02)

    def _on_retire(self, successor: int) -> None:
        self._successor = successor
        self._stop()

    def _publish(self) -> None:
        if not self.listener.is_paused:
            self._counts.note(self.number, self._count())

    def _is_ahead(self) -> bool:
        self._publish()
        return self._counts.is_ahead(self.number)


class SharedListener:
    """The listening socket that all workers accept from; for eventlet's WSGI server.

    Each new connection wakes all workers that wait, and the first one takes it: with `EPOLLEXCLUSIVE` the kernel wakes
    the same one again and again, and sockets of their own (`SO_REUSEPORT`) would lose the queue of a worker that ends.
    """

    def __init__(self, sock: socket.socket, is_ahead: Callable[[], bool]) -> None:
        """`is_ahead` returns True if this worker has more connections than another one."""
        sock.setblocking(False)
        self._socket = sock
        self._is_ahead = is_ahead
        self.family = sock.family
        self.is_paused = False

    def accept(self) -> tuple[greenio.GreenSocket, Any]:
        while True:
            if self.is_paused:
                event.Event().wait()
            if self._is_ahead():
                eventlet.sleep(ACCEPT_DELAY_SECONDS)
            try:
                inner, address = self._socket.accept()
            except BlockingIOError:
                self._wait()
                continue
            except OSError as error:
                # the client has gone, or file descriptors have run out: other connections may close in the meantime
                log.info("a connection could not be accepted: %s", error)
                eventlet.sleep(0.05)
                continue
            hubs.notify_opened(inner.fileno())
            inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # the connection before is counted, and connected tabs are served in between
            eventlet.sleep(0)
            return greenio.GreenSocket(inner), address

    def pause(self) -> None:
        """Accept no more, within moments."""
        self.is_paused = True

    def getsockname(self) -> Any:
        return self._socket.getsockname()

    def close(self) -> None:
        self._socket.close()

    def _wait(self) -> None:
        try:
            hubs.trampoline(self._socket, read=True, timeout=PAUSE_SECONDS, timeout_exc=TimeoutError)
        except TimeoutError:
            pass


def processor_of(place: int) -> int | None:
    """Return the processor for the worker of this place; None if processors cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    processors = sorted(os.sched_getaffinity(0))
    return processors[place % len(processors)]
