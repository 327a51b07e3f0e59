"""Runtime on eventlet's event loop: deliveries from any thread run on the event loop's thread, in bursts."""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import eventlet
from eventlet import hubs
from eventlet.hubs import epolls

from realtime_kv.concurrency.runtime import Future, Handle
from realtime_kv.errors import Unavailable
from realtime_kv.server.processor_time import current_meter

log = logging.getLogger(__name__)

T = TypeVar("T")

# limits of one round: this many sockets (eventlet takes up to 1023, which is 0.1 s when they all hang up at once), and
# deliveries for this long; the rest follows in the next round
SOCKETS_A_ROUND = 64
DELIVERY_SECONDS = 0.005


class EventletRuntime:
    """Implements the core's Runtime; created on the thread that is to run the event loop."""

    def __init__(self) -> None:
        self._hub = hubs.get_hub()
        if isinstance(self._hub, epolls.Hub):
            poll = self._hub.poll
            self._hub.do_poll = lambda seconds: poll.poll(seconds, SOCKETS_A_ROUND)
        self._wait_for_sockets = self._hub.wait
        self._hub.wait = self._wait_for_anything
        self._thread = threading.get_ident()
        self._deliveries: deque[Callable[[], None]] = deque()
        self._after: list[Callable[[], None]] = []
        # greenlets whose futures have come out in this burst of deliveries
        self._resumed: list[list[Any]] = []
        self._delivering = False
        self._signalled = False
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._hub.add(self._hub.READ, self._bell.fileno(), self._on_bell, lambda *_: None, None)

    def start_thread(self, fn: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=fn, name=name, daemon=True)
        thread.start()
        return thread

    def deliver(self, fn: Callable[[], None]) -> None:
        self._deliveries.append(fn)
        if not self._signalled:
            self._signalled = True
            self._button.send(b"!")

    def after_delivery(self, fn: Callable[[], None]) -> None:
        self._after.append(fn)

    def wait(self, future: Future[T], timeout: float | None = None) -> T:
        """Wait for the future's result: on the event loop's thread only the greenlet blocks.

        Raises Unavailable after `timeout` seconds.
        """
        if threading.get_ident() != self._thread:
            came_out = threading.Event()
            self.deliver(lambda: future.then(lambda _: came_out.set()))
            came_out.wait(timeout)
        elif not future.done:
            if eventlet.getcurrent() is self._hub.greenlet:
                raise RuntimeError("the hub itself must not wait")
            # empty once it goes on, which a timeout may cause as well
            waiting = [eventlet.getcurrent()]
            future.then(lambda _: self._came_out(waiting))
            meter = current_meter()
            if meter is not None:
                meter.stop()
            try:
                with eventlet.Timeout(timeout, False):
                    self._hub.switch()
            finally:
                waiting.clear()
            if meter is not None:
                meter.start()
        if not future.done:
            raise Unavailable()
        return future.result()

    def _came_out(self, waiting: list[Any]) -> None:
        # a greenlet goes on at the end of the burst of deliveries; by an eventlet event it would one round later
        if self._delivering:
            self._resumed.append(waiting)
        else:
            self._hub.schedule_call_global(0, _resume, waiting)

    def call_later(self, seconds: float, fn: Callable[[], None]) -> Handle:
        later = _Later(fn)
        if threading.get_ident() == self._thread:
            later.start(self._hub, seconds)
        else:
            self.deliver(lambda: later.start(self._hub, seconds))
        return later

    def _wait_for_anything(self, seconds: float | None = None) -> None:
        # among many ready sockets, the one that signals deliveries may have to wait for a later round
        if self._deliveries:
            self._run_deliveries()
            seconds = 0
        self._wait_for_sockets(seconds)

    def _on_bell(self, _fd: int) -> None:
        self._bell.recv(4096)
        # cleared before the queue is read, so that every later delivery signals again
        self._signalled = False
        self._run_deliveries()

    def _run_deliveries(self) -> None:
        deliveries = self._deliveries
        if not deliveries:
            return
        enough = time.monotonic() + DELIVERY_SECONDS
        self._delivering = True
        for _ in range(len(deliveries)):
            _run(deliveries.popleft())
            if time.monotonic() > enough:
                break
        for fn in self._after:
            _run(fn)
        self._delivering = False
        resumed, self._resumed = self._resumed, []
        for waiting in resumed:
            _run(partial(_resume, waiting))


class _Later:
    """A scheduled call that can be cancelled on the event loop's thread."""

    __slots__ = ("_fn", "_timer")

    def __init__(self, fn: Callable[[], None]) -> None:
        self._fn: Callable[[], None] | None = fn
        self._timer: Any = None

    def start(self, hub: Any, seconds: float) -> None:
        if self._fn is not None:
            self._timer = hub.schedule_call_global(seconds, _run, self._fn)

    def cancel(self) -> None:
        self._fn = None
        if self._timer is not None:
            self._timer.cancel()


def _resume(waiting: list[Any]) -> None:
    if waiting:
        waiting.pop().switch()


def _run(fn: Callable[[], None]) -> None:
    try:
        fn()
    except Exception:
        log.exception("a delivery failed")
