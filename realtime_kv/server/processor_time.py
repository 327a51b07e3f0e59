"""Processor time of one request: what its greenlet has used, without what others used while it waited.

`Hub.wait` pauses the meter of the current greenlet. Reading a body and sending an answer are not metered.
"""

from collections.abc import Callable, Iterable
from time import thread_time
from typing import Any

import greenlet  # type: ignore[import-untyped]

# where a request's environ keeps its processor time, in seconds
PROCESSOR_TIME = "realtime_kv.processor_time"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Meter:
    """Adds up processor time between `start` and `stop`."""

    __slots__ = ("_began", "seconds")

    def __init__(self) -> None:
        self._began = 0.0
        self.seconds = 0.0

    def start(self) -> None:
        """Count from now on."""
        self._began = thread_time()

    def stop(self) -> None:
        """Count no more until the next `start`."""
        self.seconds += thread_time() - self._began


def current_meter() -> Meter | None:
    """Return the meter of this greenlet, if it has one."""
    return getattr(greenlet.getcurrent(), "meter", None)


def metered(app: Wsgi) -> Wsgi:
    """Return `app`, with the processor time of each call stored in its environ."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        meter = Meter()
        # no variable for the greenlet: the traceback of a refusal would keep it, and all it holds, until a collection
        greenlet.getcurrent().meter = meter
        meter.start()
        try:
            return app(environ, start_response)
        finally:
            meter.stop()
            greenlet.getcurrent().meter = None
            environ[PROCESSOR_TIME] = meter.seconds

    return wsgi
