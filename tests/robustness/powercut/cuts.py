"""Repeated cuts on the same disk: the server starts on the state that the last cut left, takes writes, loses power."""

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realtime_kv_client import ClientError, HttpClient, Replica
from tests.live_server import DEADLINE, Server
from tests.robustness.powercut.disk import Disk, write_out
from tests.robustness.powercut.inspection import DATABASE, Finding, inspect
from tests.robustness.powercut.layer import Mains, build
from tests.robustness.powercut.ledger import Ledger
from tests.robustness.powercut.load import Load, text

# then a new disk: this cuts first starts as well, and keeps the inspection quick
CUTS_OF_A_DISK = 10
# at most this many calls between the beginning of the load and the cut
CALLS = 12_000
POWERLESS = -signal.SIGKILL


@dataclass
class Tally:
    """The results of all cuts."""

    cuts: int = 0
    cuts_at_start: int = 0
    cuts_at_stop: int = 0
    cuts_in_checkpoint: int = 0
    cuts_with_unsynced: int = 0
    acknowledged: int = 0
    disks: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)


class Cuts:
    """One run; `launcher` starts the server in another way than the product's."""

    def __init__(
        self,
        seed: int,
        *,
        launcher: Path | None = None,
        calls: int = CALLS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.tally = Tally()
        self._chance = random.Random(seed)
        self._launcher = launcher
        self._calls = calls
        self._say = say

    def run(self, count: int) -> Tally:
        """Make `count` cuts."""
        with tempfile.TemporaryDirectory(prefix="realtime_kv-powercut-") as name:
            folder = Path(name)
            library = build(folder)
            while self.tally.cuts < count:
                root = folder / "disk"
                _make_anew(root)
                ledger = Ledger()
                for _ in range(min(CUTS_OF_A_DISK, count - self.tally.cuts)):
                    self._cut(library, root, ledger)
        return self.tally

    def _cut(self, library: Path, root: Path, ledger: Ledger) -> None:
        before, tally = ledger.acknowledged, self.tally
        disk = Disk(root)
        with Mains(library, root, root.parent / "log") as mains:
            moment = self._until_the_power_goes(mains, root, ledger)
            disk.replay(mains.records())
        # the log is complete: with everything kept, it yields exactly the files on the disk
        real = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for name, content in disk.everything().items():
            assert name.endswith("-shm") or real.pop(name) == content, f"the layer has missed something of {name}"
        assert all(name.endswith("-shm") for name in real), f"the layer has missed {[*real]}"
        tally.cuts += 1
        tally.cuts_at_start += moment == "while starting"
        tally.cuts_at_stop += moment == "while stopping"
        tally.cuts_in_checkpoint += disk.unsynced(f"data/{DATABASE}")
        tally.cuts_with_unsynced += disk.unsynced(f"data/{DATABASE}-wal") or disk.unsynced(f"data/{DATABASE}")
        acknowledged = ledger.acknowledged - before
        tally.acknowledged += acknowledged
        for words in ledger.users.values():
            # a server that stops accepts no more writes
            if moment != "while stopping":
                tally.problems += [f"{words.username} was refused a write: {refusal}" for refusal in words.refusals]
            words.refusals.clear()
        finding = self._inspect_disks(disk, root, ledger)
        self._say(
            f"cut {tally.cuts}: {moment}, "
            f"{acknowledged} writes acknowledged since the last one, {finding.lost_count} lost"
        )

    def _until_the_power_goes(self, mains: Mains, root: Path, ledger: Ledger) -> str:
        """Start, write and perhaps stop, until the power goes; return the moment at which it went."""
        server = Server(root / "data", launcher=self._launcher, **mains.environ)
        try:
            if self._chance.random() < 0.15:
                mains.lasts(self._chance.randrange(1, 120))
            try:
                server.start()
            except AssertionError:
                self._check_the_end(server, {POWERLESS})
                return "while starting"
            mains.lasts(0)
            self._compare_online(server, ledger)
            if self._chance.random() < 0.15:
                self._write_and_stop(server, mains, ledger)
                # the server may have stopped before the cut
                self._check_the_end(server, {POWERLESS, 0})
                return "while stopping"
            mains.lasts(self._moment())
            self._write(server, ledger)
            self._check_the_end(server, {POWERLESS})
            return "under load"
        finally:
            server.close()

    def _write(self, server: Server, ledger: Ledger) -> None:
        for thread in Load(server.url, ledger, self._chance).begin():
            thread.join(4 * DEADLINE)

    def _write_and_stop(self, server: Server, mains: Mains, ledger: Ledger) -> None:
        """Cut the power while the server finishes, flushes everything and removes its write-ahead log."""
        enough = ledger.acknowledged + self._chance.randrange(1, self._calls // 10)
        threads = Load(server.url, ledger, self._chance).begin()
        while ledger.acknowledged < enough and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
        assert server.process is not None
        mains.lasts(int(10 ** self._chance.uniform(0, 3)))
        server.process.terminate()
        for thread in threads:
            thread.join(4 * DEADLINE)

    def _moment(self) -> int:
        if self._chance.random() < 0.15:
            return self._chance.randrange(1, 200)
        return self._chance.randrange(self._calls // 4, self._calls)

    def _check_the_end(self, server: Server, codes: set[int]) -> None:
        assert server.process is not None
        code = server.process.wait(DEADLINE)
        said = "".join(server.output)
        if code not in codes or any(word in said for word in ("Traceback", " ERROR ", " CRITICAL ")):
            self.tally.problems.append(f"The server ended by itself ({code}): {said}")

    def _inspect_disks(self, disk: Disk, root: Path, ledger: Ledger) -> Finding:
        """Inspect several disks that this cut may have left; go on with one of them, the worst if any lost a write."""
        images = [disk.after_cut()]
        images += [disk.torn_by_cut(self._chance, keep, sector) for keep, sector in ((0.5, 512), (0.9, 4096))]
        # mapped memory may contain anything after a cut
        images = [
            {name: self._chance.randbytes(len(data)) if name.endswith("-shm") else data for name, data in image.items()}
            for image in images
        ]
        findings = [self._inspect(image, root.with_name("after"), ledger) for image in images]
        goes_on = self._chance.randrange(len(images))
        goes_on = max(range(len(images)), key=lambda n: (findings[n].lost_count, n == goes_on))
        # the server gets it untouched, because recovery is its task
        _make_anew(root)
        write_out(images[goes_on], root)
        self._go_on(findings[goes_on], ledger)
        return findings[goes_on]

    def _inspect(self, image: dict[str, bytes], folder: Path, ledger: Ledger) -> Finding:
        _make_anew(folder)
        write_out(image, folder)
        finding = inspect(folder / "data", ledger)
        self.tally.disks += 1
        self.tally.problems += finding.problems
        return finding

    def _go_on(self, finding: Finding, ledger: Ledger) -> None:
        """Count the losses of this disk, and stop expecting the lost writes."""
        self.tally.lost += finding.lost_count
        for username in finding.lost_accounts:
            del ledger.users[username]
        for username, words in ledger.users.items():
            words.entries = finding.entries[username]
            for revision in finding.lost[username]:
                del words.acknowledged[revision]

    def _compare_online(self, server: Server, ledger: Ledger) -> None:
        """Check that the restarted server reports the same content to every user."""
        site = HttpClient(server.url)
        for words in ledger.users.values():
            replica = Replica()
            request: dict[str, Any] | None = replica.position()
            try:
                while request is not None:
                    page = site.post("sync", request, words.token)
                    request = replica.take(page)
            except ClientError as trouble:
                if server.process is not None and server.process.poll() is not None:
                    return
                self.tally.problems.append(f"{words.username} cannot read: {trouble}")
                continue
            if not replica.proves(page):
                self.tally.problems.append(f"{words.username}: the digest is not that of the entries.")
            told = {key: (revision, text(value)) for key, (revision, value) in replica.entries.items()}
            if told != words.entries:
                self.tally.problems.append(f"{words.username} is told something else than what is on the disk.")


def _make_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
