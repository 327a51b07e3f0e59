"""The server under attack: a separate process and data folder, a watched log, and counted sockets, files and memory."""

import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import requests
import sqlalchemy

from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.sqlite import connections
from tests.fuzz.case import EPOCH, Wrong
from tests.fuzz.users import Users
from tests.live_server import Server

# log lines of ours that no input may cause; lines with a bar are the watchdog's stacks, which may show our own code
_BAD = re.compile(r"Traceback| (?:ERROR|CRITICAL) |^Exception|^(?! +\| ).*greenlet|hashing process has ended")
_STALL = "the hub has not answered"
# an abandoned poll is noticed at its ping: 25 + 20 s
QUIET_SECONDS = 75


@dataclass(frozen=True)
class Usage:
    """The resources that the server's process holds."""

    files: int
    sockets: int
    threads: int
    memory: int

    def __str__(self) -> str:
        mib = self.memory / 2**20
        return f"{self.files} files, {self.sockets} sockets, {self.threads} threads, {mib:.1f} MiB"


class Services:
    """A real server; its users have a small quota, so that the fuzzer reaches it."""

    def __init__(self, data_dir: Path) -> None:
        self.database = data_dir / "realtime_kv.db"
        prepare(self.database)
        # nothing listens on the SMTP port: mail that cannot be sent is logged as a warning
        self.server = Server(
            data_dir,
            RKV_QUOTA_KEYS="30",
            RKV_QUOTA_BYTES=str(256 * 1024),
            RKV_SMTP_URL="smtp://127.0.0.1:9",
        ).start()
        self.users = Users(self.server, self.database)
        self._read = 0
        self.stalls = 0
        # stacks of the event loop, as logged by the watchdog
        self.stalled_at: list[str] = []

    def check_log(self) -> None:
        """Raise Wrong for a traceback or an error since the last check. (A watchdog's stack is no traceback.)"""
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
        sockets = sum(link.startswith("socket:") for link in links)
        return Usage(len(links) - sockets, sockets, self.server.status("Threads"), self.server.status("VmRSS") * 1024)

    def quiet(self, *, tabs: int, await_timeouts: bool) -> Usage:
        """Return the usage once all but `tabs` tabs have hung up; with `await_timeouts`, and abandoned ones too."""
        end = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < end:
            # the request for the number of tabs takes a socket as well, so count the sockets before it
            usage = self.usage()
            # besides tabs: the listener, the control socket, and the event loop's wake-up pair
            if usage.sockets <= 4 + tabs and (not await_timeouts or self._tabs() == tabs):
                return usage
            time.sleep(0.2)
        return self.usage()

    def stop(self) -> None:
        """Stop the server gracefully; then check its files."""
        code = self.server.stop()
        self.check_output_at_end()
        if code:
            raise Wrong(f"the server ended with {code}")
        check_tables(self.database)

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


# name, statement, expected result
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
    ("audit entries that are no JSON", "SELECT id, detail FROM audit WHERE NOT json_valid(coalesce(detail, '{}'))", []),
    (
        "sessions of those who cannot sign in",
        """SELECT sessions.id, username FROM sessions JOIN users ON users.id = user_id
        WHERE ended_at IS NULL AND (disabled_at IS NOT NULL OR deleted_at IS NOT NULL)""",
        [],
    ),
    (
        "sessions that are less or last longer than a session, tokens that are neither kind",
        """SELECT id, kind, scope, prefix FROM sessions WHERE CASE kind
        WHEN 'session' THEN scope != 'write' OR prefix IS NOT NULL OR expires_at > limit_at
        WHEN 'token' THEN scope NOT IN ('read', 'write') OR expires_at > 253402300799000 ELSE 1 END""",
        [],
    ),
    (
        "too many live tokens",
        """SELECT user_id, count(*) FROM sessions WHERE kind = 'token' AND ended_at IS NULL
        GROUP BY user_id HAVING count(*) > 100""",
        [],
    ),
    (
        "too many recovery codes",
        "SELECT user_id, count(*) FROM recovery_codes GROUP BY user_id HAVING count(*) > 10",
        [],
    ),
    (
        "superusers who can sign in",
        "SELECT count(*) > 0 FROM users WHERE is_admin AND disabled_at IS NULL AND deleted_at IS NULL",
        [(1,)],
    ),
    ("codes taken without a secret", "SELECT id FROM users WHERE totp_confirmed_at > 0 AND totp_secret IS NULL", []),
]


def check_tables(path: Path) -> None:
    """Raise Wrong for content that no table may ever hold."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for name, statement, expected in CHECKS:
            if (found := db.execute(statement).fetchall()) != expected:
                raise Wrong(f"{name}: {found[:5]}")


def prepare(path: Path) -> None:
    """Make a data set with a known epoch, since the epoch occurs in the cursors of a sync."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    connections.prepare(engine)
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE meta SET value = :epoch WHERE name = 'epoch'"), {"epoch": EPOCH.decode()}
        )
    engine.dispose()
