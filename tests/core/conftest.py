import pytest

from tests.core.backends import BACKENDS
from tests.core.fixtures import alice, busy_services, charlie, runtime, services, store

__all__ = ["alice", "busy_services", "charlie", "runtime", "services", "store"]


def pytest_generate_tests(metafunc):
    if "harness" in metafunc.fixturenames:
        names = metafunc.config.getoption("--backend") or list(BACKENDS)
        if unknown := set(names) - set(BACKENDS):
            raise pytest.UsageError(f"--backend: unknown {sorted(unknown)}; known are {sorted(BACKENDS)}")
        metafunc.parametrize("harness", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def harness(request, tmp_path_factory):
    """The kind of database that the test runs on."""
    harness = BACKENDS[request.param](tmp_path_factory)
    yield harness
    harness.close()
