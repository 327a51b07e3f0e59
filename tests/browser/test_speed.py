"""A large space works; `python -m tests.browser.speed` measures its speed."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import speed
from tests.browser.browsing import Person, Tab

# the command measures 100,000 keys, the limit
KEYS = 20_000


@pytest.fixture(scope="module")
def large(browser, server) -> Iterator[tuple[Person, Tab]]:
    """A user with many keys, and a tab."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    person = Person(context, server, speed.fresh_name("large")).sign_up()
    speed.fill(person, KEYS - 1)
    tab = person.open_tab()
    expect(tab.count).to_contain_text("keys", timeout=60_000)
    yield person, tab
    context.close()
    person.assert_no_complaints()


def test_the_filter_finds_keys_and_values_among_20_000_entries(large):
    _, tab = large
    assert len(speed.filter_times(tab, 1)) == len(speed.TEXTS)
    tab.page.get_by_label("Filter keys").fill("north 88")
    expect(tab.count).to_contain_text("matches of 19,999 keys")
    expect(tab.page.locator("#list mark").first).to_have_text("North 88")
    tab.page.get_by_label("Filter keys").fill("")


def test_the_dom_holds_at_most_150_rows_of_20_000_keys(large):
    _, tab = large
    assert speed.most_rows(tab) <= 150


def test_changes_in_one_tab_are_painted_one_by_one_in_the_other(large):
    assert len(speed.paint_times(*large, count=20)) == 20


def test_a_thousand_changes_a_second_are_counted_and_shown(large):
    person, tab = large
    # this waits for the tab's own count of changes
    speed.long_tasks(person, tab, seconds=3)
    last = person.get("berlin/sensor-00/reading-0")
    expect(tab.value_of("berlin/sensor-00/reading-0")).to_have_text(str(last))
