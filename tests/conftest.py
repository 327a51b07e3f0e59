import pytest
from hypothesis import HealthCheck, settings

from tests.running import Account, Server, fresh_name

# no deadline: a busy machine is not a failure; examples share function-scoped fixtures on purpose
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("patient")


def pytest_addoption(parser):
    parser.addoption("--backend", action="append", help="run the tests of the store (tests/core) on this database only")


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Server:
    """Start one real server for all tests that only talk to it; each test brings its own users."""
    server = Server(tmp_path_factory.mktemp("data")).start()
    yield server
    server.close()


@pytest.fixture
def alice(server) -> Account:
    account = server.sign_up(fresh_name("alice"))
    yield account
    account.close()


@pytest.fixture
def charlie(server) -> Account:
    account = server.sign_up(fresh_name("charlie"))
    yield account
    account.close()
