"""Starts the real server with one defect, or with failpoints, by wrapping its parts from outside.

A script: `sabotage.py serve …` is `realtime_kv serve …`. The environment variable ROBUSTNESS holds the setup as JSON
(`Setup`); later orders come through a Unix socket (failpoints.py). This also checks the checker: each defect has to be
noticed by the guarantee that EXPECTED names.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from realtime_kv.app import create_app
from realtime_kv.cli import main as cli
from realtime_kv.concurrency.runtime import Future
from realtime_kv.core import messages
from realtime_kv.realtime.engineio.server import event_frame
from realtime_kv.server import serve as server
from realtime_kv.services import Services
from realtime_kv.storage.sqlite import reads
from tests.robustness.failpoints import Clock, Orders

# the guarantee that has to notice each defect
EXPECTED = {
    "drop": "gapless",
    "reorder": "ordered",
    "twice": "unique",
    "early_ack": "linearizable",
    "forget": "durable",
    "wrong_room": "isolated",
    "stale_read": "linearizable",
    "retry_applied": "exactly_once",
    "wrong_digest": "bookmarkable",
    "half_pushed": "atomic",
    "half_committed": "atomic",
    "skipping_resume": "resumable",
}


class Setup(msgspec.Struct):
    """The differences between this server and the real one."""

    orders: str = ""
    proofs: str = ""
    sabotage: str = ""
    # one event in this many is broken
    every: int = 1
    # maximum size of a page and of a change: small ones make many pages
    page_bytes: int = 0


class _Every:
    """True once in `every` calls."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0

    def __call__(self) -> bool:
        self._count += 1
        return self._count % self._every == 0


def drop(services: Services, now: _Every) -> None:
    """Drop a change for one tab."""
    send = services.gateway._send
    services.gateway._send = lambda tab, frame: None if _is_change(frame) and now() else send(tab, frame)


def reorder(services: Services, now: _Every) -> None:
    """Send a change to one tab after the next one."""
    send = services.gateway._send
    held: dict[str, Any] = {}

    def send_late(tab: Any, frame: Any) -> None:
        if _is_change(frame) and tab.eio_sid not in held and now():
            held[tab.eio_sid] = frame
            return
        send(tab, frame)
        if _is_change(frame) and tab.eio_sid in held:
            send(tab, held.pop(tab.eio_sid))

    services.gateway._send = send_late


def twice(services: Services, now: _Every) -> None:
    """Send a change to one tab twice."""
    send = services.gateway._send

    def send_twice(tab: Any, frame: Any) -> None:
        send(tab, frame)
        if _is_change(frame) and now():
            send(tab, frame)

    services.gateway._send = send_twice


def early_ack(services: Services, now: _Every) -> None:
    """Acknowledge writes some time before they are committed."""
    committer = services.store.writer._committer
    commit = committer.commit

    def acknowledge_first(writes: list[Any], at: int) -> Any:
        outcomes, committed = commit(writes, at)
        if now():
            for write, outcome in zip(writes, outcomes, strict=True):
                if not isinstance(outcome, Exception):
                    services.runtime.deliver(lambda write=write, outcome=outcome: write.future.resolve(outcome))
            time.sleep(0.2)
        return outcomes, committed

    committer.commit = acknowledge_first


def wrong_room(services: Services, now: _Every) -> None:
    """Send a change to another user's tabs as well."""
    gateway = services.gateway
    push = gateway.push

    def push_wide(committed: Any) -> None:
        push(committed)
        for news in committed:
            strangers = [room for room in gateway._rooms.values() if room.user_id != news.user_id]
            if strangers and now():
                push([replace(news, user_id=strangers[0].user_id)])

    services.store.writer._watchers[:] = [push_wide]


def stale_read(services: Services, now: _Every) -> None:
    """Answer a read with the result of an earlier one."""
    get = services.store.get
    found: dict[Any, Future[Any]] = {}

    def get_stale(caller: Any, key: str) -> Future[Any]:
        future = get(caller, key)
        earlier = found.setdefault((caller.user_id, key), future)
        return earlier if earlier.done and now() else future

    services.store.get = get_stale


def retry_applied(services: Services, now: _Every) -> None:
    """Forget an `op_id`."""
    write = services.store._write

    def write_again(request: Any) -> Future[Any]:
        if now():
            request.op_id = None
        return write(request)

    services.store._write = write_again


def wrong_digest(services: Services, now: _Every) -> None:
    """Flip one bit of a bookmark's digest."""
    send = services.gateway._send

    def send_wrong(tab: Any, frame: Any) -> None:
        if frame.payload.startswith(b'42["bookmark"') and now():
            bookmark = msgspec.json.decode(frame.payload[2:])[1]
            bookmark["digest"] ^= 1
            frame = event_frame("bookmark", msgspec.json.encode(bookmark))
        send(tab, frame)

    # the regular bookmarks, and those after a sync
    services.gateway._send = services.gateway.bookmarks._send = send_wrong


def half_pushed(services: Services, now: _Every) -> None:
    """Push a batch as two writes."""

    def push_halves(committed: Any) -> None:
        services.gateway.push([replace(news, writes=list(halves(news.writes))) for news in committed])

    def halves(writes: Any) -> Any:
        for revision, frame in writes:
            write = msgspec.json.decode(frame)
            ops = write["ops"]
            middle = len(ops) // 2
            if middle and now():
                for part in (ops[:middle], ops[middle:]):
                    yield revision, msgspec.json.encode({**write, "ops": part}).decode()
            else:
                yield revision, frame

    services.store.writer._watchers[:] = [push_halves]


def half_committed(services: Services, now: _Every) -> None:
    """Commit a batch as two writes."""
    batch = services.store.batch

    def batch_twice(caller: Any, ops: Any, *, op_id: str | None = None) -> Future[Any]:
        middle = len(ops) // 2
        if middle and now():
            batch(caller, ops[:middle])
            ops = ops[middle:]
        return batch(caller, ops, op_id=op_id)

    services.store.batch = batch_twice


def skipping_resume(services: Services, now: _Every) -> None:
    """Leave out a few writes when a tab resumes."""
    sync = services.store.sync

    def sync_later(caller: Any, *, since: int | None = None, **rest: Any) -> Future[Any]:
        if since is None or not now():
            return sync(caller, since=since, **rest)
        answer: Future[Any] = Future()
        read = sync(caller, since=since + 3, **rest)
        read.then(lambda _: answer.resolve(replace(read.result(), from_=0 if read.result().reset else since)))
        return answer

    services.store.sync = sync_later


def forget(file: Path) -> None:
    """Remove the last few writes of each user from the file before a start, as if they had never reached the disk."""
    with sqlite3.connect(file) as db:
        db.execute("UPDATE spaces SET revision = max(0, revision - 5)")
        for table in ("entries", "log"):
            left = f"SELECT revision FROM spaces AS s WHERE s.user_id = {table}.user_id"
            db.execute(f"DELETE FROM {table} WHERE revision > ({left})")
    db.close()


SABOTAGES: dict[str, Callable[[Services, _Every], None]] = {
    fn.__name__: fn
    for fn in (
        drop, reorder, twice, early_ack, wrong_room, stale_read, retry_applied, wrong_digest, half_pushed,
        half_committed, skipping_resume,
    )
}  # fmt: skip


def main() -> int:
    setup = msgspec.json.decode(os.environ["ROBUSTNESS"], type=Setup)
    clock = Clock()

    def create(config: Any, runtime: Any, **options: Any) -> Any:
        file = config.data_dir / "realtime_kv.db"
        if setup.sabotage == "forget" and file.exists():
            forget(file)
        app = create_app(config, runtime, clock=clock, **options)
        services = app.extensions["realtime_kv"]
        if setup.sabotage in SABOTAGES:
            SABOTAGES[setup.sabotage](services, _Every(setup.every))
        if setup.orders:
            Orders(services, clock, Path(setup.proofs)).listen(setup.orders)
        return app

    if setup.page_bytes:
        messages.PAGE_BYTES = reads.PAGE_BYTES = setup.page_bytes
    server.create_app = create
    return cli.main(sys.argv[1:])


def _is_change(frame: Any) -> bool:
    return frame.payload.startswith(b'42["change"')


if __name__ == "__main__":
    sys.exit(main())
