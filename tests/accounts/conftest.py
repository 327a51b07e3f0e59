"""Accounts on a real database; only the clock is controlled by the tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from realtime_kv.accounts.credentials.sessions import API_PREFIX, NewSession, Presented, SessionEnded
from realtime_kv.accounts.service import Accounts
from realtime_kv.caller import Caller
from realtime_kv.concurrency.runtime import Future, InlineRuntime, Runtime, ThreadedRuntime
from realtime_kv.config import Config
from realtime_kv.core.store import Store
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.migrations import upgrade as migrations
from realtime_kv.storage.sqlite import connections
from realtime_kv.storage.sqlite.backend import SqliteBackend

PASSWORD = "correct horse battery"
DAY = 24 * 60 * 60 * 1000


@dataclass
class Clock:
    """A clock that only the test moves."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Town:
    """The accounts with the parts they are built on; every call waits for its answer."""

    runtime: Runtime
    store: Store
    accounts: Accounts
    clock: Clock
    ended: list[SessionEnded] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    def wait(self, future: Future[Any]) -> Any:
        return self.runtime.wait(future, 10)

    def sign_up(self, username: str, password: str = PASSWORD, address: str = "", **more: Any) -> NewSession:
        return self.wait(
            self.accounts.access.sign_up(username, password, ClientInfo("Firefox on Linux", address), **more)
        )

    def sign_in(self, username: str, password: str = PASSWORD, address: str = "", **more: Any) -> NewSession:
        return self.wait(self.accounts.access.sign_in(username, password, ClientInfo("curl", address), **more))

    def sign_out(self, token: str) -> None:
        self.wait(self.accounts.access.sign_out(token))

    def caller(self, token: str, presented: Presented | None = None) -> Caller:
        """Return the caller of the token, sent as such a token usually is."""
        usual: Presented = "bearer" if token.startswith(API_PREFIX) else "cookie"
        return self.wait(self.accounts.caller(token, "http", presented=presented or usual))

    def write(self, fn: Callable[[Connection], Any]) -> Any:
        return self.wait(self.store.writer.run_in_transaction(fn))


def build(data_dir: Path, runtime: Runtime, **settings: Any) -> Town:
    config, clock = Config(data_dir=data_dir, **settings), Clock()
    engine = connections.open_engine(config.database_path)
    migrations.upgrade(engine)
    store = Store(SqliteBackend(engine), runtime, clock=clock)
    mails: list[EmailMessage] = []
    send = mails.append if config.smtp_url else None
    accounts = Accounts(store.writer, store.readers, runtime, config, clock, send=send, steady=clock)
    town = Town(runtime, store, accounts, clock, mails=mails)
    accounts.watch(town.ended.append)
    return town


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Return a function that builds the accounts with given settings."""
    towns: list[Town] = []

    def make(runtime: Runtime | None = None, **settings: Any) -> Town:
        towns.append(build(tmp_path, runtime or InlineRuntime(), **settings))
        return towns[-1]

    yield make
    for town in towns:
        town.accounts.stop()
        town.store.stop()


@pytest.fixture
def town(found: Callable[..., Town]) -> Town:
    return found()


@pytest.fixture
def busy_town(found: Callable[..., Town]) -> Iterator[Town]:
    """Accounts whose writer, readers and password threads are real threads."""
    runtime = ThreadedRuntime()
    yield found(runtime)
    runtime.stop()
