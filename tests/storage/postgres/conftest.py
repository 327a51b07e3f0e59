from collections.abc import Iterator

import pytest

from tests.core.fixtures import alice, busy_services, charlie, runtime, services, store
from tests.storage.postgres.cluster import Cluster
from tests.storage.postgres.harness import PostgresHarness

__all__ = ["alice", "busy_services", "charlie", "runtime", "services", "store"]


@pytest.fixture(scope="session")
def harness() -> Iterator[PostgresHarness]:
    harness = PostgresHarness()
    yield harness
    harness.close()


@pytest.fixture(scope="session")
def cluster(harness: PostgresHarness) -> Cluster:
    return harness.cluster
