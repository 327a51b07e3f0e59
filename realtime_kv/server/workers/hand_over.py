"""Hand-over of TCP connections between workers: a request of a session reaches the worker that has the session.

Invariants:
1. A connection is handed over between two requests only, after at most the first line of the next one has been read.
2. All bytes that were read travel with it, so the other worker goes on as if it had accepted it.
3. A connection that cannot be handed over stays, and its request is answered here: the session is unknown.

Each worker has a Unix socket of the type SEQPACKET in a folder that only this user can open. A message is one zero byte
and the bytes that were read; the descriptor of the connection is its ancillary data (SCM_RIGHTS).
"""

import array
import contextlib
import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

import eventlet
from eventlet import greenio, hubs
from eventlet.queue import LightQueue

from realtime_kv.realtime.engineio.handshake import sid_prefix, worker_of

log = logging.getLogger(__name__)

# the longest message; a connection of which more has been read is not handed over. The kernel allows some 200 KiB
MESSAGE_BYTES = 176 * 1024
# how long a worker may take to receive a connection, and how often this is tried
SEND_SECONDS = 5.0
RETRY_SECONDS = 0.01
# connections received that wait to be served; further ones wait in the socket, and then in the other worker
WAITING = 64
BACKLOG = 128


class HandOver:
    """Sends connections to other workers, and receives theirs: `accept` returns these, as a listening socket does."""

    family = socket.AF_UNIX

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        # the worker that takes over every connection that belongs to no session of this one
        self.successor: int | None = None
        # requests in progress that are not of a session
        self.requests = 0
        self._own = f"sid={sid_prefix(number)}".encode()
        self._received: LightQueue = LightQueue(WAITING)
        self._peers: dict[int, socket.socket] = {}
        self._sources: set[socket.socket] = set()
        # names a file in the folder by a short path: a Unix address has 107 bytes, however deep the folder is
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._path = folder / f"{number}.sock"
        self._path.unlink(missing_ok=True)
        self._listener = _unix_socket()
        self._listener.bind(self._address(number))
        self._listener.listen(BACKLOG)
        eventlet.spawn_n(self._accept_sources)

    # sending

    def is_own(self, line: bytes) -> bool:
        """Return True if the request with this first line is of a session of this worker."""
        return self._own in line

    def target(self, line: bytes) -> int | None:
        """Return the worker that is to answer the request with this first line, if it is another one."""
        if b"sid=" in line and not self.is_own(line):
            return worker_of(line) or self.successor
        return self.successor if b"sid=" not in line else None

    def send(self, connection: greenio.GreenSocket, early: bytes, target: int) -> bool:
        """Hand the connection over and close it here; `early` was read from it. Return False if that fails."""
        message = b"\0" + early
        if len(message) > MESSAGE_BYTES:
            return False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection.fileno()]))]
        deadline = time.monotonic() + SEND_SECONDS
        while True:
            peer = self._peers.get(target)
            try:
                (peer or self._connect(target)).sendmsg([message], rights, socket.MSG_DONTWAIT)
            except BlockingIOError:
                # its queue is full
                if time.monotonic() > deadline:
                    return False
                eventlet.sleep(RETRY_SECONDS)
            except OSError:
                # perhaps another process has that number now
                with contextlib.suppress(KeyError):
                    self._peers.pop(target).close()
                if peer is None:
                    return False
            else:
                # only this descriptor: the connection itself goes on
                os.close(connection.fd.detach())
                return True

    def _connect(self, target: int) -> socket.socket:
        peer = _unix_socket()
        try:
            peer.connect(self._address(target))
        except OSError:
            peer.close()
            raise
        self._peers[target] = peer
        return peer

    def _address(self, number: int) -> str:
        return f"/proc/self/fd/{self._folder}/{number}.sock"

    # receiving, as eventlet's WSGI server calls it

    def accept(self) -> tuple[greenio.GreenSocket, Any]:
        """Return the next connection that another worker has handed over; its bytes read there are in `early`."""
        connection: tuple[greenio.GreenSocket, Any] = self._received.get()
        return connection

    def getsockname(self) -> str:
        return str(self._path)

    def close(self) -> None:
        """Refuse further connections; those that are already in a queue are still received."""
        if self._listener.fileno() < 0:
            return
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            while True:
                self._add_source(self._listener.accept()[0])
        hubs.notify_close(self._listener.fileno())
        self._listener.close()
        for source in self._sources:
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RD)

    @property
    def is_drained(self) -> bool:
        """True if no received connection waits to be served, after `close`."""
        return not self._sources and self._received.empty()

    def _accept_sources(self) -> None:
        while self._listener.fileno() >= 0:
            try:
                self._add_source(self._listener.accept()[0])
                continue
            except BlockingIOError:
                pass
            except OSError as error:
                log.warning("another worker could not connect: %s", error)
                eventlet.sleep(RETRY_SECONDS)
            # fails when the socket is closed
            with contextlib.suppress(OSError):
                hubs.trampoline(self._listener, read=True)

    def _add_source(self, source: socket.socket) -> None:
        source.setblocking(False)
        self._sources.add(source)
        eventlet.spawn_n(self._receive, source)

    def _receive(self, source: socket.socket) -> None:
        """Receive the connections that one other worker hands over."""
        try:
            while True:
                try:
                    data, rights, _, _ = source.recvmsg(
                        MESSAGE_BYTES, socket.CMSG_SPACE(4), socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                    )
                except BlockingIOError:
                    hubs.trampoline(source, read=True)
                    continue
                if not data:
                    return
                connection = _open(data[1:], rights)
                if connection is not None:
                    self._received.put(connection)
        except OSError as error:
            log.info("another worker's connection was lost: %s", error)
        finally:
            self._sources.discard(source)
            source.close()


def _unix_socket() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    # the kernel bounds it further
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    return sock


def _open(early: bytes, rights: list[tuple[int, int, bytes]]) -> tuple[greenio.GreenSocket, Any] | None:
    """Return the received connection and the address of its peer; None if the peer has gone."""
    if not rights:
        # this process has reached its limit of open files
        log.warning("a connection that another worker handed over could not be opened")
        return None
    descriptor = array.array("i", rights[0][2])[0]
    hubs.notify_opened(descriptor)
    inner = socket.socket(fileno=descriptor)
    try:
        address = inner.getpeername()
    except OSError:
        inner.close()
        return None
    connection = greenio.GreenSocket(inner)
    connection.early = early
    return connection, address
