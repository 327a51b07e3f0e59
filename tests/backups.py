"""Back up a server under load and restore every backup: `python -m tests.backups 100`.

Every user has one writer, so their history is known write by write. A restored backup must equal that history at some
moment between the beginning and the end of the copy: all revisions up to one, and nothing of the next.
"""

import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from realtime_kv.server import control_socket
from tests.live_server import Account, Server

USERS = 3
KEYS = 40
# writes of each user before a backup begins, and after it has ended
LEAST = 25

History = list[dict[str, int]]


class Writer:
    """A user who writes two keys at a time without a pause, and records the content of every revision."""

    def __init__(self, account: Account) -> None:
        self.account = account
        # the writes by revision; the first `acknowledged` of them have been answered
        self.history: History = []
        self.acknowledged = 0
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._grown = threading.Condition()
        self._thread: threading.Thread

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def wait_for(self, more: int) -> None:
        wanted = self.acknowledged + more
        with self._grown:
            assert self._grown.wait_for(lambda: self.acknowledged >= wanted or self.failure, timeout=60)

    def state_at(self, revision: int) -> dict[str, int]:
        state: dict[str, int] = {}
        for write in self.history[:revision]:
            state.update(write)
        return state

    def _write(self) -> None:
        try:
            while not self._stop.is_set():
                n = len(self.history) + 1
                write = {f"a{n % KEYS}": n, f"b{n % KEYS}": n}
                self.history.append(write)
                ops = [{"op": "set", "key": key, "value": value} for key, value in write.items()]
                answer = self.account.http("batch", ops=ops).json()
                assert answer["revision"] == n, answer
                with self._grown:
                    self.acknowledged = n
                    self._grown.notify_all()
        except BaseException as error:  # raised again in stop()
            self.failure = error


def order(server: Server, name: str, **arguments: Any) -> dict[str, Any]:
    answer = control_socket.ask(server.data_dir, name, arguments, lambda _: None)
    assert answer is not None
    return answer


def play(server: Server, writers: list[Writer], file: Path) -> None:
    """Make one backup while all writers write, and restore it."""
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.wait_for(LEAST)
    before = [writer.acknowledged for writer in writers]
    order(server, "backup", file=str(file))
    after = [len(writer.history) for writer in writers]
    for writer in writers:
        writer.wait_for(LEAST)
        writer.stop()
    tabs = [writer.account.open_tab() for writer in writers]
    ahead = [tab.call("sync") for tab in tabs]
    order(server, "restore", file=str(file))
    for tab in tabs:
        assert tab.next("disconnect")
    for writer, least, most, seen in zip(writers, before, after, ahead, strict=True):
        tab = writer.account.open_tab()
        synced = tab.call("sync", epoch=seen["epoch"], since=seen["revision"])
        revision = synced["revision"]
        assert synced["reset"] is True
        assert synced["epoch"] != seen["epoch"]
        assert least <= revision <= most < seen["revision"], (least, revision, most, seen["revision"])
        state = {op["key"]: op["value"] for write in synced["writes"] for op in write["ops"]}
        assert state == writer.state_at(revision)
        tab.close()
        # the restore discarded the later revisions
        del writer.history[revision:]
        writer.acknowledged = revision
    file.unlink()
    for copy in (server.data_dir / "backups").glob("before-restore-*"):
        copy.unlink()


def campaign(folder: Path, rounds: int) -> int:
    """Play `rounds` rounds on one server, and return the number of revisions that the last backup held."""
    server = Server(folder / "data").start()
    try:
        writers = [Writer(server.sign_up(f"user{n}")) for n in range(USERS)]
        for n in range(rounds):
            play(server, writers, folder / f"{n}.db")
        return sum(writer.acknowledged for writer in writers)
    finally:
        server.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        count = int(sys.argv[1])
        print(f"{count} backups restored, of {campaign(Path(scratch), count)} revisions in the end: all true")
