"""A tab whose session has ended shows nothing of the user, and keeps unsaved text for that user alone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Person, Tab
from tests.browser.test_accessibility import check
from tests.live_server import PASSWORD

SECRET = "s3cr3t"


def sign_in(page: Page, person: Person) -> None:
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def shown(page: Page) -> str:
    """Return everything in the document, shadow roots included, and its title."""
    return page.evaluate("""() => {
      const texts = [document.title, document.documentElement.outerHTML]
      for (const { shadowRoot } of document.querySelectorAll("*")) if (shadowRoot) texts.push(shadowRoot.innerHTML)
      for (const field of document.querySelectorAll("input, textarea")) texts.push(field.value)
      return texts.join("\\n")
    }""")


@pytest.fixture
def elsewhere(make_person):
    """End all sessions of a user from a new one."""

    def end(person: Person) -> None:
        other = make_person(signed_up=False)
        other.username = person.username
        other.sign_in()
        other.call("end_other_sessions")

    return end


def edit_two_texts(tab: Tab) -> None:
    tab.open(f"{SECRET}/a")
    tab.type_value(f'"{SECRET} draft"')
    tab.click("New key")
    tab.page.get_by_label("Key", exact=True).fill(f"{SECRET}/new")
    tab.editor.fill(f'"{SECRET} new"')


@pytest.mark.parametrize("path", ["/keys", f"/keys?key={SECRET}/a&tab=history", "/activity", "/trash"])
def test_ended_session_leaves_no_key_or_value_in_the_page(make_person, elsewhere, path):
    ada = make_person("ada")
    ada.set(f"{SECRET}/a", f"{SECRET} value")
    ada.set(f"{SECRET}/gone", 1)
    ada.call("delete", key=f"{SECRET}/gone")
    tab = ada.open_tab(f"{SECRET}/a")
    tab.page.goto(ada.server.url + path)
    expect(tab.page.locator("#main")).to_contain_text(SECRET)
    tab.page.keyboard.press("Control+k")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    elsewhere(ada)
    expect(tab.page.get_by_role("dialog", name="You were signed out")).to_be_visible()
    assert SECRET not in shown(tab.page).replace("next=", "").replace(f"%3Fkey%3D{SECRET}", "")


def test_unsaved_text_is_restored_after_the_same_user_signs_in(make_person, elsewhere):
    ada = make_person("ada", permissions=["clipboard-read", "clipboard-write"])
    ada.set(f"{SECRET}/a", "before")
    tab = ada.open_tab()
    page = tab.page
    edit_two_texts(tab)
    elsewhere(ada)
    dialog = page.get_by_role("dialog", name="You were signed out")
    expect(dialog).to_contain_text(
        f"2 texts were not saved yet. Sign in again as {ada.username} in this tab to go on with them."
    )
    assert SECRET not in shown(page)
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert f"{SECRET} draft" in page.evaluate("navigator.clipboard.readText()")
    assert SECRET not in shown(page)
    dialog.get_by_role("link", name="Sign in again").click()
    sign_in(page, ada)
    tab.is_live()
    expect(tab.toasts).to_contain_text("2 unsaved texts are here again.")
    tab.open(f"{SECRET}/a")
    # the unsaved text
    expect(tab.editor).to_have_value(f'"{SECRET} draft"')
    tab.save()
    tab.is_saved()
    assert ada_again(make_person, ada).get(f"{SECRET}/a") == f"{SECRET} draft"
    tab.click("New key")
    expect(page.get_by_label("Key", exact=True)).to_have_value(f"{SECRET}/new")
    expect(tab.editor).to_have_value(f'"{SECRET} new"')


def ada_again(make_person, ada: Person) -> Person:
    again = make_person(signed_up=False)
    again.username = ada.username
    return again.sign_in()


def test_unsaved_text_is_discarded_after_another_user_signs_in(make_person, elsewhere):
    ada, bob = make_person("ada"), make_person("bob")
    ada.set(f"{SECRET}/a", "before")
    tab = ada.open_tab()
    edit_two_texts(tab)
    elsewhere(ada)
    tab.page.get_by_role("link", name="Sign in again").click()
    sign_in(tab.page, bob)
    tab.is_live()
    expect(tab.count).to_have_text("0 keys")
    assert SECRET not in shown(tab.page)
    assert tab.page.evaluate("sessionStorage.length") == 0


def test_signed_out_dialog_has_no_axe_violations(make_person, elsewhere):
    ada = make_person("ada")
    ada.set(f"{SECRET}/a", "before")
    tab = ada.open_tab()
    edit_two_texts(tab)
    elsewhere(ada)
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    check(tab.page, "signed out, hidden")
    tab.click("Show them")
    expect(tab.page.get_by_role("group", name="Unsaved text")).to_be_focused()
    check(tab.page, "signed out, shown")
