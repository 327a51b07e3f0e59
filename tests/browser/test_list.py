"""The list of keys: a tree or flat; found, sorted, ticked, moved; by pointer, finger and keyboard; with the address."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Held, Person, Tab

SPACE = {
    "app/banner": "Maintenance on Sunday",
    "app/flags/checkout": True,
    "app/flags/search": False,
    "app/rate": 250,
    "devices/berlin": {"temperature": 21.5, "place": "Greenhouse"},
    "readme": "Shared notes",
}


def fill(person: Person, space: dict | None = None) -> None:
    items = list((space or SPACE).items())
    for start in range(0, len(items), 128):
        ops = [{"op": "set", "key": key, "value": value} for key, value in items[start : start + 128]]
        person.call("batch", ops=ops)


@pytest.fixture
def tab(ada: Person) -> Tab:
    fill(ada)
    return ada.open_tab()


def test_folders_toggle_by_keyboard_and_pointer_and_keep_their_state(ada, tab):
    page = tab.page
    press, focused = page.keyboard.press, page.locator(":focus")
    expect(tab.rows).to_have_text(
        [r"app/", "banner", "flags/", "checkout", "search", "rate", "devices/", "berlin", "readme"]
    )
    expect(page.get_by_role("treegrid", name="Keys")).to_have_attribute("aria-rowcount", "9")
    flags = tab.folder("app/flags/")
    for name, value in {"level": "2", "posinset": "2", "setsize": "3", "expanded": "true"}.items():
        expect(flags).to_have_attribute(f"aria-{name}", value)
    expect(flags.locator(".v")).to_have_text(re.compile("^2"))
    # the list is one tab stop; the arrows go on from there
    page.locator("#pause").focus()
    press("Tab")
    expect(focused).to_have_attribute("aria-rowindex", "1")
    press("ArrowLeft")
    expect(tab.rows).to_have_text(["app/", "devices/", "berlin", "readme"])
    expect(focused).to_have_attribute("aria-expanded", "false")
    press("ArrowRight")
    press("ArrowRight")
    expect(focused).to_have_attribute("aria-rowindex", "2")
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowLeft")
    expect(focused).to_have_attribute("aria-rowindex", "3")
    press("ArrowLeft")
    expect(tab.rows).to_have_count(7)
    press("ArrowLeft")
    expect(focused).to_have_attribute("aria-rowindex", "1")
    tab.folder("devices/").click()
    expect(tab.rows).to_have_count(6)
    page.reload()
    expect(tab.rows).to_have_text(["app/", "banner", "flags/", "rate", "devices/", "readme"])
    # a folder shown by itself, and the way back
    tab.folder("app/flags/").press("Enter")
    expect(page).to_have_url(re.compile(r"prefix=app%2Fflags%2F"))
    expect(tab.rows).to_have_text(["checkout", "search"])
    expect(tab.count).to_have_text("2 of 6 keys")
    page.get_by_role("navigation", name="Folder").get_by_role("button", name="app/").click()
    expect(tab.rows).to_have_text(["banner", "flags/", "rate"])
    page.go_back()
    expect(tab.rows).to_have_text(["checkout", "search"])
    page.get_by_role("button", name="All keys").click()
    expect(tab.rows).to_have_count(6)


def test_view_and_sort_order_are_kept_in_the_url_and_remembered(ada, tab):
    page = tab.page
    page.keyboard.press("t")
    expect(page.get_by_role("grid", name="Keys")).to_be_visible()
    expect(tab.rows).to_have_text(list(SPACE))
    expect(page).to_have_url(re.compile("view=list"))
    page.get_by_label("Sort").select_option("Key, Z–A")
    expect(tab.rows).to_have_text(list(reversed(SPACE)))
    ada.set("app/rate", 300)
    page.get_by_label("Sort").select_option("Newest change")
    expect(tab.rows.first).to_have_text("app/rate")
    page.reload()
    expect(tab.rows.first).to_have_text("app/rate")
    expect(page).to_have_url(re.compile(r"sort=-updated"))
    again = ada.open_tab()
    expect(again.rows).to_have_text(list(SPACE))
    again.page.goto(f"{ada.server.url}/keys?prefix=app/&q=a&sort=-key&view=tree")
    expect(again.rows).to_have_text(["rate", "flags/", "search", "checkout", "banner"])
    expect(again.page.get_by_label("Filter keys")).to_have_value("a")


def test_filter_searches_keys_and_values_and_highlights_matches(ada, tab):
    page = tab.page
    box = page.get_by_label("Filter keys")
    page.keyboard.press("/")
    page.keyboard.type("GREEN")
    expect(tab.rows).to_have_text(["devices/", "berlin"])
    expect(tab.value_of("devices/berlin").locator("mark")).to_have_text("Green")
    expect(tab.count).to_have_text("1 match of 6 keys")
    expect(page).to_have_url(re.compile("q=GREEN"))
    # the filter follows new writes
    ada.set("app/rate", "no longer green")
    expect(tab.rows).to_have_text(["app/", "rate", "devices/", "berlin"])
    ada.set("devices/berlin", 0)
    expect(tab.rows).to_have_text(["app/", "rate"])
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-heading")).to_have_text("app/rate")
    box.fill("fla")
    expect(tab.folder("app/flags/").locator("mark")).to_have_text("fla")
    box.fill("flgs")
    expect(page.get_by_text("No keys or values match flgs")).to_be_visible()
    tab.click("Create key flgs")
    expect(page.locator("#new-key")).to_have_value("flgs")
    tab.click("Clear the filter")
    expect(tab.rows).to_have_count(9)
    page.goto(f"{ada.server.url}/keys?q=sunday")
    expect(tab.rows).to_have_text(["app/", "banner"])


def test_back_and_forward_restore_scroll_position_and_selection(make_person):
    ada = make_person("ada", viewport={"width": 1280, "height": 600})
    fill(ada, {f"k{i:03}": i for i in range(300)})
    tab = ada.open_tab()
    page = tab.page
    grid = page.locator(".grid")
    grid.evaluate("(grid) => (grid.scrollTop = 4000)")
    tab.row("k120").get_by_role("checkbox").check()
    tab.open("k121")
    before = tab.row("k121").bounding_box()
    grid.evaluate("(grid) => (grid.scrollTop = 9000)")
    tab.click("Clear")
    tab.open("k255")
    page.go_back()
    expect(page.locator("#detail-heading")).to_have_text("k121")
    page.go_back()
    expect(page.locator("#detail-heading")).to_have_count(0)
    expect(page.locator("#selected")).to_have_text("1 selected")
    expect(tab.row("k120").get_by_role("checkbox")).to_be_checked()
    assert tab.row("k121").bounding_box() == before
    page.go_forward()
    expect(page.locator("#detail-heading")).to_have_text("k121")
    page.go_back()
    page.reload()
    expect(tab.row("k120").get_by_role("checkbox")).to_be_checked()
    assert tab.row("k121").bounding_box() == before


def test_keys_selected_by_keyboard_are_deleted_and_restored_together(ada, tab):
    page = tab.page
    press = page.keyboard.press
    selected = page.locator("#selected")
    tab.row("app/banner").focus()
    press("Space")
    expect(selected).to_have_text("1 selected")
    expect(tab.row("app/banner")).to_have_attribute("aria-selected", "true")
    press("Shift+ArrowDown")
    # a folder counts as all keys in it
    expect(selected).to_have_text("3 selected")
    press("Shift+ArrowUp")
    expect(selected).to_have_text("1 selected")
    press("Control+a")
    expect(selected).to_have_text("6 selected")
    press("Escape")
    expect(selected).to_have_count(0)
    press("Home")
    press("x")
    expect(selected).to_have_text("4 selected")
    press("Delete")
    expect(tab.toasts).to_contain_text("Deleted 4 keys")
    expect(tab.rows).to_have_text(["devices/", "berlin", "readme"])
    expect(page.locator(":focus")).to_have_attribute("role", "row")
    tab.button("Undo").click()
    expect(tab.rows).to_have_count(9)
    assert ada.get("app/flags/checkout") is True
    # a folder without ticks; keys that the filter hides are left alone
    page.get_by_label("Filter keys").fill("search")
    tab.folder("app/flags/").press("Delete")
    expect(page.get_by_text("No keys or values match search")).to_be_visible()
    assert ada.get("app/flags/checkout") is True
    page.get_by_label("Filter keys").fill("")
    tab.folder("app/").press("Delete")
    expect(tab.rows).to_have_text(["devices/", "berlin", "readme"])


def test_selection_bar_does_not_steal_the_focus(ada):
    fill(ada)
    page = ada.new_page()
    bar = Held(page, "**/list/selection-bar.js")
    page.goto(ada.server.url + "/keys")
    tab = Tab(ada, page)
    tab.row("readme").focus()
    page.keyboard.press("x")
    expect(tab.row("readme")).to_have_attribute("aria-selected", "true")
    # move the focus on before the bar's module has loaded
    page.keyboard.press("Tab")
    trash = page.get_by_role("region", name="Key list").get_by_role("link", name="Trash")
    expect(trash).to_be_focused()
    bar.release()
    expect(page.locator("#selected")).to_be_visible()
    expect(trash).to_be_focused()
    page.keyboard.press("Tab")
    expect(tab.button("Delete").first).to_be_focused()
    expect(trash).to_be_hidden()


def test_bulk_delete_is_refused_after_an_unseen_change_to_a_selected_key(ada, tab):
    tab.page.keyboard.press("p")
    expect(tab.page.locator("#resume")).to_be_visible()
    ada.set("app/rate", 1)
    expect(tab.page.locator("#resume")).to_contain_text("1 change waiting")
    tab.row("app/rate").get_by_role("checkbox").check()
    tab.row("readme").click(modifiers=["Control"])
    tab.page.get_by_role("group", name="Selected keys").get_by_role("button", name="Delete").click()
    expect(tab.toasts).to_contain_text("Nothing was deleted: something has just changed in another tab")
    assert ada.get("app/rate") == 1
    assert ada.get("readme") == "Shared notes"


def test_keys_are_renamed_duplicated_and_moved_without_overwriting_others(ada, tab):
    page = tab.page
    to = page.locator("#move-to")
    tab.act("app/rate", "Rename…")
    expect(to).to_be_focused()
    to.fill("app/banner")
    expect(page.locator("#move-note")).to_contain_text("app/banner exists already")
    page.keyboard.press("Enter")
    expect(to).to_be_focused()
    to.fill("app/limits/rate")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-heading")).to_have_text("app/limits/rate")
    assert ada.get("app/limits/rate") == 250
    tab.row("readme").focus()
    page.keyboard.press("Shift+D")
    expect(to).to_have_value("readme-copy")
    page.keyboard.press("Enter")
    expect(tab.value_of("readme-copy")).to_have_text('"Shared notes"')
    tab.act("app/flags/", "Rename or move…")
    to.fill("flags")
    expect(page.locator("#move-note")).to_have_text("2 keys go to flags/.")
    page.keyboard.press("Enter")
    expect(tab.toasts).to_contain_text("Moved app/flags/")
    assert ada.get("flags/search") is False
    # several into a folder
    tab.row("readme").get_by_role("checkbox").check()
    tab.row("app/banner").get_by_role("checkbox").check()
    tab.click("Move…")
    to.fill("old")
    page.keyboard.press("Enter")
    expect(tab.row("old/app/banner")).to_be_visible()
    expect(tab.row("old/readme")).to_be_visible()
    expect(tab.toasts).to_contain_text("Moved 2 keys")
    tab.toasts.get_by_role("button", name="Undo").last.click()
    expect(tab.row("readme")).to_be_visible()
    expect(tab.row("app/banner")).to_be_visible()


def test_selected_keys_are_exported_as_json(ada, tab):
    tab.folder("app/flags/").get_by_role("checkbox").check()
    with tab.page.expect_download() as download:
        tab.click("Export")
    assert json.loads(download.value.path().read_text()) == {"app/flags/checkout": True, "app/flags/search": False}
    tab.act("app/", "New key here")
    expect(tab.page.locator("#new-key")).to_have_value("app/")


def test_paused_list_queues_changes_of_other_tabs_until_resumed(ada, tab):
    page = tab.page
    page.keyboard.press("p")
    expect(page.locator("#resume")).to_have_text("Paused · 0 changes waiting")
    ada.set("app/rate", 1)
    ada.set("app/new", 1)
    ada.set("app/rate", 2)
    expect(page.locator("#resume")).to_have_text("Paused · 2 changes waiting")
    expect(tab.value_of("app/rate")).to_have_text("250")
    expect(tab.row("app/new")).to_have_count(0)
    # this tab's own writes are shown
    tab.create("mine", "1")
    expect(tab.row("mine")).to_be_visible()
    expect(tab.row("app/new")).to_have_count(0)
    page.locator("#resume").click()
    expect(tab.value_of("app/rate")).to_have_text("2")
    expect(tab.mark_of("app/new")).to_contain_text("created by")


def test_list_sorted_by_time_does_not_move_while_a_row_has_the_focus(ada, tab):
    page = tab.page
    tab.click("List")
    page.get_by_label("Sort").select_option("Newest change")
    ada.set("readme", "new")
    expect(tab.rows.first).to_have_text("readme")
    page.locator("#list [role=row]").first.focus()
    ada.set("app/banner", "newer")
    ada.set("app/rate", 1)
    expect(page.locator("#held")).to_have_text("2 changes above · show")
    expect(tab.rows.first).to_have_text("readme")
    page.locator("#held").click()
    expect(tab.rows.first).to_have_text("app/rate")
    expect(page.locator("#held")).to_have_count(0)


def test_keys_changed_while_offline_can_be_listed_alone(ada):
    ada.expects_outage = True
    fill(ada)
    tab = ada.open_tab()
    ada.go_offline()
    tab.is_offline()
    ada.set("app/rate", 1)
    ada.call("delete", key="readme")
    ada.context.set_offline(False)
    tab.is_live()
    tab.click("2 keys changed while you were away")
    expect(tab.rows).to_have_text(["app/", "rate", "readme"])
    expect(tab.value_of("readme")).to_have_text("deleted")
    tab.click("Show all keys again")
    expect(tab.rows).to_have_count(8)


def test_long_press_selects_a_row(make_person):
    ada = make_person("ada", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    fill(ada)
    tab = ada.open_tab()
    # with any text in the filter, the page is as wide as the screen
    tab.page.get_by_label("Filter keys").fill("x" * 200)
    expect(tab.page.get_by_text("No keys or values match")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    tab.page.get_by_label("Filter keys").fill("")
    expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
    row = tab.row("app/banner")
    box = row.bounding_box()
    assert box is not None
    x, y = box["x"] + 60, box["y"] + 20
    touch = ada.context.new_cdp_session(tab.page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    expect(tab.page.locator("#selected")).to_have_text("1 selected")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(tab.page.locator("#detail-heading")).to_have_count(0)
    tab.row("readme").tap()
    expect(tab.page.locator("#selected")).to_have_text("2 selected")
    tab.click("Clear")
    tab.row("readme").tap()
    expect(tab.page.locator("#detail-heading")).to_have_text("readme")


def test_empty_list_offers_curl_sample_data_and_a_first_key(ada):
    tab = ada.open_tab()
    expect(tab.page.get_by_role("heading", name="No keys yet")).to_be_visible()
    expect(tab.page.get_by_role("region", name="Write a key with curl")).to_contain_text(f"{ada.server.url}/api/v1/set")
    tab.click("Load sample data")
    expect(tab.count).to_have_text("10 keys")
    expect(tab.folder("devices/berlin/")).to_be_visible()
    tab.toasts.get_by_role("button", name="Undo").click()
    expect(tab.page.get_by_role("heading", name="No keys yet")).to_be_visible()
    tab.click("Create the first key")
    expect(tab.page.locator("#new-key")).to_be_focused()


def test_divider_moves_and_keeps_its_position_after_a_reload(ada, tab):
    divider = tab.page.get_by_role("separator", name="Width of the key list")
    width = "document.getElementById('list').offsetWidth"
    before = tab.page.evaluate(width)
    expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
    divider.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", str(before + 16))
    tab.page.reload()
    expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
    expect(divider).to_have_attribute("aria-valuenow", str(before + 16))


def test_refused_rename_is_reported_after_its_dialog_is_closed(ada, tab):
    page = tab.page
    expect(page.locator("#main")).to_have_attribute("data-loaded", "all")
    tab.act("readme", "Rename…")
    page.get_by_label("New key").fill("taken")
    ada.expects_outage = True
    ada.go_offline()
    tab.is_offline()
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_role("button", name="Close").click()
    expect(tab.row("readme")).to_contain_text("unsent")
    ada.set("taken", 1)
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.toasts).to_contain_text("Nothing was moved: something has just changed in another tab")
    assert ada.get("taken") == 1
