"""The history of a key: every version, its changes, the difference of any two, and the restoring of any of them."""

import re

from playwright.sync_api import expect


def history(tab, key, query=""):
    tab.page.goto(f"{tab.person.server.url}/keys?key={key}&tab=history{query}")
    return tab.page.locator(".version")


def test_each_version_shows_its_changes_and_can_be_restored(tabs, ada):
    here, there = tabs
    ada.set("app", {"on": False})
    ada.set("app", {"on": True, "for": ["ada"]})
    page = here.page
    rows = history(here.look(), "app")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(re.compile(r"2.*changed.*Chrome on Linux.*API.*\+4.*−1", re.DOTALL))
    expect(rows.nth(1)).to_contain_text(re.compile(r"1.*created.*\+3 lines", re.DOTALL))
    expect(page.get_by_text("Created here.")).to_be_visible()
    # the last two are compared
    difference = page.get_by_role("region", name="What changed from revision 1 to 2")
    expect(difference).to_contain_text('Removed: "on": false')
    # writes from elsewhere appear at once
    there.write("app", "1")
    here.look()
    expect(rows).to_have_count(3)
    expect(page.get_by_role("region", name="What changed from revision 2 to 3")).to_be_visible()
    rows.nth(2).get_by_role("button", name="Restore").click()
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("as in 1")
    expect(rows.nth(0)).to_contain_text("this tab")
    assert ada.get("app") == {"on": False}
    here.click("Undo")
    expect(rows.nth(0)).to_contain_text("undo of 4")
    assert ada.get("app") == 1


def test_comparison_of_any_two_versions_has_its_own_url(ada):
    for value in ("one\ntwo", "one\n2", "one\n2\nthree", 4):
        ada.set("a", value)
    tab = ada.open_tab()
    page = tab.page
    rows = history(tab, "a", "&from=1&to=3")
    difference = page.locator(".difference")
    expect(page.get_by_role("region", name="What changed from revision 1 to 3")).to_contain_text("Added: three")
    page.get_by_label("with revision").select_option("2")
    expect(page).to_have_url(re.compile(r"from=1&to=2$"))
    expect(difference).to_contain_text("Removed: two")
    rows.nth(0).get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"tab=history&to=4$"))
    # quotes distinguish a text from a number beside it
    expect(difference).to_contain_text('Removed: "one\\n2\\nthree"')
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"to=3$"))
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"to=4$"))
    page.get_by_label("Side by side").check()
    expect(page.locator(".difference.side")).to_be_visible()
    page.reload()
    expect(page.locator(".difference.side")).to_be_visible()
    history(tab, "a", "&to=99")
    expect(page.get_by_text("Revision 99 did nothing to this key")).to_be_visible()


def test_deleted_key_keeps_its_history_and_can_be_restored(ada):
    ada.set("a", "text")
    ada.call("delete", key="a")
    tab = ada.open_tab()
    rows = history(tab, "a")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text(re.compile("deleted.*−1 lines", re.DOTALL))
    expect(tab.page.locator(".was-deleted")).to_contain_text("by Chrome on Linux")
    tab.click("Restore the last value")
    expect(rows.nth(0)).to_contain_text("restored")
    expect(tab.page.locator(".was-deleted")).to_have_count(0)
    assert ada.get("a") == "text"


def test_long_history_is_paged_and_each_version_opens_by_its_url(ada):
    for n in range(60):
        ada.set("a", f"value {n}")
    tab = ada.open_tab()
    rows = history(tab, "a", "&to=3")
    expect(rows).to_have_count(25)
    expect(tab.page.get_by_role("region", name="What changed from revision 2 to 3")).to_contain_text("Added: value 2")
    # the value that the oldest shown version replaced is known as well
    history(tab, "a", "&to=36")
    expect(tab.page.get_by_role("region", name="What changed from revision 35 to 36")).to_contain_text("value 34")
    tab.click("Show older")
    expect(rows).to_have_count(50)
    tab.click("Show older")
    expect(rows).to_have_count(60)
    expect(tab.page.get_by_text("Created here.")).to_be_visible()


def test_restore_is_refused_while_offline(ada):
    ada.expects_outage = True
    ada.set("a", 1)
    ada.set("a", 2)
    tab = ada.open_tab()
    rows = history(tab, "a")
    restore = rows.nth(1).get_by_role("button", name="Restore")
    expect(restore).to_be_visible()
    ada.go_offline()
    tab.is_offline()
    expect(tab.page.locator("#detail .offline")).to_contain_text("The history needs the server.")
    restore.click()
    expect(tab.toasts).to_contain_text("nothing was restored")
    assert ada.get("a") == 2
