"""The server under attack: its own process and data folder, its log watched, its sockets, files and memory counted."""

import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import requests
import sqlalchemy

from realtime_kv import migrations
from realtime_kv.core import database
from tests.fuzz.case import EPOCH, Wrong
from tests.running import Account, Server

# a log line of ours that no input may bring about
_BAD = re.compile(r"Traceback| (?:ERROR|CRITICAL) |^Exception|greenlet")
_STALL = "the hub has not answered"
# a poll that nobody fetches any more is noticed at its ping: 25 + 20 s
QUIET_SECONDS = 75


@dataclass(frozen=True)
class Usage:
    """What the server's process holds."""

    files: int
    sockets: int
    threads: int
    memory: int

    def __str__(self) -> str:
        mib = self.memory / 2**20
        return f"{self.files} files, {self.sockets} sockets, {self.threads} threads, {mib:.1f} MiB"


class House:
    """A real server; its users have a small quota, so that it too is met."""

    def __init__(self, data_dir: Path) -> None:
        self.database = data_dir / "realtime_kv.db"
        _prepare(self.database)
        self.server = Server(data_dir, RKV_QUOTA_KEYS="30", RKV_QUOTA_BYTES=str(256 * 1024)).start()
        self._users = 0
        self._read = 0
        self.stalls = 0
        # what the hub was doing, as the watchdog saw it
        self.stalled_at: list[str] = []

    def user(self) -> Account:
        """Somebody new."""
        self._users += 1
        return self.server.sign_up(f"user{self._users}")

    def check_log(self) -> None:
        """Raises Wrong for a traceback or an error since the last look. (A watchdog's stack is no traceback.)"""
        lines = self.server.output[self._read :]
        self._read += len(lines)
        for at, line in enumerate(lines):
            if _STALL in line:
                self.stalls += 1
                self.stalled_at.append("".join(lines[at : at + 60]))
        for line in lines:
            if _BAD.search(line):
                raise Wrong("the log: " + "".join(lines)[-4000:])
        if self.server.process is None or self.server.process.poll() is not None:
            raise Wrong("the server has ended")

    def usage(self) -> Usage:
        assert self.server.process is not None
        process = Path("/proc") / str(self.server.process.pid)
        links = []
        for link in (process / "fd").iterdir():
            try:
                links.append(str(link.readlink()))
            except FileNotFoundError:
                continue
        status = (process / "status").read_text()
        kib, threads = (int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) for name in ("VmRSS", "Threads"))
        sockets = sum(link.startswith("socket:") for link in links)
        return Usage(len(links) - sockets, sockets, threads, kib * 1024)

    def quiet(self, *, tabs: int, patient: bool) -> Usage:
        """What is held once all but so many tabs have hung up; with `patient`, and have been given up."""
        end = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < end:
            # asking for the number of tabs takes a socket, too: that is counted before it is asked again
            usage = self.usage()
            # besides tabs: the listener, and the pair of the hub's bell
            if usage.sockets <= 3 + tabs and (not patient or self._tabs() == tabs):
                return usage
            time.sleep(0.2)
        return self.usage()

    def stop(self) -> None:
        """The graceful way; then its files are looked through."""
        code = self.server.stop()
        self.check_output_at_end()
        if code:
            raise Wrong(f"the server ended with {code}")
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as db:
            for name, statement, expected in CHECKS:
                if (found := db.execute(statement).fetchall()) != expected:
                    raise Wrong(f"{name}: {found[:5]}")

    def check_output_at_end(self) -> None:
        for line in self.server.output[self._read :]:
            if _BAD.search(line):
                raise Wrong("the log: " + "".join(self.server.output)[-4000:])

    def close(self) -> None:
        self.server.close()

    def _tabs(self) -> int:
        figures = requests.get(f"{self.server.url}/metrics", timeout=30, headers={"Connection": "close"}).text
        match = re.search(r"^rkv_tabs (\d+)", figures, re.MULTILINE)
        assert match is not None, figures
        return int(match[1])


# name, statement, what it has to find
CHECKS = [
    ("integrity", "PRAGMA integrity_check", [("ok",)]),
    ("foreign keys", "PRAGMA foreign_key_check", []),
    ("values that are no JSON", "SELECT key, value FROM entries WHERE NOT json_valid(value)", []),
    (
        "spaces that count wrong",
        """SELECT user_id, keys FROM spaces WHERE keys !=
        (SELECT count(*) FROM entries WHERE entries.user_id = spaces.user_id AND deleted_at IS NULL)""",
        [],
    ),
    (
        "revisions with gaps",
        """SELECT user_id, revision FROM spaces WHERE revision !=
        (SELECT count(DISTINCT revision) FROM log WHERE log.user_id = spaces.user_id)""",
        [],
    ),
]


def _prepare(path: Path) -> None:
    """A data set whose epoch is known, for it stands in the cursors of a sync."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    database.prepare(engine)
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE meta SET value = :epoch WHERE name = 'epoch'"), {"epoch": EPOCH.decode()}
        )
    engine.dispose()
