"""Run commands without two seconds of imports: a process that has imported everything forks one on request.

The child runs the same command as `python -m realtime_kv.cli`, in a process of its own. `python -m tests.fork_server`
is the parent: it takes requests on a Unix socket until the test process, connected to descriptor 0, has ended.
"""

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from realtime_kv.cli import main as cli

ROOT = Path(__file__).resolve().parent.parent
# seconds; long, so that a busy machine is not taken for a hang
DEADLINE = 90


class Forked:
    """A running command: the part of `subprocess.Popen` that tests use.

    Its stderr goes to `stdout`, unless `files` are its descriptors 0, 1 and 2.
    """

    def __init__(
        self, arguments: list[str], *, cwd: Path, env: dict[str, str], files: Sequence[IO[Any]] | None = None
    ) -> None:
        """Start `realtime_kv.cli` with these arguments."""
        self._order = socket.socket(socket.AF_UNIX)
        self._order.connect(_parent())
        order = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env}).encode()
        head = len(order).to_bytes(4, "big")
        if files is not None:
            socket.send_fds(self._order, [head], [file.fileno() for file in files])
        else:
            reading, writing = os.pipe()
            with Path(os.devnull).open() as nothing:
                socket.send_fds(self._order, [head], [nothing.fileno(), writing, writing])
            os.close(writing)
            self.stdout = os.fdopen(reading, encoding="utf-8")
        self._order.sendall(order)
        self._told = self._order.makefile("r")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout=0.001)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            # a timeout reads nothing from the socket, so a later call can start again
            with selectors.DefaultSelector() as selector:
                selector.register(self._order, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("realtime_kv", timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
            self._order.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(arguments: list[str], *, cwd: Path, env: dict[str, str], typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run `realtime_kv.cli` with these arguments and this input to its end, as `subprocess.run` does."""
    with contextlib.ExitStack() as stack:
        given, out, err = files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
        given.write(typed)
        given.seek(0)
        code = Forked(arguments, cwd=cwd, env=env, files=files).wait(DEADLINE)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


@cache
def _parent() -> str:
    """Start this test process's parent of servers if necessary, and return its address."""
    address = str(Path(tempfile.mkdtemp(prefix="fork-server-")) / "orders")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "EVENTLET_NO_GREENDNS": "yes"}
    # the pipe is closed whenever this process ends, for any reason
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.fork_server", address],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    _parents.append(parent)
    return address


_parents: list["subprocess.Popen[str]"] = []


class _Parent:
    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen()
        self._orders: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._bell, button = socket.socketpair()
        self._bell.setblocking(False)
        button.setblocking(False)
        self._button = button
        signal.set_wakeup_fd(button.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve requests; return when the test process has ended. In a child, exit as its command does."""
        for source in (self._listener, self._bell, sys.stdin):
            self._selector.register(source, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self._listener:
                    self._fork()
                else:
                    self._bell.recv(4096)
                    self._bury()

    def _fork(self) -> None:
        order, _ = self._listener.accept()
        head, descriptors, _, _ = socket.recv_fds(order, 4, 3)
        size = int.from_bytes(head, "big")
        wanted = json.loads(order.recv(size, socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            self._become(order, descriptors, **wanted)
        for descriptor in descriptors:
            os.close(descriptor)
        self._orders[pid] = order
        order.sendall(f"{pid}\n".encode())

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                order = self._orders.pop(pid)
                with contextlib.suppress(OSError):
                    order.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                order.close()

    def _become(
        self, order: socket.socket, descriptors: list[int], arguments: list[str], cwd: str, env: dict[str, str]
    ) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for other in (order, self._listener, self._bell, self._button, *self._orders.values()):
            other.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["realtime_kv", *arguments]
        sys.exit(cli.main(arguments))


if __name__ == "__main__":
    # import everything before the first fork
    for name in (
        "realtime_kv.app",
        "realtime_kv.server.serve",
        "realtime_kv.cli.admin_commands",
        "realtime_kv.doctor.command",
    ):
        importlib.import_module(name)
    _Parent(sys.argv[1]).run()
