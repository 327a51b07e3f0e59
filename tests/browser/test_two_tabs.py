"""A set in one tab appears at once in every other tab of that user, and never in a tab of another user."""

import re

from playwright.sync_api import expect


def test_set_in_one_tab_appears_in_the_other_at_once(tabs):
    here, there = tabs
    here.create("app/colour", '"red"')
    expect(there.value_of("app/colour")).to_have_text('"red"')
    there.write("app/colour", '{"r": 255}')
    expect(here.value_of("app/colour")).to_have_text('{"r":255}')
    here.click("Done")
    expect(here.value).to_have_text('{ "r": 255 }')


def test_changes_of_another_tab_are_marked_and_own_changes_are_not(tabs):
    here, there = tabs
    here.create("a", "1")
    expect(there.row("a")).to_have_class(re.compile("flash new"))
    expect(there.mark_of("a")).to_contain_text("created by Chrome on Linux")
    expect(there.row("a").locator("time")).to_have_text("now")
    expect(here.row("a")).to_be_visible()
    expect(here.row("a")).not_to_have_class(re.compile("flash"))
    expect(here.mark_of("a")).to_have_count(0)
    # wait until the row no longer flashes
    expect(there.row("a")).not_to_have_class(re.compile("flash"))
    here.write("a", "2")
    expect(there.row("a")).to_have_class(re.compile("flash changed"))
    expect(there.mark_of("a")).to_contain_text("changed by")


def test_delete_in_one_tab_reaches_the_other_and_can_be_undone(tabs):
    here, there = tabs
    here.create("a", '{"deep": [1, null]}')
    there.open("a")
    here.click("Delete")
    expect(here.row("a")).to_have_count(0)
    expect(there.row("a")).to_have_count(0)
    expect(there.page.locator("#answer")).to_contain_text("There is no such key.")
    here.click("Undo")
    expect(there.value_of("a")).to_have_text('{"deep":[1,null]}')
    expect(here.value_of("a")).to_have_text('{"deep":[1,null]}')


def test_open_key_follows_remote_changes_while_it_is_not_edited(tabs, ada):
    here, _ = tabs
    ada.set("a", 1)
    here.open("a")
    expect(here.value).to_have_text("1")
    revision = ada.set("a", [2])
    expect(here.value).to_have_text("[ 2 ]")
    expect(here.page.locator(".meta")).to_contain_text(f"Revision{revision}")


def test_number_of_open_tabs_is_shown(tabs, ada):
    here, there = tabs
    expect(here.state).to_have_text("Live · 2 tabs")
    third = ada.open_tab()
    for tab in (here, there, third):
        expect(tab.state).to_have_text("Live · 3 tabs")
    third.page.close()
    there.page.close()
    expect(here.state).to_have_text("Live · 1 tab")


def test_tabs_of_another_user_see_no_changes(tabs, ada, make_person):
    here, _ = tabs
    charlie = make_person("charlie").open_tab()
    here.create("secret", '"of ada"')
    charlie.create("mine", "1")
    expect(charlie.row("mine")).to_be_visible()
    ada.set("secret", "again")
    expect(here.value_of("secret")).to_have_text('"again"')
    expect(charlie.count).to_have_text("1 key")
    expect(charlie.state).to_have_text("Live · 1 tab")
    assert "ada" not in charlie.page.content()
    expect(here.count).to_have_text("1 key")


def test_changes_are_painted_in_the_other_tab_with_low_latency(tabs):
    here, there = tabs
    here.create("a", "0")
    expect(there.value_of("a")).to_have_text("0")
    there.look().page.evaluate("""() => {
      window.painted = {}
      const cell = document.querySelector("[role=row] .v")
      const note = () => (window.painted[cell.textContent] ??= performance.timeOrigin + performance.now())
      new MutationObserver(note).observe(cell, {subtree: true, childList: true, characterData: true})
    }""")
    here.page.evaluate("""async () => {
      const {connect} = await import("/rkv.js")
      window.kv = await connect()
    }""")
    delays = []
    for i in range(1, 21):
        sent = here.page.evaluate("(i) => { kv.set('a', i); return performance.timeOrigin + performance.now() }", i)
        expect(there.value_of("a")).to_have_text(str(i))
        delays.append(there.page.evaluate("(i) => window.painted[i]", str(i)) - sent)
    delays.sort()
    assert delays[18] < 400, delays  # 100 ms on a quiet machine


def test_visible_rows_stay_in_place_while_keys_are_inserted_above(ada):
    for i in range(3):
        ada.call("batch", ops=[{"op": "set", "key": f"k{i}/{j:03}", "value": j} for j in range(100)])
    tab = ada.open_tab()
    expect(tab.count).to_have_text("300 keys")
    tab.page.locator(".grid").evaluate("(grid) => (grid.scrollTop = 5000)")
    expect(tab.row("k1/040")).to_be_visible()
    before = tab.row("k1/040").bounding_box()
    ada.call("batch", ops=[{"op": "set", "key": f"a{j}", "value": j} for j in range(20)])
    expect(tab.count).to_have_text("320 keys")
    assert tab.row("k1/040").bounding_box() == before
