"""Two hundred strings that have got scripts into other pages, shown on every page of ours: they stay strings."""

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person
from tests.browser.hostile import strings
from tests.running import DEADLINE, PASSWORD

STRINGS = strings()
AT_ONCE = 100
# of a token: as many as one user may have, as long as one may be
NAMES = [text for text in STRINGS if len(text) <= 64]


# to a key by its address, without loading the page anew
GO = """(key) => {
  history.pushState(null, "", "/keys?key=" + encodeURIComponent(key))
  dispatchEvent(new PopStateEvent("popstate"))
}"""


@pytest.fixture
def mallory(make_person) -> Person:
    """Whose every key, value and token is hostile."""
    mallory = make_person("mallory")
    for start in range(0, len(STRINGS), AT_ONCE):
        some = STRINGS[start : start + AT_ONCE]
        mallory.call("batch", ops=[{"op": "set", "key": text, "value": {text: [text]}} for text in some])
    return mallory


def test_there_are_two_hundred():
    assert len(STRINGS) >= 200


def test_on_the_dashboard(mallory):
    tab = mallory.open_tab()
    heading = tab.page.locator("#detail-heading")
    for text in STRINGS:
        tab.page.get_by_label("Filter keys").fill(text)
        tab.page.evaluate(GO, text)
        expect(heading).to_have_text(re.compile(rf"^\s*{re.escape(text)}\s*$"))
    assert_nothing_ran(tab.page)


def test_none_of_them_is_a_user_name(server):
    for text in STRINGS:
        answer = requests.post(
            f"{server.url}/api/v1/sign_up", json={"username": text, "password": PASSWORD}, timeout=DEADLINE
        )
        if not re.fullmatch(r"[A-Za-z0-9._-]{3,32}", text):
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_name"), text


def assert_nothing_ran(page: Page) -> None:
    """The console is watched all the time; here, what can be seen of an element that was let in."""
    assert page.locator("iframe, object, embed, marquee, base, math").count() == 0
    assert page.locator("[onerror], [onload], [onclick], [onfocus]").count() == 0
