"""A store on a real database with users and sessions, without Flask."""

import dataclasses
import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, text

from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import InlineRuntime, Runtime
from realtime_kv.core.messages import CommitEvent
from realtime_kv.core.store import Store
from realtime_kv.storage.models import Space, User, UserSession

if TYPE_CHECKING:
    from tests.core.backends import Database

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

    def __init__(self, database: "Database") -> None:
        self.database = database
        self.clock = Clock()
        self._stores: list[Store] = []

    def open(self, runtime: Runtime | None = None, **options: Any) -> Store:
        store = Store(self.database.open(), runtime or InlineRuntime(), clock=self.clock, **options)
        self._stores.append(store)
        return store

    def crash(self, store: Store) -> Store:
        """Open the data set again as after a crash of `store`."""
        self.database.abandon(store)
        return self.open()

    def add_user(self, username: str) -> Caller:
        """Add a user with one session."""
        row = {"username": username, "folded": username, "password_hash": "-", "is_admin": False, "created_at": 1}
        with self.database.engine.begin() as connection:
            user_id = connection.execute(insert(User).returning(User.id), row).scalar_one()
            connection.execute(insert(Space), {"user_id": user_id})
        caller = Caller(user_id, username, False, 1, 0, "", "", "socket")
        return self.add_credential(caller, f"s{user_id}", kind="session", label="A test")

    def add_credential(
        self, caller: Caller, public_id: str, *, kind: str = "token", label: str = "", **limits: Any
    ) -> Caller:
        """Add a session or token of this user; `limits` are the fields of Caller that limit it."""
        label = label or public_id
        row = {"public_id": public_id, "token_hash": public_id.encode(), "user_id": caller.user_id, "label": label}
        with self.database.engine.begin() as connection:
            rows = connection.execute(
                insert(UserSession).returning(UserSession.id),
                {**row, "created_at": 1, "expires_at": FAR_AWAY, "kind": kind},
            )
            session_id = rows.scalar_one()
        return dataclasses.replace(caller, session_id=session_id, session=public_id, label=label, kind=kind, **limits)

    def close(self) -> None:
        for store in self._stores:
            store.stop()
        self.database.close()


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


def rows(store: Store, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return rows as a job of the writer sees them, with the tables up to date."""
    return store.runtime.wait(
        store.writer.run_in_transaction(lambda db: [tuple(row) for row in db.execute(text(sql), parameters)]), 10
    )


def state(person: Person) -> tuple[Any, ...]:
    """Return a space as its owner sees it: every entry, and the proof."""
    synced = person.sync()
    return person.list(limit=1000)["entries"], synced["writes"], synced["revision"], synced["keys"], synced["digest"]


def secret(mark: str = "gone") -> str:
    """Return a random text that `Database.find_bytes` can look for."""
    return mark + secrets.token_hex(24)
