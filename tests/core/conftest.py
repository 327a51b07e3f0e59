import pytest

from realtime_kv.core.runtime import Threads
from realtime_kv.core.store import Store
from tests.core.house import House, Person


@pytest.fixture
def runtime():
    """Real threads, for tests of the core at work."""
    runtime = Threads()
    yield runtime
    runtime.stop()


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def store(house) -> Store:
    return house.open()


@pytest.fixture
def alice(house, store) -> Person:
    return Person(store, house.add_user("alice"))


@pytest.fixture
def charlie(house, store) -> Person:
    return Person(store, house.add_user("charlie"))
