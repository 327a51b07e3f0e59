"""Link between the supervisor and a worker: a socket pair of which each has one end.

The worker sends READY once it serves, then BEAT every second from its event loop. The supervisor sends RETIRE with the
number of the worker that takes over. The end of the connection tells the worker that the supervisor has ended.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from realtime_kv.concurrency.runtime import Runtime, repeat

READY = b"ready"
BEAT = b"beat"
RETIRE = b"retire "
MESSAGE_BYTES = 64
BEAT_SECONDS = 1.0
# a worker whose event loop does not stop this long after its supervisor has ended exits at once
ORPHAN_SECONDS = 30.0


@dataclass(frozen=True)
class WorkerArguments:
    """What a worker is started with. `number` is that of no other running worker; `listener`, `link`: descriptors."""

    number: int
    listener: int
    link: int
    # the folder of the workers' sockets
    folder: str
    # index of the processor that its event loop runs on, modulo the number of processors
    processor: int
    # the first worker of a server prints the server's addresses
    first: bool

    def encode(self) -> str:
        """Return the text that the command line of the worker contains."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the arguments in the text from `encode`."""
        return cls(**json.loads(text))


class WorkerLink:
    """The worker's end. `on_stop` and `on_retire` are called on the event loop."""

    def __init__(
        self, descriptor: int, runtime: Runtime, on_stop: Callable[[], None], on_retire: Callable[[int], None]
    ) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._runtime = runtime
        self._on_stop = on_stop
        self._on_retire = on_retire
        runtime.start_thread(self._listen, "supervisor")

    def ready(self) -> None:
        """Tell the supervisor that this worker serves, and prove from now on that its event loop runs."""
        self._send(READY)
        repeat(self._runtime, BEAT_SECONDS, lambda: self._send(BEAT))

    def _send(self, message: bytes) -> None:
        # a full socket has beats enough that the supervisor has not read so far
        with contextlib.suppress(OSError):
            self._socket.send(message, socket.MSG_DONTWAIT)

    def _listen(self) -> None:
        while message := self._receive():
            if message.startswith(RETIRE):
                successor = int(message.removeprefix(RETIRE))
                self._runtime.deliver(lambda successor=successor: self._on_retire(successor))  # type: ignore[misc]
        self._runtime.deliver(self._on_stop)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(MESSAGE_BYTES)
        except OSError:
            return b""
