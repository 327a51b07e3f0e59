"""Export and import of a user's data, in a real browser."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import check


def fair(person):
    """Accept the complaints about refused files, whose status Chromium reports."""
    person.complaints = [text for text in person.complaints if not re.search(r"status of (400|409)", text)]


@pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without"])
def test_export_downloads_a_file_in_each_format(make_person, scripted):
    person = make_person(java_script_enabled=scripted)
    person.set("app/a", {"n": 1})
    person.set("b", 2)
    page = person.new_page()
    page.goto(f"{person.server.url}/account/data")
    for format in ("JSON", "NDJSON", "CSV"):
        with page.expect_download() as started:
            page.get_by_role("button", name=f"Export {format}", exact=True).click()
        assert started.value.suggested_filename.endswith(f"-r2-2-keys.{format.lower()}")
        text = started.value.path().read_text()
        assert "app/a" in text
    page.locator("#export-prefix").fill("app/")
    with page.expect_download() as started:
        page.locator("#export-prefix").press("Enter")
    assert json.loads(started.value.path().read_text())["entries"] == {"app/a": {"n": 1}}
    expect(page.get_by_role("button", name="Preview")).to_have_count(1 if scripted else 0)
    expect(page.get_by_text("needs JavaScript")).to_be_visible(visible=not scripted)


def test_import_can_be_previewed_run_and_undone_with_the_keyboard_alone(make_person, tmp_path):
    person = make_person(reduced_motion="reduce")
    person.set("mine", 1)
    person.set("app/1", "old")
    page = person.new_page()
    page.goto(f"{person.server.url}/account/data")
    said = page.locator("#import-status")

    broken = tmp_path / "broken.json"
    broken.write_text('{"a": 1,\n"b": tru}')
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.locator("#import-problem")).to_have_text("Choose a file first.")
    expect(page.locator("#file")).to_be_focused()
    page.locator("#file").set_input_files(broken)
    expect(page.locator("#import-problem")).to_be_hidden()
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.locator("#import-problem")).to_have_text("Line 2: this is not JSON.")
    check(page, "a broken file")

    file = tmp_path / "file.txt"
    file.write_text("".join(json.dumps({"key": f"app/{n}", "value": n}) + "\n" for n in range(1_500)))
    page.locator("#file").set_input_files(file)
    page.locator("#mode-merge").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Overwrite with the file, and delete everything else")).to_be_checked()
    page.get_by_role("button", name="Preview").press("Enter")
    expect(page.locator("#import-heading")).to_have_text("1,499 keys would be added, 1 changed, 1 removed")
    expect(said).to_contain_text("Nothing is written yet.")
    assert person.get("mine") == 1
    check(page, "tried")

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Import 1,501 keys")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#import-heading")).to_have_text("1,499 keys were added, 1 changed, 1 removed")
    expect(page.locator("#import-result")).to_be_focused()
    expect(page.get_by_text("1,500 of 100,000")).to_be_visible()
    check(page, "imported")

    page.get_by_role("button", name="Undo the import").press("Enter")
    expect(page.locator("#import-heading")).to_have_text("Undone")
    expect(page.get_by_text("2 of 100,000")).to_be_visible()
    assert (person.get("mine"), person.get("app/1")) == (1, "old")
    check(page, "undone")
    fair(person)


def test_undo_of_an_import_is_refused_after_a_later_write_to_its_keys(make_person, tmp_path):
    person = make_person()
    file = tmp_path / "file.json"
    file.write_text('{"a": 1, "b": 2}')
    page = person.new_page()
    page.goto(f"{person.server.url}/account/data")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Import 2 keys").click()
    expect(page.locator("#import-heading")).to_have_text("2 keys were added")
    person.set("b", "since then")
    page.get_by_role("button", name="Undo the import").click()
    expect(page.locator("#import-problem")).to_contain_text("Nothing was undone")
    assert (person.get("a"), person.get("b")) == (1, "since then")
    fair(person)


def test_import_is_refused_after_another_user_signs_in(make_person, tmp_path):
    ada, bob = make_person("ada"), make_person("bob")
    page = ada.new_page()
    page.goto(f"{ada.server.url}/account/data")
    file = tmp_path / "file.json"
    file.write_text('{"of ada": 1}')
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Import 1 key").wait_for()
    ada.context.clear_cookies()
    ada.context.add_cookies(bob.context.cookies())
    page.get_by_role("button", name="Import 1 key").click()
    expect(page.locator("#import-problem")).to_contain_text("Somebody else has signed in in this browser.")
    assert bob.call("list")["entries"] == []
