"""A tab can undo and redo its own writes, but never over a later write of another tab or user."""

from playwright.sync_api import expect


def test_a_tab_can_undo_and_redo_its_writes_one_by_one(tabs):
    here, there = tabs
    here.create("app/a", "1")
    here.write("app/a", "2")
    expect(there.value_of("app/a")).to_have_text("2")
    here.page.keyboard.press("Escape")
    here.page.keyboard.press("Delete")
    expect(here.toasts).to_contain_text("Deleted app/a")
    expect(there.row("app/a")).to_have_count(0)
    here.toasts.get_by_role("button", name="Undo").press("Enter")
    expect(there.value_of("app/a")).to_have_text("2")
    expect(here.toasts.get_by_role("button", name="Redo")).to_be_focused()
    press = here.page.locator("body").press
    press("Control+z")
    expect(there.value_of("app/a")).to_have_text("1")
    expect(here.toasts).to_contain_text("Undone: Saved app/a")
    press("Control+z")
    expect(there.row("app/a")).to_have_count(0)
    press("Control+Shift+z")
    expect(there.value_of("app/a")).to_have_text("1")
    press("Control+y")
    expect(there.value_of("app/a")).to_have_text("2")
    press("Control+z")
    expect(there.value_of("app/a")).to_have_text("1")
    expect(here.value_of("app/a")).to_have_text("1")
    here.toasts.get_by_role("button", name="Redo").last.click()
    expect(there.value_of("app/a")).to_have_text("2")


def test_undo_never_overwrites_a_later_write_of_another_client(ada):
    tab = ada.open_tab()
    tab.create("a", "1")
    tab.write("a", "2")
    ada.set("a", "theirs")
    expect(tab.value_of("a")).to_have_text('"theirs"')
    tab.page.locator("body").press("Control+z")
    expect(tab.toasts).to_contain_text("a was changed by Chrome on Linux since; nothing was undone.")
    assert ada.get("a") == "theirs"
    tab.toasts.get_by_role("link", name="Its history").click()
    expect(tab.page).to_have_url(f"{ada.server.url}/keys?key=a&tab=history")


def test_the_undo_shortcut_in_the_editor_undoes_typing_and_no_write(ada):
    tab = ada.open_tab()
    tab.create("a", "1")
    tab.is_saved()
    tab.editor.press("End")
    tab.editor.press_sequentially("23")
    tab.editor.press("Control+z")
    expect(tab.editor).not_to_have_value("123")
    assert ada.get("a") == 1


def test_an_undo_while_offline_is_refused_and_not_performed_on_reconnect(ada):
    ada.expects_outage = True
    tab = ada.open_tab()
    tab.create("a", "1")
    expect(tab.value_of("a")).to_have_text("1")
    tab.page.keyboard.press("Escape")
    ada.go_offline()
    tab.is_offline()
    tab.page.locator("body").press("Control+z")
    expect(tab.toasts).to_contain_text("There is no connection: nothing was undone.")
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.row("a")).to_be_visible()
    tab.page.locator("body").press("Control+z")
    expect(tab.row("a")).to_have_count(0)
