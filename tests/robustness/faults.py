"""Faults injected into the server while tabs are at work. Each fault proves that it happened before it is counted."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import requests

from tests.live_server import DEADLINE, Account, Server
from tests.robustness.failpoints import POINTS
from tests.robustness.sabotage import Setup

HOUR = 3_600_000
DISK_BYTES = 48 * 1024 * 1024
PAUSE_SECONDS = 0.4
PURGE_KEEPS = 10
LAUNCHER = Path(__file__).with_name("sabotage.py")


class NotHappened(AssertionError):
    """A fault could not be proved."""


class Faults:
    """A server with fault injection. `counts` has the number of proved faults, by name."""

    def __init__(self, folder: Path, seed: str, *, sabotage: str = "", every: int = 1, page_bytes: int = 0) -> None:
        self._random = random.Random(seed)
        # the path of a Unix socket must be short
        self._orders = f"/tmp/rkv-{os.getpid()}-{id(self):x}"
        self._proofs = folder / "proofs"
        self._disk = folder / "disk"
        self._disk.mkdir()
        self._mounted = _mount(self._disk)
        setup = Setup(
            orders=self._orders, proofs=str(self._proofs), sabotage=sabotage, every=every, page_bytes=page_bytes
        )
        self.server = Server(
            self._disk / "data",
            launcher=LAUNCHER,
            ROBUSTNESS=msgspec.json.encode(setup).decode(),
            # the disk is small, and has to fill up
            RKV_DISK_RESERVE="0",
        ).start()
        self._probe: Account = self.server.sign_up("probe")
        self.counts: Counter[str] = Counter()

    def close(self) -> None:
        self.server.close()
        Path(self._orders).unlink(missing_ok=True)
        if self._mounted:
            subprocess.run(["umount", str(self._disk)], check=True)

    def inject(self, name: str) -> None:
        """Inject one of FAULTS; return when it is over and proved. Raises NotHappened."""
        FAULTS[name](self)
        self.counts[name] += 1

    def kill(self) -> None:
        """SIGKILL the server at an arbitrary moment, and start it again."""
        self.server.kill()
        self.server.start()

    def stop_and_go_on(self) -> None:
        """SIGSTOP, and SIGCONT a little later."""
        process = self._process
        process.send_signal(signal.SIGSTOP)
        try:
            self._wait(lambda: process.status() == psutil.STATUS_STOPPED, "the server to be stopped")
            time.sleep(PAUSE_SECONDS)
        finally:
            process.send_signal(signal.SIGCONT)

    def jump_clock(self) -> None:
        """Move the server's clock by up to six hours, back or forth."""
        offset = self._random.randrange(-6 * HOUR, 6 * HOUR)
        told = self._order("jump", offset=offset)["now"]
        if abs(told - offset - time.time() * 1000) > HOUR / 60:
            raise NotHappened("the clock did not jump")

    def fill_disk(self) -> None:
        """Fill the disk for a while: a small file system or, where none can be mounted, a limit on the file."""
        with self._full():
            self._wait(lambda: self._probe_set() == 503, "a write to be refused")
            time.sleep(PAUSE_SECONDS)
        if self.server.process.poll() is not None:
            # after an I/O error with an uncertain outcome the server stops at once, by design
            self.counts["stopped by a full disk"] += 1
            self.server.start()
        self._wait(lambda: self._probe_set() == 200, "a write to be accepted again")

    def purge(self) -> None:
        """Purge deleted keys and the change log, except for the last few revisions."""
        if not self._order("purge", keep=PURGE_KEEPS)["removed"]:
            raise NotHappened("there was nothing to purge")

    def reach(self, point: str, action: str) -> None:
        """Kill or pause the writer at `point`."""
        self._order("arm", point=point, action=action, after=self._random.randrange(1, 20), seconds=PAUSE_SECONDS / 2)
        proof = f"{point}:{action}"
        before = self.counts[proof]
        self._wait(lambda: self._count_proofs(proof) > before, proof)
        if action == "kill":
            self.server.process.wait(DEADLINE)
            self.server.start()

    @property
    def alive(self) -> bool:
        return self.server.process.poll() is None

    @property
    def _process(self) -> psutil.Process:
        return psutil.Process(self.server.process.pid)

    def _order(self, order: str, **fields: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(self._orders)
            with connection.makefile("rw") as lines:
                lines.write(json.dumps({"order": order, **fields}) + "\n")
                lines.flush()
                # empty if the order killed the server before it could answer
                return json.loads(lines.readline() or "{}")

    @contextlib.contextmanager
    def _full(self) -> Iterator[None]:
        if not self._mounted:
            self._order("fill", pages=4)
            yield
            if self.alive:
                self._order("fill", pages=0)
            return
        ballast = self._disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        try:
            yield
        finally:
            ballast.unlink()

    def _probe_set(self) -> int:
        """Return the status of a write that needs room. No tab watches the account that it uses."""
        value = "x" * 60_000
        with contextlib.suppress(requests.ConnectionError):
            return self._probe.http("set", key=f"{self._random.randrange(100)}", value=value).status_code
        return 503

    def _count_proofs(self, proof: str) -> int:
        return self._proofs.read_text().split().count(proof) if self._proofs.exists() else 0

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not holds():
            if time.monotonic() > deadline:
                raise NotHappened(f"waited for {what}")
            time.sleep(0.005)


FAULTS: dict[str, Callable[[Faults], None]] = {
    "kill": Faults.kill,
    "stop": Faults.stop_and_go_on,
    "clock": Faults.jump_clock,
    "disk full": Faults.fill_disk,
    "purge": Faults.purge,
    **{
        f"{point}:{action}": lambda faults, point=point, action=action: faults.reach(point, action)
        for point in POINTS
        for action in ("kill", "pause")
    },
}


def _mount(folder: Path) -> bool:
    """Mount a small file system at `folder`; return whether that worked."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0
