"""Failpoints in the running server's writer, where it can be killed or paused, and other orders from outside.

The production code does not know them: the writer's cursor and its watchers are wrapped. Before each action a line is
appended to the proofs file, so that a kill can be proved as well.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from realtime_kv.clock import now_ms
from realtime_kv.services import Services

POINTS = ("before_begin", "before_commit", "after_commit", "before_push")


class Clock:
    """The system's clock plus an offset in milliseconds."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return now_ms() + self.offset


class Failpoints:
    """The action at each armed point, and how many passes are left until then."""

    def __init__(self, services: Services, proofs: Path) -> None:
        self._proofs = proofs
        self._armed: dict[str, dict[str, Any]] = {}
        writer = services.store.writer
        db = writer._db
        db._cursor = _Cursor(db._cursor, self.reach)
        writer._watchers.insert(0, lambda _committed: self.reach("before_push"))

    def arm(self, point: str, action: str, after: int, seconds: float = 0.0) -> None:
        """Arm `point`: `kill` the process or `pause` for `seconds` when it is passed for the `after`th time."""
        assert point in POINTS and action in {"kill", "pause"}
        self._armed[point] = {"action": action, "after": after, "seconds": seconds}

    def reach(self, point: str) -> None:
        """Pass `point`, and perform its action if it is due."""
        armed = self._armed.get(point)
        if armed is None:
            return
        armed["after"] -= 1
        if armed["after"] > 0:
            return
        del self._armed[point]
        with self._proofs.open("a") as proofs:
            proofs.write(f"{point}:{armed['action']}\n")
        if armed["action"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(armed["seconds"])


class _Cursor:
    """The writer's cursor; sees where a group's transaction begins and ends."""

    def __init__(self, cursor: Any, reach: Callable[[str], None]) -> None:
        self._cursor = cursor
        self._reach = reach

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "BEGIN IMMEDIATE":
            self._reach("before_begin")
        elif sql == "COMMIT":
            self._reach("before_commit")
            done = self._cursor.execute(sql)
            self._reach("after_commit")
            return done
        return self._cursor.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class Orders:
    """Takes orders from a Unix socket: one line of JSON each, answered with one."""

    def __init__(self, services: Services, clock: Clock, proofs: Path) -> None:
        self._services = services
        self._clock = clock
        self._failpoints = Failpoints(services, proofs)

    def listen(self, path: str) -> None:
        """Listen at `path` on a separate thread."""
        Path(path).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as lines:
                order = json.loads(lines.readline())
                lines.write(json.dumps(getattr(self, f"_{order.pop('order')}")(**order)) + "\n")

    def _arm(self, **armed: Any) -> dict[str, Any]:
        self._failpoints.arm(**armed)
        return {}

    def _jump(self, offset: int) -> dict[str, Any]:
        self._clock.offset = offset
        return {"now": self._services.store.clock()}

    def _purge(self, keep: int) -> dict[str, Any]:
        """Do what a purge does, to all but the last `keep` revisions of each user."""

        def purge(db: Connection) -> int:
            floors = "floor = max(floor, revision - :keep), history_floor = max(history_floor, revision - :keep)"
            db.execute(text(f"UPDATE spaces SET {floors}"), {"keep": keep})
            floor = "(SELECT floor FROM spaces AS s WHERE s.user_id = {0}.user_id)"
            log = db.execute(text(f"DELETE FROM log WHERE revision <= {floor.format('log')}"))
            trash = db.execute(
                text(f"DELETE FROM entries WHERE deleted_at IS NOT NULL AND revision <= {floor.format('entries')}")
            )
            return int(log.rowcount + trash.rowcount)

        return {"removed": self._run(purge)}

    def _fill(self, pages: int) -> dict[str, Any]:
        """Let the file grow by at most `pages` pages; 0 removes the limit."""

        def limit(db: Connection) -> int:
            now: int = db.execute(text("PRAGMA page_count")).scalar_one()
            most = now + pages if pages else 1 << 30
            return int(db.execute(text(f"PRAGMA max_page_count = {most}")).scalar_one())

        return {"most": self._run(limit)}

    def _run(self, fn: Callable[[Connection], int]) -> int:
        return self._services.runtime.wait(self._services.store.writer.run_in_transaction(fn), 30)
