"""The interface around the keys: palette, shortcuts dialog, menu, connection panel, and preferences."""

import json
import re

from playwright.sync_api import expect

from tests.browser.browsing import Person
from tests.live_server import Server


def test_the_palette_opens_any_key_page_or_action(ada):
    ada.call(
        "batch", ops=[{"op": "set", "key": key, "value": 1} for key in ("app/feature-flags", "app/banner", "readme")]
    )
    tab = ada.open_tab()
    page = tab.page
    options = page.locator("#palette [role=option]")
    chosen = page.locator("#palette [aria-selected=true]")

    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Key, page or action")
    expect(field).to_be_focused()
    page.keyboard.type("ffl")
    expect(chosen).to_contain_text("app/feature-flags")
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id"))
    page.keyboard.press("Enter")
    expect(page.locator("#detail-heading")).to_have_text("app/feature-flags")
    expect(page.locator("#detail-heading")).to_be_focused()
    expect(page).to_have_url(re.compile(r"key=app%2Ffeature-flags"))

    # the key opened last comes first; the arrows wrap around
    page.keyboard.press("Control+k")
    expect(chosen).to_contain_text("app/feature-flags")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#detail-heading")).to_be_focused()

    # a page, an action, and a key that does not exist yet
    page.keyboard.press("Control+k")
    page.keyboard.type("activity")
    expect(chosen).to_contain_text("Go to Activity")
    page.keyboard.press("Enter")
    page.wait_for_url("**/activity")
    page.keyboard.press("Control+k")
    page.keyboard.type("keyboard short")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("App/New One")
    expect(options.last).to_have_text("New key App/New One")
    options.last.click()
    expect(page.get_by_label("Key", exact=True)).to_have_value("App/New One")


def test_the_palette_can_be_opened_by_touch(make_person):
    ada = make_person("ada", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    ada.set("app/banner", "Hello")
    page = ada.open_tab().page
    page.get_by_role("button", name="Signed in as").tap()
    page.get_by_role("button", name="Go to anything").tap()
    page.get_by_role("combobox", name="Key, page or action").fill("bann")
    page.get_by_role("option", name="app/banner").tap()
    expect(page.locator("#detail-heading")).to_have_text("app/banner")


def test_keyboard_shortcuts_work_and_are_listed_in_the_shortcuts_dialog(make_person):
    ada = make_person("ada", permissions=["clipboard-read", "clipboard-write"])
    ada.set("app/banner", {"on": True})
    tab = ada.open_tab("app/banner")
    page = tab.page
    copied = "navigator.clipboard.readText()"

    page.keyboard.press("c")
    expect(tab.toasts).to_contain_text("Key copied")
    assert page.evaluate(copied) == "app/banner"
    page.keyboard.press("v")
    expect(tab.toasts).to_contain_text("Value copied")
    assert json.loads(page.evaluate(copied)) == {"on": True}
    page.keyboard.press("l")
    expect(tab.toasts).to_contain_text("Link copied")
    assert page.evaluate(copied) == f"{ada.server.url}/keys?key=app%2Fbanner"

    # one after the other; a letter in a field is a letter
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/activity")
    page.keyboard.press("g")
    page.keyboard.press("k")
    page.wait_for_url("**/keys")
    page.keyboard.press("/")
    page.keyboard.type("gatnc")
    expect(page.locator("#filter")).to_have_value("gatnc")
    # the handler of these keys may still be loading
    page.keyboard.press("Escape")
    expect(page.locator("#filter")).to_have_value("")
    page.keyboard.press("Escape")
    expect(page.locator("#filter")).not_to_be_focused()

    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard")
    expect(sheet.locator("div").filter(has=page.locator("dt", has_text="Activity")).last).to_contain_text("g then a")
    expect(sheet.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


def test_a_shortcut_works_immediately_after_a_dialog_closes(ada):
    page = ada.open_tab().page
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-text")).to_be_focused()
    # at the same moment: its hidden field keeps the focus until the next frame
    page.evaluate("""() => {
      document.querySelector("#palette").close()
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true, composed: true }))
    }""")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


def test_the_connection_panel_verifies_its_facts_and_ends_other_sessions(make_person, own_server: Server):
    ada: Person = make_person("ada", server=own_server, permissions=["clipboard-read", "clipboard-write"])
    phone: Person = make_person("phone", signed_up=False, server=own_server)
    phone.username = ada.username
    phone.sign_in()
    ada.expects_outage = phone.expects_outage = True
    tab, other = ada.open_tab(), phone.open_tab()
    tab.create("a", "1")
    tab.look().state.click()
    box = tab.page.get_by_role("dialog", name="Connection")
    fact = lambda name: box.locator("div").filter(has=tab.page.locator("dt", has_text=name)).locator("dd")  # noqa: E731
    expect(fact("Transport")).to_have_text("WebSocket")
    expect(fact("Round trip")).to_have_text(re.compile(r"^[\d.]+ ms$"))
    expect(fact("Revision")).to_have_text(re.compile(r"^[\w-]+:1$"))
    expect(fact("Verified")).to_have_text(re.compile(r"^(just now|\d+ s ago)"))
    expect(fact("Repairs")).to_have_text("0")
    expect(box.get_by_role("listitem")).to_have_count(2)

    box.get_by_role("button", name="Copy diagnostics").click()
    expect(tab.toasts).to_contain_text("Diagnostics copied")
    told = json.loads(tab.page.evaluate("navigator.clipboard.readText()"))
    assert (told["state"], told["transport"], told["keys"], told["healed"]) == ("live", "websocket", 1, 0)
    assert told["proved"]["keys"] in (0, 1)
    # a full fetch is a proof as well
    box.get_by_role("button", name="Reload data").click()
    tab.is_live()
    expect(fact("Verified")).to_have_text("just now")

    # the other session is signed out from here, and its page says so
    box.get_by_role("listitem").filter(has_not_text="this one").get_by_role("button", name="Sign out").click()
    expect(box.get_by_role("listitem")).to_have_count(1)
    expect(other.page.get_by_role("dialog", name="You were signed out")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(box).not_to_be_visible()
    expect(tab.state).to_be_focused()

    own_server.kill()
    expect(tab.state).to_have_text(re.compile("^Reconnecting… last change .*ago$"))
    expect(tab.page.locator("#polite")).to_contain_text("Offline.")
    own_server.start()
    tab.is_live()
    expect(tab.state).to_have_text("Live · 1 tab")


def test_preferences_apply_immediately_in_every_tab(ada):
    ada.set("a", 1)
    tab = ada.open_tab()
    page = ada.new_page()
    page.goto(f"{ada.server.url}/account/preferences")
    row = tab.row("a")
    assert row.bounding_box()["height"] == 36
    expect(row.locator("time")).to_have_text(re.compile(r"^now$|^\d+ s$"))

    page.get_by_label("Compact").check()
    page.get_by_label("Exact time: ").check()
    page.get_by_label("For all keys").check()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.get_by_label("Plain editor").check()
    page.get_by_label("Dark").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    tab.look()
    expect(tab.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(row.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    assert row.bounding_box()["height"] == 28
    expect(tab.button("New key")).not_to_have_attribute("aria-keyshortcuts", re.compile("n"))
    tab.page.keyboard.press("n")
    ada.set("b", 1)
    expect(tab.page.locator("#polite")).to_have_text(re.compile("^b was changed: Chrome on Linux.$|^b was changed"))
    expect(tab.page.locator("#new-key")).to_have_count(0)

    page.bring_to_front()
    page.reload()
    for label in ("Compact", "Exact time: ", "For all keys", "Plain editor"):
        expect(page.get_by_label(label)).to_be_checked()
    expect(page.get_by_label("Single-key shortcuts")).not_to_be_checked()
