"""A store on a real SQLite file with two users, Alice and Charlie, without Flask."""

import itertools
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, insert

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import InlineRuntime, Runtime
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.store import Store
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.models import Space, User, UserSession
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend

FAR_AWAY = 4_000_000_000_000


class Clock:
    """A clock in milliseconds that advances by one at each reading, so that no two readings are the same."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Person:
    """A user of a store: calls every verb as one session of theirs, and returns plain JSON."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self.store = store
        self.caller = caller

    def set(self, key: str, value: Any, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.set(self.caller, key, msgspec.json.encode(value), **options))

    def get(self, key: str) -> dict[str, Any]:
        return self._answer(self.store.get(self.caller, key))["entry"]

    def delete(self, key: str, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.delete(self.caller, key, **options))

    def batch(self, *ops: tuple[Any, ...], **options: Any) -> dict[str, Any]:
        """Run a batch of ops given as `("set", key, value)` or `("delete", key)`."""
        made = [
            self.store.set_op(op[1], msgspec.json.encode(op[2])) if op[0] == "set" else self.store.delete_op(op[1])
            for op in ops
        ]
        return self._answer(self.store.batch(self.caller, made, **options))

    def delete_prefix(self, prefix: str, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.delete_prefix(self.caller, prefix, **options))

    def move(self, from_: str, to: str, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.move(self.caller, from_, to, **options))

    def copy(self, from_: str, to: str, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.copy(self.caller, from_, to, **options))

    def list(self, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.list(self.caller, **options))

    def sync(self, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.sync(self.caller, **options))

    def history(self, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.history(self.caller, **options))

    def restore(self, key: str, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.restore(self.caller, key, **options))

    def undo(self, revision: int, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.undo(self.caller, revision, **options))

    def trash(self, **options: Any) -> dict[str, Any]:
        return self._answer(self.store.trash(self.caller, **options))

    def _answer(self, future: Any) -> dict[str, Any]:
        return msgspec.json.decode(msgspec.json.encode(self.store.runtime.wait(future, timeout=30)))


class Services:
    """A data set that a test can open any number of times."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = connections.open_engine(folder / "kv.db")
        migrations.upgrade(self.engine)
        self.clock = Clock()
        self._ids = itertools.count(1)
        self._stores: list[Store] = []

    def open(self, runtime: Runtime | None = None, **options: Any) -> Store:
        store = Store(SqliteBackend(self.engine), runtime or InlineRuntime(), clock=self.clock, **options)
        self._stores.append(store)
        return store

    def add_user(self, username: str) -> Caller:
        """Add a user with one session."""
        user_id = next(self._ids)
        row = {"username": username, "folded": username, "password_hash": "-", "is_admin": False, "created_at": 1}
        session = {"public_id": f"s{user_id}", "token_hash": user_id.to_bytes(2), "label": "A test", "created_at": 1}
        with self.engine.begin() as connection:
            connection.execute(insert(User), {"id": user_id, **row})
            connection.execute(insert(Space), {"user_id": user_id})
            connection.execute(
                insert(UserSession), {"id": user_id, "user_id": user_id, "expires_at": FAR_AWAY, **session}
            )
        return Caller(user_id, username, False, 1, user_id, f"s{user_id}", "A test", "socket")

    def close(self) -> None:
        for store in self._stores:
            store.stop()
        self.engine.dispose()


class Watcher:
    """Receives commits as the gateway does, and keeps the changes as plain JSON."""

    def __init__(self, store: Store) -> None:
        self.changes: list[dict[str, Any]] = []
        self.commits: list[CommitEvent] = []
        store.watch(self._hear)

    def _hear(self, committed: Any) -> None:
        self.commits.extend(committed)
        for news in committed:
            self.changes.extend(msgspec.json.decode(change) for change in news.changes())
