"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket only, started once for a test run."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from realtime_kv.bootstrap.postgres import find
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.postgres import connections

# nothing here has to survive a power failure, except where a test turns these on
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_TEMPLATE = "realtime_kv_template"


class Cluster:
    """A server; `url` is the connection string of one of its databases."""

    def __init__(self) -> None:
        programs = find()
        assert programs, "PostgreSQL is missing: `python3 run.py test` says how to get it"
        self._programs = programs
        # a socket's path has at most 107 bytes: no folder of pytest's
        self.folder = Path(tempfile.mkdtemp(prefix="rkv-pg-"))
        self._user = self._unprivileged()
        self._numbers = itertools.count(1)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        engine = connections.open_engine(self.url(_TEMPLATE))
        migrations.upgrade(engine)
        engine.dispose()

    def start(self) -> None:
        options = " ".join(
            [
                "-c listen_addresses=''",
                f"-c unix_socket_directories={self.folder}",
                "-c max_connections=200",
                *(f"-c {name}={value}" for name, value in _FAST.items()),
            ]
        )
        self._run("pg_ctl", "-D", self._data, "-l", self.folder / "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def create(self, *, empty: bool = False) -> str:
        """Create a database, with all tables unless `empty`; return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {_TEMPLATE}"))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, with connections that are still open."""
        name = url.removeprefix("postgresql://postgres@/").partition("?")[0]
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _unprivileged(self) -> pwd.struct_passwd | None:
        """Return another user for the server, which refuses to run as root; None for the present one."""
        if os.geteuid() != 0:
            return None
        user = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if _exists(name))
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        return user

    def _run(self, program: str, *arguments: str | Path) -> None:
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        command = [str(self._programs / program), *map(str, arguments)]
        # the server inherits the output and would keep a pipe open
        with (self.folder / "commands").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.folder, check=False, **user)
        assert done.returncode == 0, (self.folder / "commands").read_text()


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
