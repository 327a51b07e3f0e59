"""Layout: elements open in the right place, and notices that appear move nothing that the user looks at."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.browsing import Person, resize
from tests.live_server import PASSWORD

SIZES = {1280: 800, 768: 1024, 390: 844, 320: 568}


def box(what: Locator) -> dict[str, float]:
    return what.bounding_box()


def fits(page: Page, what: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, what


def test_the_menu_and_the_connection_status_open_below_their_buttons(ada: Person):
    for open_page in (lambda: ada.open_tab().page, lambda: goto(ada, "/account/profile")):
        page = open_page()
        for width, height in SIZES.items():
            resize(page, width, height)
            for button, opened in (("#user", "#menu"), ("#conn", "#status")):
                if not page.locator(button).count():
                    continue
                page.locator(button).click()
                expect(page.locator(opened)).to_be_visible()
                above, below = box(page.locator(button)), box(page.locator(opened))
                assert 0 <= below["y"] - above["y"] - above["height"] <= 16, (width, opened)
                assert width / 2 < below["x"] + below["width"] <= width, (width, opened)
                page.keyboard.press("Escape")


def test_the_menu_of_a_row_stays_on_screen_after_a_resize(ada: Person):
    ada.set("app/banner", "text")
    tab = ada.open_tab()
    tab.row("app/banner").hover()
    tab.button("Actions for app/banner").click()
    for width, height in SIZES.items():
        resize(tab.page, width, height)
        menu = box(tab.page.get_by_role("menu"))
        assert 0 <= menu["x"] < menu["x"] + menu["width"] <= width, width
        assert 0 <= menu["y"] < menu["y"] + menu["height"] <= height, width


def test_the_shortcuts_dialog_is_centred_while_a_key_is_open(ada: Person):
    ada.set("app/banner", "text")
    page = ada.open_tab("app/banner").page
    page.keyboard.press("?")
    sheet = page.locator("#shortcuts")
    expect(sheet).to_be_visible()
    # all of it, in the middle
    assert sheet.evaluate("(sheet) => sheet.scrollHeight - sheet.clientHeight") <= 0
    found = box(sheet)
    assert abs(found["x"] * 2 + found["width"] - 1280) <= 2
    assert abs(found["y"] * 2 + found["height"] - 800) <= 2


def test_rows_stay_in_place_when_the_connection_is_lost_and_restored(make_person):
    ada: Person = make_person("ada")
    ada.expects_outage = True
    for n in range(60):
        ada.set(f"key-{n:02}", n)
    tab = ada.open_tab()
    tab.page.goto(f"{ada.server.url}/keys?view=list")
    tab.is_live()
    expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
    for width, height in SIZES.items():
        resize(tab.page, width, height)
        before = box(tab.row("key-04"))
        ada.go_offline()
        tab.is_offline()
        expect(tab.page.locator(".offline")).to_be_in_viewport()
        assert box(tab.row("key-04")) == before, width
        ada.context.set_offline(False)
        tab.is_live()
        expect(tab.page.locator(".offline")).to_have_count(0)
        assert box(tab.row("key-04")) == before, width


def test_activity_rows_stay_in_place_when_the_connection_is_lost(make_person):
    ada: Person = make_person("ada")
    ada.expects_outage = True
    for n in range(40):
        ada.set("key", n)
    tab = ada.open_tab()
    tab.page.goto(f"{ada.server.url}/activity")
    tab.is_live()
    row = tab.page.locator(".write").nth(2)
    for width, height in SIZES.items():
        resize(tab.page, width, height)
        expect(row.get_by_role("button", name="Undo")).to_have_count(0)
        before = box(row)["y"]
        ada.go_offline()
        tab.is_offline()
        # visible without scrolling
        expect(tab.page.locator(".past-page > .offline")).to_be_in_viewport(ratio=1)
        assert box(row)["y"] == before, width
        ada.context.set_offline(False)
        tab.is_live()
        expect(tab.page.locator(".offline")).to_have_count(0)


def test_rows_stay_in_place_while_filtering(ada: Person):
    for n in range(40):
        ada.set(f"key-{n:02}", n)
    tab = ada.open_tab()
    for width, height in SIZES.items():
        resize(tab.page, width, height)
        before = box(tab.page.locator(".grid"))["y"]
        tab.page.locator("#filter").fill("key")
        expect(tab.count).to_have_text("40 matches of 40 keys")
        assert box(tab.page.locator(".grid"))["y"] == before, width
        tab.page.locator("#filter").fill("")


def test_the_new_key_form_fits_the_smallest_screen(make_person):
    page = make_person("ada", viewport={"width": 320, "height": 568}).open_tab().page
    page.get_by_role("button", name="New key").click()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    fits(page, "a new key")


def test_a_users_status_and_recovery_link_fit_their_row_and_card(make_root, make_person, admin_server):
    eve = make_person("eve", server=admin_server)
    page = make_root().new_page()
    for width, height in SIZES.items():
        resize(page, width, height)
        page.goto(admin_server.url + "/admin/users")
        row = page.locator("tr").filter(has=page.get_by_role("link", name=eve.username, exact=True))
        outer, inner = box(row), box(row.get_by_text("active", exact=True))
        assert outer["y"] < inner["y"] < outer["y"] + outer["height"], width
    page.get_by_role("link", name=eve.username, exact=True).click()
    page.wait_for_url(re.compile(r"/admin/users/\d+$"))
    page.goto(page.url + "/link")
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create recovery link").click()
    expect(page.locator(".code-list")).to_be_visible()
    for width, height in SIZES.items():
        resize(page, width, height)
        outer, inner = box(page.locator(".card")), box(page.locator(".code-list"))
        assert inner["x"] + inner["width"] < outer["x"] + outer["width"], width
        fits(page, "the link")


def goto(person: Person, path: str) -> Page:
    page = person.new_page()
    page.goto(person.server.url + path)
    return page
