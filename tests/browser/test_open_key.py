"""The open key: shown for reading, edited in a code editor, merged after concurrent edits; and its pane."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Held, Tab, resize
from tests.browser.test_accessibility import check

FLAGS = {"checkout": True, "beta": ["ada"], "rollout": 0.25, "note": None}


@pytest.fixture
def coder(make_person):
    """A user who has not asked for a plain editor."""
    return make_person("coder", plain=False)


def code_of(tab: Tab):
    return tab.page.locator("code-editor .cm-content")


def write_code(tab: Tab, text: str) -> None:
    """Replace the text as typing or pasting does; `fill` uses commands that leave styles behind."""
    code_of(tab).focus()
    tab.page.keyboard.press("Control+a")
    tab.page.keyboard.insert_text(text)


def test_a_value_is_syntax_highlighted_and_its_changed_lines_flash(ada):
    ada.set("app/flags", FLAGS)
    tab = ada.open_tab("app/flags")
    expect(tab.value).to_have_text(json.dumps(FLAGS, indent=1))
    expect(tab.value.locator(".json-name")).to_have_text(['"checkout"', '"beta"', '"rollout"', '"note"'])
    for kind, text in {"json-text": '"ada"', "json-number": "0.25"}.items():
        expect(tab.value.locator(f".{kind}")).to_have_text(text)
    expect(tab.value.locator(".json-true")).to_have_text(["true", "null"])
    expect(tab.page.locator("#value-note")).to_have_text("object · 4 members · 59 B")
    ada.set("app/flags", {**FLAGS, "rollout": 0.5})
    expect(tab.value.locator(".flash")).to_have_text('"rollout": 0.5,')
    expect(tab.value.locator(".flash")).to_have_attribute("data-no", "6")
    expect(tab.page.locator(".meta")).to_contain_text("Version2")


def test_strings_are_shown_and_edited_as_plain_text(ada):
    ada.set("note", "two\nlines")
    ada.set("raw", "a\r\nb")
    tab = ada.open_tab("note")
    expect(tab.value.locator(".ln")).to_have_text(["two", "lines"])
    tab.page.get_by_role("group", name="Show as").get_by_role("button", name="JSON").click()
    expect(tab.value).to_have_text('"two\\nlines"')
    tab.value.dblclick()
    expect(tab.editor).to_have_value("two\nlines")
    tab.editor.fill('three\n"lines"\n')
    expect(tab.note).to_contain_text("Text")
    tab.save()
    expect(tab.value_of("note")).to_have_text('"three\\n\\"lines\\"\\n"')
    assert ada.get("note") == 'three\n"lines"\n'
    tab.page.get_by_role("group", name="Write it as").get_by_role("button", name="JSON").click()
    expect(tab.editor).to_have_value('"three\\n\\"lines\\"\\n"')
    # a text that a text box would quietly change is edited as JSON
    tab.open("raw")
    tab.page.keyboard.press("e")
    expect(tab.editor).to_have_value('"a\\r\\nb"')


def test_a_long_value_is_formatted_and_highlighted_only_on_request(coder):
    coder.set("long", list(range(5_000)))
    tab = coder.open_tab("long")
    expect(tab.value.locator("pre")).to_contain_text("[0,1,2,3")
    tab.click("Format")
    expect(tab.value.locator(".ln")).to_have_count(5_002)
    tab.page.keyboard.press("e")
    expect(tab.page.locator("textarea#editor")).to_have_value(re.compile(r"^\[0,1,2"))
    tab.click("In colours")
    expect(code_of(tab)).to_contain_text("[0,1,2")


def test_the_code_editor_highlights_json_marks_errors_formats_and_saves(coder):
    coder.set("app/flags", FLAGS)
    tab = coder.open_tab("app/flags")
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.keyboard.press("e")
    code = tab.page.get_by_role("textbox", name="Value of app/flags, JSON")
    expect(code_of(tab)).to_be_focused()
    assert any("@codemirror/view" in url for url in asked)
    expect(code).to_have_attribute("aria-multiline", "true")
    colour = "(element) => getComputedStyle(element).color"
    assert code.get_by_text('"checkout"').evaluate(colour) == "rgb(11, 90, 134)"
    # the caret stands at the beginning
    tab.page.keyboard.type("x")
    expect(tab.note).to_contain_text("Line 1, column 1:")
    expect(code).to_have_attribute("aria-invalid", "true")
    expect(tab.page.locator("code-editor .wrong-line")).to_have_text("1")
    tab.page.keyboard.press("Control+z")
    expect(tab.note).to_contain_text("Valid JSON")
    expect(tab.button("Done")).to_be_visible()
    # the place of an error may be gone in the next text
    for text in ("[1, x]", "{", '{"a"\n: x}', "1"):
        write_code(tab, text)
        expect(tab.note).to_contain_text("Valid JSON" if text == "1" else "Line ")
    # pretty or compact, the pasted text is the value
    write_code(tab, '{"a": [1,\n2]}')
    tab.click("Format")
    expect(tab.page.locator("code-editor .cm-line")).to_have_text(["{", '"a": [', "1,", "2", "]", "}"])
    code.focus()
    tab.page.keyboard.press("Control+Enter")
    expect(tab.value_of("app/flags")).to_have_text('{"a":[1,2]}')
    assert coder.get("app/flags") == {"a": [1, 2]}
    expect(code_of(tab)).to_be_focused()
    # no trap: Tab leaves, and Escape leads back to the list
    tab.page.keyboard.press("Tab")
    expect(code_of(tab)).not_to_be_focused()
    code.focus()
    tab.page.keyboard.press("Escape")
    expect(tab.row("app/flags")).to_be_focused()


def test_the_editor_falls_back_to_a_text_box_without_codemirror(coder):
    coder.context.route("**/@codemirror/**", lambda route: route.abort())
    coder.expects_outage = True
    coder.set("a", 1)
    tab = coder.open_tab("a")
    with tab.page.expect_event("requestfailed"):
        tab.page.keyboard.press("e")
    expect(tab.editor).to_be_focused()
    tab.page.keyboard.type("2")
    tab.page.keyboard.press("Control+s")
    expect(tab.value_of("a")).to_have_text("21")
    expect(tab.page.locator("textarea#editor")).to_have_value("21")


def test_concurrent_edits_that_do_not_overlap_are_merged(tabs, ada):
    here, there = tabs
    ada.set("app/flags", FLAGS)
    here.open("app/flags")
    here.type_value(json.dumps({**FLAGS, "checkout": False}))
    there.write("app/flags", json.dumps({**FLAGS, "beta": ["ada", "grace"]}))
    here.look()
    expect(here.conflict).to_contain_text("saved revision 2 while you were editing 1.")
    expect(here.page.locator("#assertive")).to_contain_text("saved revision 2")
    here.click("Show difference")
    gone = here.page.locator(".difference .line.gone code")
    expect(gone).to_have_text(['Removed: "checkout": true,', 'Removed: "ada",', 'Removed: "grace"'])
    here.click("Side by side")
    expect(here.page.locator(".difference .pair")).to_have_count(9)
    here.click("Merge both")
    expect(here.conflict).to_have_count(0)
    assert json.loads(here.editor.input_value()) == {**FLAGS, "checkout": False, "beta": ["ada", "grace"]}
    assert ada.get("app/flags")["checkout"] is True  # a merge is not saved by itself
    here.save()
    here.is_saved()
    assert ada.get("app/flags") == {**FLAGS, "checkout": False, "beta": ["ada", "grace"]}
    # the same place: no merge is possible
    here.type_value('{"checkout": 1}')
    there.look().type_value('{"checkout": 2}')
    there.save()
    here.look()
    expect(here.conflict).to_be_visible()
    expect(here.button("Merge both")).to_have_count(0)
    # both now have the same value: no question is asked
    there.look().type_value('{"checkout": 1}')
    there.save()
    here.look()
    expect(here.conflict).to_have_count(0)
    expect(here.button("Done")).to_be_visible()


def test_a_tab_shows_that_another_tab_is_editing_the_same_key(tabs, ada):
    here, there = tabs
    ada.set("a", 1)
    here.open("a")
    here.click("Edit")
    expect(here.page.locator("#elsewhere")).to_have_count(0)
    there.open("a")
    there.click("Edit")
    for tab in (there, here):
        expect(tab.look().page.locator("#elsewhere")).to_contain_text("Also open for editing in another tab")
    there.look().click("Done")
    expect(here.look().page.locator("#elsewhere")).to_have_count(0)
    there.look().click("Edit")
    expect(here.look().page.locator("#elsewhere")).to_have_count(1)
    there.look().editor.press("Escape")
    expect(here.look().page.locator("#elsewhere")).to_have_count(0)


def test_the_expiry_can_be_set_and_cleared_and_survives_a_save(ada):
    ada.set("a", 1)
    tab = ada.open_tab("a")
    expires = tab.page.locator(".meta div", has_text="Expires").locator("dd")
    expect(expires).to_have_text("Never")
    tab.click("Edit")
    tab.page.get_by_label("Expires", exact=True).select_option("in")
    tab.page.get_by_label("Expires after").fill("0")
    expect(tab.page.locator("#expires-note")).to_contain_text("above 0")
    tab.save()
    expect(tab.page.get_by_label("Expires after")).to_be_focused()
    tab.page.get_by_label("Expires after").fill("2")
    tab.save()
    expect(expires).to_have_text(re.compile(r"in 1 h 59 min"))
    when = ada.call("get", key="a")["entry"]["expires_at"]
    tab.type_value("2")
    tab.save()
    expect(tab.value_of("a")).to_have_text("2")
    assert ada.call("get", key="a")["entry"]["expires_at"] == when
    tab.page.get_by_label("Expires", exact=True).select_option("never")
    tab.save()
    expect(expires).to_have_text("Never")


def test_a_new_key_starts_in_the_open_folder_and_takes_every_kind_of_value(ada):
    ada.set("app/a", 1)
    tab = ada.open_tab()
    tab.page.goto(f"{ada.server.url}/keys?prefix=app/")
    tab.is_live()
    for name, kind, label, text, value in [
        ("text", "Text", "Value, text", "true", "true"),
        ("number", "Number", "Value, a number", "1.5", 1.5),
        ("word", "true / false", "Value, true or false", None, True),
        ("json", "JSON", "Value, JSON", "[1]", [1]),
    ]:
        tab.click("New key")
        key = tab.page.get_by_label("Key", exact=True)
        expect(key).to_have_value("app/")
        key.press("End")
        key.press_sequentially(name)
        tab.page.get_by_role("radio", name=kind, exact=True).check(force=True)
        # another kind has another field
        expect(tab.editor).to_have_attribute("aria-label", label)
        if text is not None:
            tab.editor.fill(text)
        tab.save()
        expect(tab.page.locator("#detail-heading")).to_have_text(f"app/{name}")
        tab.is_saved()
        assert ada.get(f"app/{name}") == value


def test_a_deleted_key_can_be_restored_from_its_pane(ada):
    ada.set("a", {"kept": True})
    ada.call("delete", key="a")
    tab = ada.open_tab("a")
    expect(tab.page.locator("#answer")).to_contain_text(
        re.compile(r"There is no such key\. It was deleted (just now|\d+ s ago)\.")
    )
    tab.click("Restore")
    expect(tab.value).to_have_text('{ "kept": true }')
    assert ada.get("a") == {"kept": True}


def test_a_refused_write_can_be_retried(make_person, start_server):
    full = start_server(RKV_QUOTA_KEYS="1")
    person = make_person(server=full)
    person.set("old", 1)
    tab = person.open_tab()
    tab.create("new", "[1]")
    expect(tab.page.locator("#refusal")).to_be_visible()
    expect(tab.page.locator("#assertive")).not_to_be_empty()
    expect(tab.editor).to_have_value("[1]")
    person.call("delete", key="old")
    tab.click("Retry")
    tab.is_saved()
    assert person.get("new") == [1]


def test_a_too_large_value_is_reported_in_the_editor_and_on_saving(ada):
    tab = ada.open_tab()
    tab.create("a", json.dumps("x" * 70_000))
    expect(tab.page.locator("#refusal")).to_be_visible()
    expect(tab.note).to_contain_text("70,002 of 65,536 B: too large")
    tab.editor.fill('"fits"')
    expect(tab.page.locator("#refusal")).to_have_count(0)
    tab.save()
    expect(tab.value_of("a")).to_have_text('"fits"')


def test_key_actions_are_in_a_sheet_on_a_phone(make_person):
    person = make_person("phone", viewport={"width": 390, "height": 844})
    person.set("app/a", 1)
    tab = person.open_tab("app/a")
    expect(tab.button("Delete")).to_have_count(0)
    tab.click("Actions")
    sheet = tab.page.get_by_role("dialog", name="app/a")
    check(tab.page, "sheet")
    resize(tab.page, 390, 844)
    tab.page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(tab.button("Actions")).to_be_focused()
    tab.click("Actions")
    sheet.get_by_role("button", name="Delete").click()
    expect(tab.row("app/a")).to_have_count(0)


def test_axe_finds_nothing_in_the_pane(make_person):
    person = make_person(plain=False, reduced_motion="reduce")
    person.set("app/flags", FLAGS)
    tab = person.open_tab("app/flags")
    tab.page.keyboard.press("e")
    code = code_of(tab)
    expect(code).to_be_focused()
    check(tab.page, "code")
    write_code(tab, "{")
    check(tab.page, "code that is not JSON")
    write_code(tab, '{"checkout": false}')
    person.set("app/flags", {**FLAGS, "beta": []})
    tab.click("Show difference")
    expect(tab.page.locator(".difference")).to_be_visible()
    check(tab.page, "difference")
    tab.click("Side by side")
    check(tab.page, "side by side")
    tab.click("Take theirs")
    tab.page.get_by_role("tab", name="Use it").click()
    expect(tab.page.locator(".samples").first).to_be_visible()
    check(tab.page, "use it")
    tab.page.keyboard.press("ArrowLeft")
    tab.page.get_by_role("tab", name="Value").click()
    tab.page.keyboard.press("n")
    tab.page.get_by_role("radio", name="true / false").check(force=True)
    check(tab.page, "a new key")


def test_a_late_loading_form_takes_the_focus_unless_the_user_moved_it(ada):
    for elsewhere in (False, True):
        page = ada.new_page()
        form = Held(page, "**/key/key-view.js")
        page.clock.install()
        page.goto(ada.server.url + "/keys")
        Tab(ada, page).is_live()
        page.keyboard.press("n")
        expect(page.locator("#detail [aria-busy=true]")).to_be_visible()
        page.clock.fast_forward(10_000)
        filter_box = page.get_by_label("Filter keys and values")
        if elsewhere:
            filter_box.press_sequentially("a")
        form.release()
        expect(page.locator("#new-key")).to_be_visible()
        expect(filter_box if elsewhere else page.locator("#new-key")).to_be_focused()
        page.close()
