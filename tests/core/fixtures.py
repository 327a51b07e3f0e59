"""Fixtures for tests of a store: real threads, an empty database, and two users. They need a fixture `harness`."""

import pytest

from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.core.store import Store
from tests.core.services import Person, Services


@pytest.fixture
def runtime():
    """Real threads, for tests of the core at work."""
    runtime = ThreadedRuntime()
    yield runtime
    runtime.stop()


@pytest.fixture
def services(harness, tmp_path):
    services = Services(harness.create(tmp_path))
    yield services
    services.close()


@pytest.fixture
def busy_services(harness, tmp_path, runtime):
    """Services that are closed before their runtime stops, for stores on real threads."""
    services = Services(harness.create(tmp_path))
    yield services
    services.close()


@pytest.fixture
def store(services) -> Store:
    return services.open()


@pytest.fixture
def alice(services, store) -> Person:
    return Person(store, services.add_user("alice"))


@pytest.fixture
def charlie(services, store) -> Person:
    return Person(store, services.add_user("charlie"))
