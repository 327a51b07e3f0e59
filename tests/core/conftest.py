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
def services(tmp_path):
    services = Services(tmp_path)
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
