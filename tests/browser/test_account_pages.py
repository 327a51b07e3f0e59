"""The account pages in a real browser: by keyboard alone, without JavaScript, and followed at once by other tabs."""

import re
import time

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person, sign_out
from tests.live_server import PASSWORD, fresh_name

NEW = "another-rather-Long-passphrase"


def sign_in(page: Page, person: Person, password: str = PASSWORD) -> None:
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_up(page: Page, person: Person) -> list[str]:
    """Sign up with the form; return the recovery codes."""
    page.goto(person.server.url + "/signup")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    codes = page.locator("#codes").inner_text().split()
    page.get_by_role("link", name="I've saved them").click()
    page.wait_for_url("**/keys")
    return codes


def account(page: Page, person: Person, tab: str) -> None:
    page.goto(f"{person.server.url}/account/{tab}")


def refusals_are_fair(person: Person) -> None:
    """Accept the complaints about refused forms, whose status Chromium reports."""
    person.complaints = [text for text in person.complaints if not re.search(r"status of (401|410|422)", text)]


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without"])
def newcomer(make_person, request) -> Person:
    person = make_person("newcomer", signed_up=False, java_script_enabled=request.param)
    person.scripted = request.param
    return person


def test_recovery_codes_can_be_copied_and_downloaded(make_person, server):
    person = make_person("codes", signed_up=False, permissions=["clipboard-read", "clipboard-write"])
    page = person.new_page()
    page.goto(server.url + "/signup")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD[:9])
    expect(page.locator("#password-measure")).to_have_text("Long enough, if it is not a common word or a name.")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    codes = page.locator("#codes").inner_text()
    assert len(codes.split()) == 10
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == codes
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    kept = started.value.path().read_text()
    assert codes in kept and person.username in kept


def test_the_account_life_cycle_works_with_and_without_javascript(newcomer):
    """Sign up, enable a second step, make a token, recover by a code, delete the account and return."""
    person, page = newcomer, newcomer.new_page()
    codes = sign_up(page, person)

    account(page, person, "tokens")
    page.get_by_label("Name").fill("weather station")
    page.get_by_label("Read and write").check()
    page.get_by_role("button", name="Create token").click()
    token = page.locator("#token").inner_text()
    assert re.fullmatch(r"rkv_[\w-]{43}", token)
    assert token in page.locator("#curl").inner_text()
    bearer = {"Authorization": f"Bearer {token}"}
    assert person.context.request.get(person.server.url + "/api/v1/list", headers=bearer).ok
    page.get_by_role("link", name="Done, I've stored it").click()
    expect(page.locator("main")).to_contain_text("weather station")
    assert token not in page.content()
    page.locator("summary", has_text="Revoke").click()
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_text("That token is revoked.")).to_be_visible()
    assert person.context.request.get(person.server.url + "/api/v1/list", headers=bearer).status == 401

    account(page, person, "security")
    page.locator("#two_step-password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code").locator("svg")).to_be_visible()
    app = pyotp.TOTP(page.locator("#secret").inner_text().replace(" ", ""))
    page.get_by_label("Code", exact=True).fill(app.now())
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_text("Two-step sign-in is on")).to_be_visible()

    sign_out(page)
    page.wait_for_url("**/signin")
    page.goto(person.server.url + "/account/sessions")
    sign_in(page, person)
    page.wait_for_url("**/signin/code?*")
    page.get_by_label("Code", exact=True).fill(app.at(int(time.time()) + 30))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()

    sign_out(page)
    page.get_by_role("link", name="Forgot password?").click()
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Recovery code").fill(codes[0].lower())
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_role("button", name="Set the new password").click()
    expect(page.get_by_text("all other sessions are signed out")).to_be_visible()
    sign_in(page, person, NEW)
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/keys")
    expect(page.get_by_text("Your password was set by a recovery code")).to_be_visible()
    page.get_by_role("button", name="It was me").click()
    page.wait_for_url("**/keys")
    expect(page.get_by_text("Your password was set by")).to_have_count(0)

    account(page, person, "data")
    page.get_by_label("Type your username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(NEW)
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_text("The account is deleted")).to_be_visible()
    sign_in(page, person, NEW)
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[2])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/keys")
    account(page, person, "events")
    expect(page.locator("main")).to_contain_text("Account restored")


def test_the_account_pages_work_by_keyboard_alone(make_person, server):
    person = make_person("keyboard", signed_up=False)
    page = person.new_page()
    press, kind, focused = page.keyboard.press, page.keyboard.type, page.locator(":focus")

    def tab_to(name: str) -> None:
        for _ in range(40):
            press("Tab")
            label = focused.evaluate("e => e.labels?.[0]?.textContent ?? e.getAttribute('aria-label') ?? e.textContent")
            if label.strip().startswith(name):
                return
        raise AssertionError(f"{name} cannot be reached")

    page.goto(server.url + "/signin")
    tab_to("Create an account")
    press("Enter")
    page.wait_for_url("**/signup")
    kind(person.username)
    tab_to("Password")
    kind(PASSWORD)
    press("Enter")
    expect(page.locator("#codes")).to_be_visible()
    tab_to("I've saved them")
    press("Enter")
    page.wait_for_url("**/keys")
    tab_to("Account")
    press("Enter")
    page.wait_for_url("**/account/profile")
    press("Tab")
    expect(focused).to_have_text("Skip to content")
    press("Enter")
    tab_to("Tokens")
    press("Enter")
    page.wait_for_url("**/account/tokens")
    tab_to("Name")
    kind("by keyboard")
    tab_to("Read")
    press("ArrowDown")
    tab_to("Create token")
    press("Enter")
    expect(page.locator("#token")).to_be_visible()
    tab_to("Done, I've stored it")
    press("Enter")
    expect(page.get_by_role("heading", name="New token")).to_be_visible()
    tab_to("Revoke")
    press("Enter")
    tab_to("Revoke for good")
    press("Enter")
    expect(page.get_by_text("That token is revoked.")).to_be_visible()
    tab_to("Preferences")
    press("Enter")
    page.wait_for_url("**/account/preferences")
    tab_to("Follow system")
    press("ArrowDown")
    press("ArrowDown")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    for _ in range(40):
        press("Shift+Tab")
        if focused.get_attribute("id") == "user":
            break
    press("Enter")
    tab_to("Sign out")
    press("Enter")
    page.wait_for_url("**/signin")
    # signing out clears the browser's storage; the theme says nothing about a user, and stays
    assert page.evaluate("localStorage.getItem('theme')") is None
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_remotely_ended_session_shows_the_reason_and_keeps_the_draft(make_person, server):
    laptop, phone = make_person("ada"), make_person("phone", signed_up=False)
    phone.username = laptop.username
    phone.sign_in()
    tab = laptop.open_tab()
    tab.create("a", "1")
    expect(tab.row("a")).to_be_visible()
    tab.page.goto(server.url + "/keys?key=a")
    tab.is_live()
    tab.type_value('"not saved yet"')
    page = phone.new_page()
    account(page, phone, "sessions")
    page.get_by_role("button", name="Sign out all others").click()
    expect(page.get_by_text("All other sessions are signed out.")).to_be_visible()
    dialog = tab.page.get_by_role("dialog", name="You were signed out")
    expect(dialog).to_contain_text("You were signed out of this session")
    expect(dialog).to_contain_text(f"Sign in again as {laptop.username} in this tab to go on with it.")
    dialog.get_by_role("link", name="Sign in again").click()
    sign_in(tab.page, laptop)
    tab.page.wait_for_url("**/keys?key=a")
    expect(tab.editor).to_have_value('"not saved yet"')


def test_other_browsers_show_a_changed_password_and_a_deleted_account(make_person, server):
    laptop, phone = make_person("ada"), make_person("phone", signed_up=False)
    phone.username = laptop.username
    page = phone.sign_in().new_page()
    for tab_name, fill, button, words in (
        ("security", ("#password-password", "#new_password"), "Change the password", "The password, or the way"),
        ("data", ("#username", "#delete-password"), "Delete the account", "This account has been deleted"),
    ):
        tab = laptop.open_tab()
        account(page, phone, tab_name)
        texts = (PASSWORD, NEW) if tab_name == "security" else (laptop.username, NEW)
        for field, text in zip(fill, texts, strict=True):
            page.locator(field).fill(text)
        page.get_by_role("button", name=button).click()
        expect(tab.page.get_by_role("dialog", name="You were signed out")).to_contain_text(words)
        if tab_name == "security":
            tab.page.get_by_role("link", name="Sign in again").click()
            sign_in(tab.page, laptop, NEW)
            tab.page.wait_for_url("**/keys")
            tab.page.close()


def test_every_sign_out_reason_has_its_own_message(ada):
    tab = ada.open_tab()
    told = tab.page.evaluate("""async () => {
      const { showSignedOut } = await import("/static/js/dashboard/shell/dialogs.js")
      const sentence = (reason) => {
        showSignedOut(document.getElementById("dialogs"), reason, [])
        return document.querySelector("#signed-out p").textContent
      }
      return ["signed_out", "ended", "expired", "password_changed", "disabled", "deleted", "revoked", "another_user",
        "unauthenticated"].map(sentence)
    }""")
    assert len(set(told)) == 9


def test_signing_out_with_unsaved_changes_asks_for_confirmation(ada):
    tab = ada.open_tab()
    tab.create("a", "1")
    expect(tab.row("a")).to_be_visible()
    tab.open("a")
    tab.type_value('"not saved yet"')
    tab.sign_out()
    dialog = tab.page.get_by_role("dialog", name="Sign out and lose this?")
    expect(dialog).to_contain_text('"not saved yet"')
    dialog.get_by_role("button", name="Stay").click()
    expect(dialog).to_have_count(0)
    expect(tab.editor).to_have_value('"not saved yet"')
    tab.sign_out()
    dialog.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url("**/signin")


def test_a_form_error_describes_its_field_and_moves_the_focus_there(make_person):
    person = make_person("wrong")
    page = person.new_page()
    account(page, person, "security")
    page.locator("#two_step-password").fill("not this one")
    page.get_by_role("button", name="Set it up").click()
    field = page.locator("#two_step-password")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("Error: Wrong password.")
    refusals_are_fair(person)


def test_a_recovery_link_leaves_no_secret_in_the_url(make_person, server):
    person = make_person("linked", signed_up=False)
    page = person.new_page()
    page.goto(server.url + "/recover/" + fresh_name("secret"))
    expect(page).to_have_url(server.url + "/recover/password")
    expect(page.get_by_role("heading")).to_have_text("This link has expired or was already used")
    refusals_are_fair(person)


def test_no_page_of_the_account_is_wider_than_320_pixels(make_person, server):
    person = make_person("narrow", viewport={"width": 320, "height": 568})
    page = person.new_page()
    account(page, person, "tokens")
    page.get_by_label("Name").fill("W" * 64)
    page.get_by_label("Only keys that begin with").fill("a-folder-with-a-long-name/" * 10)
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#token")).to_be_visible()
    page.wait_for_load_state()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0
    for tab in ("profile", "security", "sessions", "tokens", "data", "preferences", "events"):
        account(page, person, tab)
        assert page.evaluate(overflow) == 0, tab
