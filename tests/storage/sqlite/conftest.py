import pytest

from tests.core.fixtures import alice, busy_services, charlie, runtime, services, store
from tests.storage.sqlite.harness import SqliteHarness

__all__ = ["alice", "busy_services", "charlie", "runtime", "services", "store"]


@pytest.fixture(scope="session")
def harness():
    return SqliteHarness()
