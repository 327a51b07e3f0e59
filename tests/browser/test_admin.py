"""The superuser's pages in a real browser: by keyboard alone, without JavaScript, and accessible to everybody."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import check
from tests.live_server import PASSWORD, Server, fresh_name


@pytest.fixture
def ada(admin_server: Server):
    """A user with keys, and a token for them."""
    account = admin_server.sign_up(fresh_name("ada"))
    account.http("batch", ops=[{"op": "set", "key": f"app/key-{n}", "value": {"n": n}} for n in range(3)])
    yield account
    account.close()


def open_user(page: Page, admin_server: Server, name: str) -> None:
    page.goto(f"{admin_server.url}/admin/users?search={name}")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_axe_finds_nothing_on_any_page(make_root, admin_server, ada):
    root = make_root()
    ada.http("set", key="a-long-name/" * 12, value="x")
    page = root.new_page()
    open_user(page, admin_server, ada.username)
    user = page.url
    others = [
        "/admin/users",
        "/admin/users/new",
        "/admin/audit",
        "/admin/diagnostics",
        "/admin/users?search=nobody",
        "/admin/backup",
    ]
    acts = ["", "/entries", "/delete", "/quota", "/sessions", "/disable", "/reveal?key=app/key-1"]
    for address in [*(admin_server.url + path for path in others), *(user + act for act in acts)]:
        page.goto(address)
        check(page, address)
    page.get_by_label("Your password", exact=True).fill("not the password")
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("#problem")).to_have_text("Wrong password.")
    check(page, "refused")
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("pre.value")).to_contain_text('"n": 1')
    check(page, "value")
    page.goto(user + "/link")
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create recovery link").click()
    check(page, "secret")
    root.complaints = [text for text in root.complaints if "status of 401" not in text]


def test_every_page_fits_320_pixels(make_root, admin_server, ada):
    page = make_root(viewport={"width": 320, "height": 568}).new_page()
    ada.http("set", key="without-any-place-to-break-" * 8, value="x" * 500)
    open_user(page, admin_server, ada.username)
    user = page.url
    for path in ("/admin/users", "/admin/users/new", "/admin/audit", "/admin/diagnostics", "/admin/backup"):
        page.goto(admin_server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 320, path
    for act in ("", "/entries", "/delete", "/quota"):
        page.goto(user + act)
        assert page.evaluate("document.documentElement.scrollWidth") == 320, act


def test_a_user_can_be_disabled_by_keyboard_alone(make_root, admin_server, ada):
    tab = ada.open_tab()
    page = make_root().new_page()
    press, kind = page.keyboard.press, page.keyboard.type
    focused = page.locator(":focus")

    def tab_to(name: str | re.Pattern[str]) -> None:
        for _ in range(60):
            press("Tab")
            if focused.count() and re.fullmatch(name, focused.inner_text().strip()):
                return
        raise AssertionError(f"{name} is not reached")

    page.goto(admin_server.url + "/keys")
    tab_to("Admin")
    press("Enter")
    page.wait_for_url("**/admin/users")
    press("Tab")
    expect(focused).to_have_text("Skip to content")
    while focused.get_attribute("id") != "search":
        press("Tab")
    kind(ada.username)
    press("Enter")
    page.wait_for_url("**search=*")
    tab_to(ada.username)
    press("Enter")
    page.wait_for_url(re.compile(r"/admin/users/\d+$"))
    tab_to("Disable")
    press("Enter")
    page.wait_for_url("**/disable")
    expect(page.locator("form.card p").first).to_contain_text("Ends 1 session and 0 API tokens")
    expect(focused).to_have_attribute("id", "password")
    kind(PASSWORD)
    press("Enter")
    page.wait_for_url("**?done=disable")
    expect(page.get_by_role("status")).to_have_text(f"{ada.username} is disabled.")
    assert tab.next("signed_out") == {"reason": "disabled"}
    assert ada.http("get", key="app/key-1").status_code == 401


def test_everything_works_without_javascript(make_root, admin_server, ada):
    page = make_root(java_script_enabled=False).new_page()
    page.goto(admin_server.url + "/admin")
    page.get_by_label("Name contains").fill(ada.username)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=ada.username, exact=True).click()
    page.get_by_role("link", name="View keys").click()
    page.get_by_role("link", name="Reveal the value of app/key-2").click()
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("pre.value")).to_contain_text('"n": 2')
    page.get_by_role("link", name="Audit log").click()
    expect(page.locator("tbody tr").first).to_contain_text("Value revealed to a superuser")
    page.get_by_role("link", name="Diagnostics").click()
    expect(page.locator("#moving")).to_contain_text("As of")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("[data-headline=tabs]")).to_be_visible()


def test_deleting_a_user_requires_the_name_and_can_be_undone(make_root, admin_server, ada):
    page = make_root().new_page()
    open_user(page, admin_server, ada.username)
    page.get_by_role("link", name="Delete", exact=True).click()
    expect(page.locator("form.card")).to_contain_text(f"Deletes {ada.username}, 3 entries, 1 session, 0 tokens.")
    page.get_by_label(f"Type {ada.username}").fill(ada.username)
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Delete user").click()
    expect(page.get_by_role("status")).to_have_text(f"{ada.username} is deleted.")
    page.get_by_role("link", name="Restore").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status")).to_have_text(f"{ada.username} is restored.")


def test_a_backup_download_appears_in_the_events_of_every_user(make_root, make_person, admin_server):
    page = make_root().new_page()
    somebody = make_person(server=admin_server)
    page.goto(admin_server.url + "/admin/backup")
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download backup").click()
    assert Path(download.value.path()).read_bytes().startswith(b"SQLite format 3\0")
    theirs = somebody.new_page()
    theirs.goto(admin_server.url + "/account/events")
    expect(theirs.locator("main")).to_contain_text("Backup downloaded")


def test_diagnostics_list_a_reached_limit_and_fit_a_narrow_window(make_root, admin_server, ada):
    root = make_root()
    page = root.new_page()
    open_user(page, admin_server, ada.username)
    page.goto(page.url + "/quota")
    page.get_by_label("Keys").fill("3")
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Change quota").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ada.username)
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(admin_server.url + "/admin/diagnostics")
    section = page.get_by_role("region", name="Limits reached")
    expect(section).to_contain_text("No limit was reached")
    assert ada.http("set", key="one too many", value=1).status_code == 507
    expect(section.get_by_role("rowheader", name="Quota")).to_be_visible()
    link = section.get_by_role("link", name=ada.username)
    expect(link).to_have_attribute("href", re.compile("/admin/users/[0-9]+"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_diagnostics_update_live_until_paused(make_root, admin_server, ada):
    page = make_root().new_page()
    page.goto(admin_server.url + "/admin/diagnostics")
    tabs = page.locator("[data-headline=tabs]")
    writes = page.locator("[data-fact='Writes since the start']")
    expect(page.locator("#moving")).to_have_text("Live")
    before = int(tabs.inner_text())
    ada.open_tab()
    expect(tabs).to_have_text(str(before + 1))
    # the line appears with the second measurement
    expect(page.locator("[data-figure=memory_bytes]")).to_have_attribute("d", re.compile("^M.*L"))
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#moving")).to_have_text("Paused")
    count = writes.inner_text()
    with page.expect_request("**/admin/diagnostics.json"):
        ada.http("set", key="more", value=1)
        page.get_by_role("button", name="Pause").click()
    expect(writes).not_to_have_text(count)
