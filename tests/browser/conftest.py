from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.app import create_app
from realtime_kv.bootstrap.chromium import find
from realtime_kv.config import Config
from tests.browser.browsing import Person, Tab
from tests.live_server import PASSWORD, Server, fresh_name

FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 20_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find()
    assert path, "Chromium is missing: `python3 run.py test` says how to get it"
    # a busy machine is no fault
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers for this test alone, with the given settings. They stop after the browsers have been closed."""
    servers: list[Server] = []

    def start(**settings: str) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("server") / "data", **settings))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def make_person(
    request: pytest.FixtureRequest, browser: Browser, server: Server, start_server: Callable[..., Server]
) -> Iterator[Callable[..., Person]]:
    """Make separate browsers, each signed up unless told otherwise; none may complain.

    A module whose tests depend on the service worker sets `SERVICE_WORKERS = "allow"`: to install it, each new browser
    loads every file of the dashboard, which takes longer than most tests.

    They are closed before the servers of `start_server`: a page that loads a module lazily would complain otherwise.
    """
    people: list[Person] = []
    service_workers = getattr(request.module, "SERVICE_WORKERS", "block")

    def make(
        name: str = "visitor", *, signed_up: bool = True, plain: bool = True, server: Server = server, **options: Any
    ) -> Person:
        usual = {"viewport": {"width": 1280, "height": 800}, "service_workers": service_workers}
        context: BrowserContext = browser.new_context(**{**usual, **options})
        person = Person(context, server, fresh_name(name), plain=plain)
        people.append(person)
        return person.sign_up() if signed_up else person

    yield make
    for person in people:
        person.context.close()
    for person in people:
        person.assert_no_complaints()


@pytest.fixture
def ada(make_person: Callable[..., Person]) -> Person:
    return make_person("ada")


@pytest.fixture
def tabs(ada: Person) -> tuple[Tab, Tab]:
    """Two tabs of one user."""
    return ada.open_tab(), ada.open_tab()


@pytest.fixture
def own_server(start_server: Callable[..., Server]) -> Server:
    """A server for this test alone, which may be killed."""
    return start_server()


@pytest.fixture(scope="module")
def admin_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has a superuser, called root."""
    folder: Path = tmp_path_factory.mktemp("admin")
    services = create_app(Config(data_dir=folder)).extensions["realtime_kv"]
    made = services.accounts.administration.create_user(CLI, "root", password=PASSWORD, is_admin=True)
    services.runtime.wait(made)
    services.stop()
    server = Server(folder).start()
    yield server
    server.close()


@pytest.fixture
def make_root(make_person: Callable[..., Person], admin_server: Server) -> Callable[..., Person]:
    def make(**options) -> Person:
        root = make_person(signed_up=False, server=admin_server, **options)
        root.username = "root"
        return root.sign_in()

    return make
