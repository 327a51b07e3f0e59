"""The important actions by the keyboard alone: from signing up to signing out, without a mouse."""

import json

from playwright.sync_api import Locator, Page, expect

from tests.browser.browsing import Held, Tab
from tests.live_server import PASSWORD

FAR = 80


def reach(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until this has the focus."""
    expect(target).to_be_visible()
    for _ in range(FAR):
        if target.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{target} is out of the keyboard's reach")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_keyboard_alone_suffices_from_sign_up_to_sign_out(make_person, server):
    person = make_person("grace", signed_up=False)
    page = person.new_page()
    keyboard = page.keyboard
    page.goto(f"{server.url}/signup")
    reach(page, page.get_by_label("Username"))
    keyboard.type(person.username)
    reach(page, page.get_by_label("Password", exact=True))
    keyboard.type(PASSWORD)
    press(page, "Enter")
    go_on = page.get_by_role("link", name="I've saved them")
    reach(page, go_on)
    press(page, "Enter")
    tab = Tab(person, page)
    tab.is_live()

    # set
    for key, value in {"app/flags": {"beta": False, "rollout": 1}, "app/limit": 250, "app/note": "hello"}.items():
        press(page, "n")
        expect(page.get_by_label("Key", exact=True)).to_be_focused()
        press(page, "Control+a")
        keyboard.type(key)
        reach(page, tab.editor)
        keyboard.type(json.dumps(value))
        press(page, "Control+s")
        expect(page.locator("#detail-heading")).to_have_text(key)
        expect(tab.row(key).locator(".unsent")).to_have_count(0)
        press(page, "Escape")
    assert person.get("app/flags") == {"beta": False, "rollout": 1}

    # conflict, merge
    reach(page, tab.row("app/flags").first, "ArrowUp")
    press(page, "Enter", "e")
    expect(tab.editor).to_be_focused()
    press(page, "Control+a")
    keyboard.insert_text(json.dumps({"beta": True, "rollout": 1}))
    person.set("app/flags", {"beta": False, "rollout": 2})
    reach(page, tab.conflict.get_by_role("button", name="Merge both"), "Shift+Tab")
    press(page, "Enter", "Control+s")
    tab.is_saved()
    assert person.get("app/flags") == {"beta": True, "rollout": 2}

    # undo
    press(page, "Escape")
    expect(tab.row("app/flags")).to_be_focused()
    press(page, "Control+z")
    expect(tab.value_of("app/flags")).to_have_text('{"beta":false,"rollout":2}')

    # history, restore
    press(page, "Enter")
    reach(page, page.get_by_role("tab", name="Value"))
    press(page, "ArrowRight")
    reach(page, page.get_by_role("button", name="Restore").last)
    press(page, "Enter")
    expect(tab.value_of("app/flags")).to_have_text('{"beta":false,"rollout":1}')

    # bulk delete, undo
    press(page, "Escape")
    expect(tab.row("app/flags")).to_be_focused()
    press(page, "Space", "Shift+ArrowDown", "Shift+ArrowDown", "Delete")
    for key in ("app/flags", "app/limit", "app/note"):
        expect(tab.row(key)).to_have_count(0)
    expect(tab.toasts.get_by_role("button", name="Undo").last).to_be_visible()
    press(page, "Control+z")
    for key in ("app/flags", "app/limit", "app/note"):
        expect(tab.row(key)).to_have_count(1)
    assert person.get("app/limit") == 250

    # sign out
    reach(page, page.get_by_role("button", name="Signed in as"))
    press(page, "Enter")
    reach(page, page.locator("#menu").get_by_role("button", name="Sign out"))
    press(page, "Enter")
    expect(page).to_have_url(f"{server.url}/signin")


def test_text_typed_while_the_editor_loads_reaches_the_new_key_field(make_person):
    person = make_person()
    person.set("a", 1)
    page = person.new_page()
    parts = Held(page, "**/dashboard/key/model/open-key.js")
    page.goto(person.server.url + "/keys")
    expect(page.locator("#list [role=row]")).to_have_count(1)
    page.keyboard.press("n")
    # outside of fields `p` pauses and `e` edits
    page.keyboard.type("profile/themes")
    page.keyboard.press("Backspace")
    parts.release()
    expect(page.get_by_label("Key", exact=True)).to_have_value("profile/theme")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type("/dark")
    expect(page.get_by_label("Key", exact=True)).to_have_value("profile/theme/dark")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "false")
