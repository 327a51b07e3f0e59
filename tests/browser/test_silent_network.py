"""A server that takes every request and answers none: pages stored in this browser open, others report the problem."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person, Tab
from tests.browser.test_accessibility import check
from tests.browser.test_offline import KEPT
from tests.live_server import Server

SERVICE_WORKERS = "allow"

# only the worker's own time limits make a page appear: without them a browser waits for minutes
LIMIT_SECONDS = 30

# resolves once the dashboard's page is not cached; `wait_for_function` does not wait for what a promise resolves to
NOT_CACHED = """async () => {
  while (await caches.match("/keys")) await new Promise((later) => setTimeout(later, 20))
}"""


@contextmanager
def silent(server: Server) -> Iterator[None]:
    """Stop the process: the kernel still accepts connections, and nothing answers."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def ada(make_person, own_server) -> Person:
    ada = make_person("ada", server=own_server, reduced_motion="reduce")
    ada.expects_outage = True
    for n in range(3):
        ada.set(f"k{n}", n)
    tab = ada.open_tab()
    assert tab.page.evaluate(KEPT, 3) == 3
    # from here on the worker answers for this browser's pages
    tab.page.reload()
    tab.is_live()
    tab.page.close()
    return ada


def opened(ada: Person, path: str) -> tuple[Page, float]:
    """Open a page; return it, and the seconds until the browser had something to show."""
    page = ada.new_page()
    began = time.monotonic()
    page.goto(ada.server.url + path, wait_until="commit", timeout=LIMIT_SECONDS * 1000)
    return page, time.monotonic() - began


def test_dashboard_opens_from_the_cache_at_any_of_its_urls(ada):
    with silent(ada.server):
        for path in ("/keys", "/", "/keys?key=k1"):
            page, _ = opened(ada, path)
            tab = Tab(ada, page)
            expect(tab.value_of("k2")).to_have_text("2")
            expect(page).to_have_url(ada.server.url + ("/keys" if path == "/" else path))
            page.close()
        # lazily loaded modules are stored as well
        page, _ = opened(ada, "/activity")
        expect(page.locator("h1", has_text="Activity")).to_be_visible()


def test_uncached_pages_report_the_outage_and_load_once_the_server_answers(ada):
    with silent(ada.server):
        page, _ = opened(ada, "/account/preferences")
        expect(page.get_by_role("heading", level=1)).to_have_text("The server does not answer")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("status")).to_have_text("Asking the server…")
        for path in ("/api", "/signin", "/admin/users"):
            other, _ = opened(ada, path)
            expect(other.get_by_role("heading", level=1)).to_have_text("The server does not answer")
            other.close()
        page.get_by_role("link", name="Open your keys").click()
        expect(Tab(ada, page).value_of("k0")).to_have_text("0")
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("The server does not answer")
    # by itself
    expect(page.get_by_role("heading", name="Preferences")).to_be_visible()
    expect(page).to_have_url(ada.server.url + "/account/preferences")


def test_cached_keys_are_removed_after_the_session_ends(ada):
    tab = ada.open_tab()
    ada.call("sign_out")
    expect(tab.page.locator("#signed-out")).to_be_visible()
    tab.page.evaluate(NOT_CACHED)
    with silent(ada.server):
        for path in ("/keys", "/"):
            page, _ = opened(ada, path)
            expect(page.get_by_role("heading", level=1)).to_have_text("The server does not answer")
            expect(page.get_by_role("link", name="Open your keys")).to_be_hidden()
            assert "k0" not in page.content()
            page.close()


def test_late_redirect_to_sign_in_clears_the_cache_and_restores_server_pages(ada):
    ada.call("sign_out")
    with silent(ada.server):
        page, _ = opened(ada, "/keys")
        expect(Tab(ada, page).value_of("k0")).to_have_text("0")
    # nobody waited for this answer: a redirect to the sign-in page, which clears the stored data
    page.evaluate(NOT_CACHED)
    answer = page.goto(ada.server.url + "/signin", wait_until="commit")
    assert 'name="username"' in answer.text()


def test_outage_page_has_no_axe_violations(make_person):
    person = make_person(signed_up=False)
    page = person.new_page()
    page.goto(person.server.url + "/needs-server")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    # the server answers, so it is loaded again by itself, once
    page.wait_for_function("sessionStorage.getItem('reloaded by itself') !== null")
    check(page, "needs the server")
