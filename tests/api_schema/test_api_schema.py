"""The OpenAPI document is neither looser nor stricter than the server."""

import pytest

from tests.api_schema.run import run
from tests.live_server import Server


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


def test_server_conforms_to_its_openapi_document(server):
    done = run(server, examples=15, seed=4)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 18" in done.stdout
