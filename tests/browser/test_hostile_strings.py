"""Two hundred strings that have got scripts into other pages, shown on every page of ours: they stay strings."""

import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person
from tests.browser.hostile import strings
from tests.live_server import DEADLINE, PASSWORD

STRINGS = strings()
AT_ONCE = 100
# strings that are allowed as names of tokens: up to 64 characters, and no line ends
NAMES = [text for text in STRINGS if len(text) <= 64 and not set(text) & set("\x85\u2028")]


# to a key by its address, without reloading the page
GO = """(key) => {
  history.pushState(null, "", "/keys?key=" + encodeURIComponent(key))
  dispatchEvent(new PopStateEvent("popstate"))
}"""


@pytest.fixture
def make_mallory(make_person) -> Callable[..., Person]:
    """Make a user whose every key and value is hostile."""

    def make(**more) -> Person:
        mallory = make_person("mallory", **more)
        for start in range(0, len(STRINGS), AT_ONCE):
            some = STRINGS[start : start + AT_ONCE]
            mallory.call("batch", ops=[{"op": "set", "key": text, "value": {text: [text]}} for text in some])
        return mallory

    return make


def test_the_corpus_has_at_least_two_hundred_strings():
    assert len(STRINGS) >= 200
    assert len(NAMES) >= 200


def test_hostile_keys_and_values_run_no_script_on_the_dashboard(make_mallory):
    tab = make_mallory().open_tab()
    heading = tab.page.locator("#detail-heading")
    for number, text in enumerate(STRINGS):
        # drawing the list anew takes most of the time
        if number % 10 == 0:
            tab.page.get_by_label("Filter keys").fill(text)
        tab.page.evaluate(GO, text)
        expect(heading).to_have_text(re.compile(rf"^\s*{re.escape(text)}\s*$"))
    assert_nothing_ran(tab.page)


def test_hostile_strings_are_refused_as_usernames(server):
    for text in STRINGS:
        answer = requests.post(
            f"{server.url}/api/v1/sign_up", json={"username": text, "password": PASSWORD}, timeout=DEADLINE
        )
        if not re.fullmatch(r"[A-Za-z0-9._-]{3,32}", text):
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_name"), text


def test_hostile_names_run_no_script_on_the_account_pages(make_mallory, server):
    """Test names of tokens, and names of programs that signed in."""
    mallory = make_mallory()
    agents = [text for text in STRINGS if text.isascii()]
    for text in agents[:40]:
        program = {"username": mallory.username, "password": PASSWORD, "token": True}
        requests.post(f"{server.url}/api/v1/sign_in", json=program, headers={"User-Agent": text}, timeout=DEADLINE)
    page = mallory.new_page()
    for start in range(0, len(NAMES), AT_ONCE):
        made = [mallory.call("create_token", name=name, prefix=name)["id"] for name in NAMES[start : start + AT_ONCE]]
        page.goto(server.url + "/account/tokens")
        shown = page.locator("main").inner_text()
        assert all(name in shown for name in NAMES[start : start + AT_ONCE] if name.isascii())
        assert_nothing_ran(page)
        for token in made:
            mallory.call("revoke_token", id=token)
    for path in ("profile", "security", "sessions", "data", "preferences", "events"):
        page.goto(f"{server.url}/account/{path}")
        assert_nothing_ran(page)


def test_hostile_strings_run_no_script_on_the_admin_pages(make_mallory, make_root, admin_server):
    mallory, root = make_mallory(server=admin_server), make_root()
    page = root.new_page()
    page.goto(f"{admin_server.url}/admin/users?search={mallory.username}")
    page.get_by_role("link", name=mallory.username, exact=True).click()
    user = page.url
    seen = ""
    page.goto(user + "/entries")
    while True:
        assert_nothing_ran(page)
        seen += page.locator("main").inner_text()
        following = page.get_by_role("link", name=re.compile("^(Next|More)"))
        if not following.count():
            break
        following.first.click()
    assert all(text in seen for text in STRINGS if text.isascii() and len(text) < 100)
    for text in STRINGS[:: len(STRINGS) // 6]:
        page.goto(f"{user}/reveal?key={quote(text, safe='')}")
        page.get_by_label("Your password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Reveal").click()
        assert json.loads(page.locator("pre.value").inner_text()) == {text: [text]}
        assert_nothing_ran(page)
    for path in (f"/admin/audit?user={mallory.username}", "/admin/users", "/admin/diagnostics"):
        page.goto(admin_server.url + path)
        assert_nothing_ran(page)
    for text in STRINGS[::25]:
        for path in ("/admin/users?search=", "/admin/audit?user=", "/admin/audit?action="):
            page.goto(admin_server.url + path + quote(text, safe=""))
            assert_nothing_ran(page)
    root.complaints = [text for text in root.complaints if "status of 4" not in text]


def assert_nothing_ran(page: Page) -> None:
    """Check for visible traces of injected elements; the console is watched all the time."""
    assert page.locator("iframe, object, embed, marquee, base, math").count() == 0
    assert page.locator("[onerror], [onload], [onclick], [onfocus]").count() == 0
