"""Get, set and delete by hand: the typed value is the stored value, and nobody's work is overwritten unseen."""

import json

import pytest
from playwright.sync_api import expect

VALUES = {
    "__proto__": {"__proto__": {"x": 1}, "constructor": None},
    "a//b": [1, 2.5, -0.25, 1e15, 5e-324],
    ".": "",
    "..": 'line\nbreak\t"quote" \\ / \u2028 \u0000',
    " leading and trailing ": True,
    "emoji/😀🏳️‍🌈": "e\u0301 ≠ é",
    "?key=x&y#z%2F+": {"": [[[]]], "ключ": {"נ": "ا"}},
    "<b>&amp;</b>": "<script>alert(1)</script>",
    "～": 9007199254740991,
    "constructor": False,
}


@pytest.mark.parametrize("key", VALUES)
def test_the_typed_value_is_the_stored_value(ada, key):
    value = VALUES[key]
    here = ada.open_tab()
    here.create(key, json.dumps(value, ensure_ascii=False))
    expect(here.row(key)).to_have_count(1)
    # the row appears before the write is acknowledged
    expect(here.row(key).locator(".unsent")).to_have_count(0)
    assert ada.get(key) == value
    there = ada.open_tab(key)
    expect(there.page.locator("#detail-heading")).to_have_text(key, use_inner_text=False)
    assert there.value_in_editor() == value
    there.click("Delete")
    expect(there.row(key)).to_have_count(0)
    assert ada.call("list")["entries"] == []


def test_keys_are_listed_in_byte_order_and_can_be_filtered(ada):
    ada.call("batch", ops=[{"op": "set", "key": key, "value": 1} for key in ["b", "a/2", "B", "～", "😀", "a/10", "é"]])
    tab = ada.open_tab()
    tab.click("List")
    keys = tab.page.locator("[role=row] .k")
    expect(keys).to_have_text(["B", "a/10", "a/2", "b", "é", "～", "😀"])
    tab.page.get_by_label("Filter keys").fill("B")
    expect(keys).to_have_text(["B", "b"])
    expect(tab.count).to_have_text("2 matches of 7 keys")
    ada.set("ab", 1)
    expect(keys).to_have_text(["B", "ab", "b"])
    tab.page.get_by_label("Filter keys").fill("nothing like it")
    tab.click("Create key nothing like it")
    expect(tab.page.get_by_label("Key", exact=True)).to_have_value("nothing like it")
    tab.click("Clear the filter")
    expect(keys).to_have_count(8)


def test_invalid_json_shows_the_error_position_and_is_not_saved(ada):
    ada.set("a", {"b": 1})
    tab = ada.open_tab("a")
    tab.type_value('{\n  "b": 1\n  "c": 2\n}')
    expect(tab.note).to_have_text("Line 3, column 3: expected ',' or '}'")
    expect(tab.editor).to_have_attribute("aria-invalid", "true")
    tab.save()
    expect(tab.editor).to_be_focused()
    assert ada.get("a") == {"b": 1}
    tab.type_value("hello")
    tab.click("Save as text")
    expect(tab.value_of("a")).to_have_text('"hello"')
    assert ada.get("a") == "hello"


def test_an_integer_that_would_be_rounded_is_refused(ada):
    tab = ada.open_tab()
    tab.create("a", "9007199254740993")
    expect(tab.note).to_contain_text("may be rounded")
    assert ada.call("list")["entries"] == []


def test_a_server_error_is_shown_and_the_text_is_kept(ada):
    tab = ada.open_tab()
    text = json.dumps("x" * 70_000)
    tab.create("a", text)
    expect(tab.page.locator("#refusal")).to_be_visible()
    expect(tab.editor).to_have_value(text)
    tab.editor.fill("1")
    tab.save()
    expect(tab.value_of("a")).to_have_text("1")


def test_a_conflict_blocks_saving_until_the_user_keeps_the_draft(tabs, ada):
    here, there = tabs
    ada.set("a", 1)
    here.open("a")
    here.type_value('"mine"')
    there.write("a", '"theirs"')
    here.look()
    expect(here.conflict).to_contain_text(
        "Changed in another tab. Chrome on Linux saved revision 2 while you were editing 1."
    )
    expect(here.editor).to_have_value('"mine"')
    expect(here.note).to_have_text("Choose a version above before you save.")
    save = here.page.get_by_role("button", name="Save", exact=True)
    expect(save).to_have_attribute("aria-disabled", "true")
    # the button and the keys lead to the choice, and say so
    for ask in (lambda: save.click(force=True), lambda: here.editor.press("Control+s")):
        here.editor.focus()
        ask()
        expect(here.conflict).to_be_focused()
    expect(here.page.locator("#assertive")).to_contain_text("Choose a version first")
    assert ada.get("a") == "theirs"
    here.click("Keep mine")
    expect(here.conflict).to_have_count(0)
    expect(here.value_of("a")).to_have_text('"mine"')
    assert ada.get("a") == "mine"


def test_the_saved_value_replaces_a_draft_only_by_take_theirs(tabs, ada):
    here, there = tabs
    ada.set("a", 1)
    here.open("a")
    here.type_value('"mine"')
    there.write("a", '"theirs"')
    here.click("Take theirs")
    expect(here.value).to_have_text("theirs")
    expect(here.conflict).to_have_count(0)
    assert ada.get("a") == "theirs"


def test_a_key_deleted_during_editing_is_a_conflict_and_can_be_created_again(tabs, ada):
    here, there = tabs
    ada.set("a", 1)
    here.open("a")
    here.type_value("2")
    there.open("a")
    there.click("Delete")
    here.look()
    expect(here.conflict).to_contain_text("Deleted in another tab. Saving will create it again.")
    here.click("Keep mine")
    expect(here.value_of("a")).to_have_text("2")


def test_an_offline_save_over_a_newer_revision_is_a_conflict_and_not_lost(ada):
    """Two offline edits of the same key: the later save must not win unseen."""
    ada.expects_outage = True
    ada.set("a", 1)
    tab = ada.open_tab("a")
    ada.go_offline()
    tab.is_offline()
    tab.type_value('"mine"')
    tab.save()
    expect(tab.button("Queued")).to_be_visible()
    ada.set("a", "theirs")
    ada.context.set_offline(False)
    expect(tab.conflict).to_contain_text("saved revision 2 while you were editing 1")
    expect(tab.editor).to_have_value('"mine"')
    assert ada.get("a") == "theirs"


def test_creating_a_key_that_exists_already_overwrites_nothing(ada):
    ada.set("a", "old")
    tab = ada.open_tab()
    tab.create("a", '"new"')
    expect(tab.conflict).to_contain_text("This key exists already.")
    assert ada.get("a") == "old"
    tab.click("Take theirs")
    expect(tab.value).to_have_text("old")


def test_a_draft_is_kept_while_another_key_is_open(ada):
    ada.set("a", 1)
    ada.set("b", 2)
    tab = ada.open_tab()
    tab.open("a")
    tab.type_value("[1, 2")
    tab.open("b")
    expect(tab.value).to_have_text("2")
    expect(tab.row("a").get_by_role("gridcell", name="a, has unsaved changes")).to_be_visible()
    tab.open("a")
    expect(tab.editor).to_have_value("[1, 2")
    tab.click("Discard")
    expect(tab.value).to_have_text("1")


def test_a_key_url_opens_the_key_or_offers_to_create_it(ada):
    ada.set("a/b", {"c": 1})
    tab = ada.open_tab("a/b")
    expect(tab.page).to_have_title("a/b · Keys · realtime_kv")
    expect(tab.value).to_have_text('{ "c": 1 }')
    expect(tab.page.locator(".meta")).to_contain_text("Created")
    ada.call("delete", key="a/b")
    gone = ada.open_tab("a/b")
    expect(gone.page.locator("#answer")).to_contain_text("There is no such key.")
    never = ada.open_tab("never")
    expect(never.page.locator("#answer")).to_have_text("There is no such key. Saving a value creates it.")
    never.editor.fill("3")
    never.save()
    expect(never.value_of("never")).to_have_text("3")
    never.page.go_back()
    impossible = ada.open_tab("")
    expect(impossible.page.locator("#answer")).to_contain_text("A key has at least one character.")


def test_the_row_of_the_key_in_the_url_is_in_view(ada):
    for i in range(2):
        ada.call("batch", ops=[{"op": "set", "key": f"k{i}{j:03}", "value": j} for j in range(120)])
    expect(ada.open_tab("k1100").row("k1100")).to_be_in_viewport()


def test_back_and_forward_navigate_between_opened_keys(ada):
    ada.set("a", 1)
    ada.set("b", 2)
    tab = ada.open_tab()
    tab.open("a")
    tab.open("b")
    tab.page.go_back()
    expect(tab.page.locator("#detail-heading")).to_have_text("a")
    tab.page.go_back()
    expect(tab.page.locator("#detail-heading")).to_have_count(0)
    tab.page.go_forward()
    expect(tab.value).to_have_text("1")
