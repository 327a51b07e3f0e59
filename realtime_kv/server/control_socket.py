"""Control socket: runs the command line's commands in the running server, so sessions they end also end in open tabs.

A Unix socket in the data folder, for the folder's owner only. A request is one JSON line, `{"order", "arguments"}`.
The response is `{"progress"}` lines while the command runs, then `{"ok": true, "answer"}` or
`{"ok": false, "error": {code, message}}`. Each connection has a real thread: nothing here touches the event loop.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from realtime_kv.concurrency.runtime import Runtime
from realtime_kv.errors import Refusal, Unavailable

log = logging.getLogger(__name__)

NAME = "control.sock"
WORKER_NAME = "control-{}.sock"
# the longest parts of a command are a password and a path
LINE_BYTES = 64 * 1024
CONNECTIONS = 8
# seconds to wait for the command of a connected client
TIMEOUT_SECONDS = 10.0

Progress = Callable[[str], None]
CarryOut = Callable[[str, Mapping[str, Any], Progress], dict[str, Any]]


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    order: str
    arguments: dict[str, Any] = {}


class ControlError(Exception):
    """The server's error answer to a command that it did not run."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ControlSocket:
    """Listens in a folder that this process, or its supervisor, has locked."""

    def __init__(self, folder: Path, runtime: Runtime, carry_out: CarryOut, *, number: int | None = None) -> None:
        """`number`: that of this process, if the server has several workers."""
        name = NAME if number is None else WORKER_NAME.format(number)
        self._carry_out = carry_out
        self._runtime = runtime
        self._path = folder / name
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # the folder is locked, and no other worker has this number: an existing socket was left by a killed process
        self._path.unlink(missing_ok=True)
        with _address(folder, name) as address:
            self._socket.bind(address)
        self._path.chmod(0o600)
        self._socket.listen(CONNECTIONS)
        runtime.start_thread(self._accept, "control")

    def close(self) -> None:
        """Accept no more commands; the application's services finish the running ones."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._places.acquire(blocking=False):
                self._runtime.start_thread(lambda connection=connection: self._serve(connection), "order")  # type: ignore[misc]
            else:
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        def say(**words: Any) -> None:
            # a client that disconnects does not stop its command
            with contextlib.suppress(OSError):
                connection.sendall(msgspec.json.encode(words) + b"\n")

        try:
            with connection:
                connection.settimeout(TIMEOUT_SECONDS)
                say(**self._answer(_first_line(connection), lambda words: say(progress=words)))
        except OSError:
            log.debug("a client of the control socket has disconnected")
        finally:
            self._places.release()

    def _answer(self, line: bytes, progress: Progress) -> dict[str, Any]:
        try:
            order = msgspec.json.decode(line, type=_Order)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return {"ok": False, "error": {"code": "bad_request", "message": "A command is one line of JSON."}}
        try:
            return {"ok": True, "answer": self._carry_out(order.order, order.arguments, progress)}
        except Refusal as refusal:
            return {"ok": False, "error": {"code": refusal.code, "message": refusal.message}}
        except Exception:
            log.exception("a command failed")
            return {
                "ok": False,
                "error": {"code": "internal", "message": "The command failed. The server's log has the reason."},
            }


def ask(folder: Path, order: str, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any] | None:
    """Return the answer of the server of this folder, or of any of its workers; None if none listens.

    Raises ControlError.
    """
    workers = sorted(path.name for path in folder.glob(WORKER_NAME.format("*")))
    for name in (NAME, *workers):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                with _address(folder, name) as address:
                    connection.connect(address)
            except (FileNotFoundError, ConnectionRefusedError):
                continue
            return _ask(connection, order, arguments, progress)
    return None


def _ask(connection: socket.socket, order: str, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    connection.sendall(msgspec.json.encode({"order": order, "arguments": arguments}) + b"\n")
    with connection.makefile("rb") as lines:
        for line in lines:
            words = msgspec.json.decode(line)
            if "progress" in words:
                progress(words["progress"])
            elif words["ok"]:
                answer: dict[str, Any] = words["answer"]
                return answer
            else:
                raise ControlError(words["error"]["code"], words["error"]["message"])
    gone = Unavailable("The server closed the connection before it answered. Check that it runs, and try again.")
    raise ControlError(gone.code, gone.message)


@contextmanager
def _address(folder: Path, name: str) -> Iterator[str]:
    """Yield a short path of the socket: a Unix address has 107 bytes, however deep the folder is."""
    path = str(folder.absolute() / name)
    if len(os.fsencode(path)) < 100:
        yield path
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)


def _first_line(connection: socket.socket) -> bytes:
    line = b""
    while b"\n" not in line and len(line) <= LINE_BYTES:
        part = connection.recv(LINE_BYTES)
        if not part:
            break
        line += part
    return b"" if len(line) > LINE_BYTES else line.split(b"\n", 1)[0]
