"""Activity and the trash: everything that has happened can be seen, found, followed and restored."""

import re

from playwright.sync_api import expect


def test_activity_shows_each_write_with_its_origin_and_undoes_it(tabs, ada):
    here, there = tabs
    ada.set("app/banner", "hello")
    ada.call("batch", ops=[{"op": "set", "key": f"devices/{n}", "value": n} for n in range(5)])
    ada.call("delete", key="app/banner")
    page = here.look().page
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("heading", name="Activity", level=1)).to_be_visible()
    expect(page).to_have_title("Activity · realtime_kv")
    rows = page.locator(".write")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text(re.compile("deleted.*app/banner.*Chrome on Linux.*API", re.DOTALL))
    expect(rows.nth(1)).to_contain_text("Created 5 keys")
    expect(rows.nth(2)).to_contain_text('created app/banner "hello"')
    # a write that was overwritten since cannot be undone
    expect(rows.nth(2).get_by_role("button", name="Undo")).to_have_count(0)
    # a bulk write is one row, which opens
    rows.nth(1).get_by_role("button", name="Created 5 keys").click()
    expect(rows.nth(1).locator(".ops li")).to_have_count(5)
    expect(rows.nth(1).locator(".ops li").nth(3)).to_contain_text("created devices/3 3")
    # changes of others appear on top, but nothing moves under the pointer
    rows.nth(1).hover()
    there.create("new", "1")
    expect(page.get_by_role("button", name="1 new changes · show")).to_be_visible()
    expect(rows.nth(1)).to_contain_text("Created 5 keys")
    here.look().click("1 new changes · show")
    expect(rows.nth(0)).to_contain_text(re.compile("created.*new 1.*Chrome on Linux.*this browser", re.DOTALL))
    page.mouse.move(2, 2)
    rows.filter(has_text="Created 5 keys").get_by_role("button", name="Undo").press("Enter")
    expect(here.toasts).to_contain_text("Undone: Created 5 keys")
    expect(there.row("devices/3")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_label("Filter by key or value")).to_be_focused()
    expect(rows.nth(0)).to_contain_text("Deleted 5 keys")
    expect(rows.nth(0)).to_contain_text("undo of 2")
    expect(rows.nth(0)).to_contain_text("this tab")
    # and from there to the key's history, at exactly that change
    rows.filter(has_text="deleted app/banner").get_by_role("link").click()
    expect(page).to_have_url(f"{ada.server.url}/keys?key=app%2Fbanner&tab=history&to=3")


def test_activity_filters_by_text_and_origin_are_kept_in_the_url(ada):
    for n in range(3):
        ada.set(f"app/{n}", f"value {n}")
    tab = ada.open_tab()
    tab.create("mine", '"needle"')
    page = tab.page
    page.goto(f"{ada.server.url}/activity")
    rows = page.locator(".write")
    expect(rows).to_have_count(4)
    page.get_by_label("By", exact=True).select_option("API and tokens")
    expect(rows).to_have_count(3)
    page.get_by_label("Filter by key or value").fill("VALUE 1")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(f"{ada.server.url}/activity?q=VALUE+1&who=api")
    page.reload()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("app/1")
    page.get_by_label("By", exact=True).select_option("This browser")
    expect(page.get_by_text("No change matches.")).to_be_visible()
    page.get_by_label("Filter by key or value").fill("needle")
    expect(rows).to_contain_text("mine")


def test_activity_pages_back_to_the_beginning(ada):
    for start in range(0, 250, 125):
        for n in range(start, start + 125):
            ada.set(f"k{n % 10}", n)
    page = ada.new_page()
    page.goto(f"{ada.server.url}/activity")
    rows = page.locator(".write")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(200)
    page.get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(250)
    expect(rows.last).to_contain_text("created k0 0")
    expect(page.get_by_text("This is the beginning.")).to_be_visible()
    # a filter that few writes pass searches the older ones by itself
    page.goto(f"{ada.server.url}/activity?q=created")
    expect(page.get_by_text("No change matches.")).to_be_visible()
    expect(page.get_by_text("Looked through 250 changes")).to_be_visible()


def test_changes_since_the_last_visit_are_marked(ada, make_person):
    ada.set("seen", 1)
    page = ada.new_page()
    page.goto(f"{ada.server.url}/activity")
    expect(page.locator(".write")).to_have_count(1)
    look = page.evaluate(
        "JSON.parse(localStorage.getItem(Object.keys(localStorage).find((name) => name.startsWith('last look'))))"
    )
    assert look["revision"] == 1
    page.close()
    phone = make_person(signed_up=False)
    phone.username = ada.username
    phone.sign_in()
    phone.set("theirs", 1)
    ada.set("ours", 1)
    page = ada.new_page()
    page.goto(f"{ada.server.url}/activity")
    expect(page.locator(".write")).to_have_count(3)
    expect(page.locator(".writes li").nth(2)).to_contain_text("You looked here")
    page.get_by_role("button", name="1 while you were away").click()
    expect(page.locator(".write")).to_have_count(1)
    expect(page.locator(".write")).to_contain_text("theirs")


def test_deleted_keys_are_restored_from_the_trash_one_or_many(ada):
    keys = [f"app/{n}" for n in range(4)]
    ada.call("batch", ops=[{"op": "set", "key": key, "value": {"n": key}} for key in keys])
    tab = ada.open_tab()
    page = tab.page
    page.locator(".list-foot").get_by_role("link", name="Trash").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    expect(page.locator(".past-head")).to_contain_text("Deleted keys stay here for 30 days.")
    # live: keys deleted elsewhere appear at once
    ada.call("batch", ops=[{"op": "delete", "key": key} for key in keys])
    rows = page.locator(".bin-row:not(.bin-head)")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="app/2")).to_contain_text(
        re.compile(r'"n":"app/2".*Chrome on Linux.*30 days', re.DOTALL)
    )
    rows.filter(has_text="app/2").get_by_role("button", name="Restore").click()
    expect(rows).to_have_count(3)
    assert ada.get("app/2") == {"n": "app/2"}
    page.get_by_label("Select all").check()
    tab.click("Restore all 3")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert ada.get("app/3") == {"n": "app/3"}
    expect(tab.toasts).to_contain_text("Restored 3 keys")
    tab.toasts.get_by_role("button", name="Undo").last.click()
    expect(rows).to_have_count(3)
    page.get_by_label("Filter keys", exact=True).fill("/3")
    expect(rows).to_have_count(1)
    page.get_by_label("Filter keys", exact=True).fill("nothing")
    expect(page.get_by_text("No deleted key matches nothing")).to_be_visible()


def test_recreated_keys_leave_the_trash(ada):
    ada.set("a", "old")
    ada.call("delete", key="a")
    tab = ada.open_tab()
    page = tab.page
    page.goto(f"{ada.server.url}/trash")
    button = page.get_by_role("button", name="Restore a")
    expect(button).to_be_visible()
    ada.set("a", "new")
    expect(button).to_have_count(0)
    assert ada.get("a") == "new"


def test_activity_shows_an_offline_notice_and_refreshes_on_reconnect(ada):
    ada.expects_outage = True
    ada.set("a", 1)
    tab = ada.open_tab()
    page = tab.page
    page.get_by_role("link", name="Activity").click()
    expect(page.locator(".write")).to_have_count(1)
    ada.go_offline()
    tab.is_offline()
    expect(page.locator(".offline")).to_contain_text("This is what was known when the connection was lost.")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    ada.set("b", 2)
    ada.context.set_offline(False)
    tab.is_live()
    expect(page.locator(".write")).to_have_count(2)
    expect(page.locator(".offline")).to_have_count(0)
