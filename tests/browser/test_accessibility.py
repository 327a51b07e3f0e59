"""axe finds nothing: on every page, in its states, in light and dark, from 1280 pixels down to 320."""

import time
from pathlib import Path

import pyotp
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person, resize
from tests.live_server import PASSWORD

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {1280: 800, 320: 568}


def check(page: Page, what: str, *, dark: bool = True) -> None:
    """Check that axe finds nothing on a wide screen in light colours, and on a narrow phone in dark ones.

    The layout changes between these two widths; `test_layout.py` looks at those in between.
    """
    # wait for the styles
    page.wait_for_load_state()
    page.evaluate(AXE.read_text())
    told = _found(page, f"{what} 1280")
    resize(page, 320, SIZES[320])
    if dark:
        page.emulate_media(color_scheme="dark")
    told += _found(page, f"{what} 320")
    page.emulate_media(color_scheme="light")
    resize(page, 1280, SIZES[1280])
    assert told == []


def _found(page: Page, what: str) -> list[str]:
    # judge the colours after all animations have ended
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => null)))")
    rules = {"type": "tag", "values": RULES}
    found = page.evaluate("(rules) => axe.run({runOnly: rules, resultTypes: ['violations']})", rules)
    return [
        f"{what}: {violation['id']}: {violation['help']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def test_sign_in_sign_up_and_not_found_pages_pass_axe(make_person, server):
    person = make_person(signed_up=False)
    page = person.new_page()
    for path in ("/signin", "/signup"):
        page.goto(server.url + path)
        check(page, path)
        page.get_by_label("Username").fill("x")
        page.get_by_label("Password", exact=True).fill("wrong wrong")
        page.locator("form.card button[type=submit]").click()
        expect(page.locator("#problem, #username-problem")).to_be_visible()
        check(page, f"{path} refused")
    page.goto(server.url + "/nowhere")
    check(page, "not found")
    person.complaints = [text for text in person.complaints if "status of 4" not in text]


def test_account_pages_pass_axe(make_person):
    person: Person = make_person(reduced_motion="reduce")
    server_url = person.server.url
    # a second session, so that there is one to sign out
    other = make_person(signed_up=False)
    other.username = person.username
    other.sign_in()
    page = person.new_page()
    for tab in ("profile", "security", "sessions", "data", "preferences", "events"):
        page.goto(f"{server_url}/account/{tab}")
        check(page, tab)
    page.goto(f"{server_url}/account/tokens")
    page.get_by_label("Name").fill("\t")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#name-problem")).to_be_visible()
    check(page, "token refused")
    page.get_by_label("Name").fill("a program")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#token")).to_be_visible()
    check(page, "new token")
    page.get_by_role("link", name="Done, I've stored it").click()
    page.locator("summary", has_text="Revoke").click()
    check(page, "tokens")
    page.goto(f"{server_url}/account/security")
    page.locator("#two_step-password").fill("not this one")
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator("#two_step-password-problem")).to_be_visible()
    check(page, "security refused")
    page.locator("#two_step-password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator("#secret")).to_be_visible()
    check(page, "two steps")
    app = pyotp.TOTP(page.locator("#secret").inner_text().replace(" ", ""))
    page.get_by_label("Code", exact=True).fill(app.now())
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_text("Two-step sign-in is on")).to_be_visible()
    check(page, "security with two steps")
    page.locator("#codes-password").fill(PASSWORD)
    page.get_by_role("button", name="Create new codes").click()
    expect(page.locator("#codes")).to_be_visible()
    check(page, "recovery codes")
    code = page.locator("#codes").inner_text().split()[0]
    person.context.clear_cookies()
    page.goto(f"{server_url}/signin")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/signin/code*")
    check(page, "code")
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill("x")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#code-problem")).to_be_visible()
    check(page, "wrong recovery code")
    for path in ("/recover", "/recover/mail", "/recover/x", "/recover/code"):
        page.goto(server_url + path)
        check(page, path)
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Recovery code").fill(code)
    page.get_by_label("New password", exact=True).fill(PASSWORD + "!")
    page.get_by_role("button", name="Set the new password").click()
    expect(page.locator(".done")).to_be_visible()
    check(page, "password set")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD + "!")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/signin/code*")
    page.get_by_label("Code", exact=True).fill(app.at(int(time.time()) + 30))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".notice")).to_be_visible()
    check(page, "keys with a notice")
    person.complaints = [text for text in person.complaints if "status of 4" not in text]


def test_the_dashboard_passes_axe(make_person):
    person: Person = make_person(reduced_motion="reduce")
    tab = person.open_tab()
    check(tab.page, "empty")
    tab.click("New key")
    check(tab.page, "new key")
    values = {"app/on": True, "app/text": "some text", "app/n": 1.5, "none": None, "list": [1, 2], "object": {"a": {}}}
    person.call("batch", ops=[{"op": "set", "key": key, "value": value} for key, value in values.items()])
    tab.click("Cancel")
    expect(tab.row("app/on")).to_be_visible()
    check(tab.page, "rows with news")
    tab.open("object")
    expect(tab.page.locator(".meta time")).to_have_count(2)
    check(tab.page, "open key")
    tab.type_value('{"a": 1}')
    check(tab.page, "editor")
    tab.type_value("{")
    check(tab.page, "not JSON")
    tab.type_value("{}")
    person.set("object", "theirs")
    expect(tab.conflict).to_be_visible()
    check(tab.page, "conflict")
    tab.click("Take theirs")
    tab.click("Delete")
    expect(tab.button("Undo")).to_be_visible()
    check(tab.page, "undo")
    tab.page.get_by_label("Filter keys").fill("nothing")
    check(tab.page, "no match")
    tab.click("Clear the filter")
    tab.page.locator("body").press("?")
    check(tab.page, "keyboard dialog")
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("Control+k")
    tab.page.keyboard.type("a")
    check(tab.page, "palette")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_role("button", name="Signed in as").click()
    check(tab.page, "menu")
    tab.page.keyboard.press("Escape")
    tab.state.click()
    expect(tab.page.locator("#status li")).to_have_count(1)
    check(tab.page, "connection")
    tab.page.keyboard.press("Escape")
    missing = person.open_tab("missing")
    check(missing.page, "missing key")


def test_the_key_list_passes_axe(make_person):
    person: Person = make_person(reduced_motion="reduce")
    values = {"app/on": True, "app/deep/text": "some text", "app/deep/n": 1.5, "none": None, "list": [1, 2]}
    person.call("batch", ops=[{"op": "set", "key": key, "value": value} for key, value in values.items()])
    tab = person.open_tab()
    page = tab.page
    page.keyboard.press("p")
    # from now on changes wait
    expect(page.locator("#resume")).to_be_visible()
    person.set("none", 1)
    expect(page.locator("#resume")).to_contain_text("1 change")
    tab.row("app/on").focus()
    page.keyboard.press("x")
    expect(page.locator("#selected")).to_be_visible()
    check(page, "ticked and paused")
    tab.click("Move…")
    check(page, "move")
    page.locator("#move-to").fill("app/deep/\t")
    expect(page.locator("#move-note .bad")).to_be_visible()
    check(page, "not there")
    page.keyboard.press("Escape")
    tab.click("Clear")
    page.get_by_label("Filter keys").fill("text")
    expect(page.locator("mark").first).to_be_visible()
    check(page, "matches")
    tab.row("app/deep/").hover()
    page.get_by_role("button", name="Actions for app/deep/", exact=True).click()
    expect(page.get_by_role("menu")).to_be_visible()
    check(page, "actions")
    page.goto(f"{person.server.url}/keys?prefix=app/deep/&sort=-updated&view=list")
    expect(page.get_by_role("navigation", name="Folder")).to_be_visible()
    check(page, "a folder")


def test_the_offline_dashboard_passes_axe(make_person):
    person: Person = make_person()
    person.expects_outage = True
    person.set("a", 1)
    tab = person.open_tab("a")
    person.go_offline()
    tab.is_offline()
    tab.type_value("2")
    tab.save()
    expect(tab.page.locator("#unsent")).to_be_visible()
    check(tab.page, "offline")
    person.call("sign_out")
    person.context.set_offline(False)
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    check(tab.page, "signed out")


def test_activity_trash_and_history_pass_axe(make_person):
    person: Person = make_person(reduced_motion="reduce")
    page = person.new_page()
    page.goto(f"{person.server.url}/activity")
    expect(page.get_by_role("heading", name="Nothing has happened yet")).to_be_visible()
    check(page, "no activity")
    page.goto(f"{person.server.url}/trash")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    check(page, "empty trash")
    person.set("app/flag", {"on": False})
    person.set("app/flag", {"on": True, "for": ["ada"]})
    person.call("batch", ops=[{"op": "set", "key": f"devices/{n}", "value": n} for n in range(3)])
    person.call("batch", ops=[{"op": "delete", "key": f"devices/{n}"} for n in range(2)])
    expect(page.locator(".bin-row")).to_have_count(3)
    page.get_by_label("Select devices/1").check()
    check(page, "trash")
    page.get_by_label("Filter keys", exact=True).fill("nothing")
    check(page, "trash without a match")
    page.goto(f"{person.server.url}/activity")
    page.get_by_role("button", name="Created 3 keys").click()
    check(page, "activity")
    page.goto(f"{person.server.url}/keys?key=app/flag&tab=history")
    expect(page.locator(".difference")).to_be_visible()
    check(page, "history")
    page.get_by_label("Side by side").check()
    page.goto(f"{person.server.url}/keys?key=devices/0&tab=history")
    expect(page.locator(".was-deleted")).to_be_visible()
    check(page, "history of a deleted key")
    page.goto(f"{person.server.url}/activity")
    page.locator(".write").first.hover()
    person.set("new", 1)
    expect(page.get_by_role("button", name="1 new changes")).to_be_visible()
    check(page, "activity with news")
    page.get_by_label("Filter by key or value").fill("nothing")
    expect(page.get_by_text("No change matches.")).to_be_visible()
    check(page, "activity without a match")
    person.expects_outage = True
    person.go_offline()
    expect(page.locator(".offline")).to_be_visible()
    check(page, "activity offline")
