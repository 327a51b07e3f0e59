"""Tabs reconnect by themselves, and nothing is lost: neither others' writes meanwhile nor the text typed here."""

import re

from playwright.sync_api import expect

from tests.test_commands import answer

SERVICE_WORKERS = "allow"


def test_offline_writes_are_queued_and_sent_after_reconnecting(ada):
    ada.expects_outage = True
    here, there = ada.open_tab(), ada.open_tab()
    here.create("a", "1")
    expect(there.row("a")).to_be_visible()
    ada.go_offline()
    here.is_offline()
    expect(here.state).to_have_text("Offline")
    expect(here.page.locator(".offline")).to_contain_text("This is how it was at")
    here.write("a", "2")
    expect(here.button("Queued")).to_be_visible()
    here.create("b", '"new"')
    expect(here.page.locator("#unsent")).to_have_text("2 unsent changes")
    expect(here.row("b")).to_contain_text("unsent")
    expect(there.value_of("a")).to_have_text("1")
    ada.context.set_offline(False)
    here.is_live()
    for tab in (here, there):
        expect(tab.value_of("a")).to_have_text("2")
        expect(tab.value_of("b")).to_have_text('"new"')
    expect(here.page.locator("#unsent")).to_have_count(0)
    assert (ada.get("a"), ada.get("b")) == (2, "new")


def test_reconnected_tab_shows_changes_made_while_it_was_offline(ada, server):
    ada.expects_outage = True
    tab = ada.open_tab()
    ada.set("gone", 1)
    expect(tab.row("gone")).to_be_visible()
    ada.go_offline()
    tab.is_offline()
    # set_offline affects this browser's pages only: its HTTP calls go on
    ada.set("a", 1)
    ada.call("delete", key="gone")
    ada.context.set_offline(False)
    tab.is_live()
    expect(tab.value_of("a")).to_have_text("1")
    expect(tab.row("gone")).to_have_count(0)
    expect(tab.toasts).to_contain_text("Back online. 2 keys changed while you were away.")
    expect(tab.mark_of("a")).to_contain_text("created by")


def test_tabs_reconnect_after_a_server_crash_and_lose_no_write(make_person, own_server):
    ada = make_person("ada", server=own_server)
    ada.expects_outage = True
    here, there = ada.open_tab(), ada.open_tab()
    here.create("before", "1")
    expect(there.row("before")).to_be_visible()
    there.open("before")
    own_server.kill()
    here.is_offline()
    there.is_offline()
    here.create("meanwhile", '{"kept": true}')
    there.write("before", "2")
    expect(here.row("meanwhile")).to_contain_text("unsent")
    own_server.start()
    here.is_live()
    there.is_live()
    for tab in (here, there):
        expect(tab.value_of("meanwhile")).to_have_text('{"kept":true}')
        expect(tab.value_of("before")).to_have_text("2")
        expect(tab.state).to_have_text("Live · 2 tabs")
    assert (ada.get("before"), ada.get("meanwhile")) == (2, {"kept": True})
    healed = here.page.evaluate("async () => (await (await import('/rkv.js')).connect()).healed")
    assert healed == 0


def test_tabs_show_exactly_the_restored_data_after_a_restore(make_person, own_server, tmp_path):
    ada = make_person("ada", server=own_server)
    ada.expects_outage = True
    here, there = ada.open_tab(), ada.open_tab()
    here.create("kept", "1")
    backup = tmp_path / "kept.db"
    answer(own_server.data_dir, "backup", str(backup))
    here.write("kept", "2")
    here.create("later", "true")
    expect(there.row("later")).to_be_visible()
    answer(own_server.data_dir, "restore", str(backup), "--yes")
    for tab in (here, there):
        expect(tab.row("later")).to_have_count(0)
        expect(tab.value_of("kept")).to_have_text("1")
        tab.is_live()
    # and both continue from there
    there.write("kept", "3")
    expect(here.value_of("kept")).to_have_text("3")


def test_writes_in_flight_during_a_server_crash_are_applied_once(make_person, own_server):
    ada = make_person("ada", server=own_server)
    ada.expects_outage = True
    page = ada.open_tab().page
    page.evaluate("""async () => {
      const {connect} = await import("/rkv.js")
      window.kv = await connect()
      window.acknowledged = []
      for (let i = 0; i < 2000; i++)
        kv.set(`k${i % 50}`, i).then(({version}) => acknowledged.push([i, version]))
    }""")
    own_server.kill()
    own_server.start()
    expect(page.locator("#conn")).to_have_attribute("data-state", "live")
    page.evaluate("async () => { while (kv.pending.length) await new Promise((go) => setTimeout(go, 20)) }")
    acknowledged = page.evaluate("acknowledged")
    # each exactly once and in order: 40 writes to each key make version 40, with the last value requested
    assert len(acknowledged) == 2000
    assert all(version == i // 50 + 1 for i, version in acknowledged)
    entries = {entry["key"]: entry for entry in ada.call("list")["entries"]}
    assert {(e["version"], e["value"] // 50) for e in entries.values()} == {(40, 39)}
    assert page.evaluate("kv.entries('k').every(({value, version}) => version === 40)")


def test_sign_out_in_one_tab_signs_out_the_other_and_keeps_unsaved_text(tabs, ada):
    here, there = tabs
    here.create("a", "1")
    there.open("a")
    there.type_value('"not saved yet"')
    here.sign_out()
    here.page.wait_for_url("**/signin")
    dialog = there.page.get_by_role("dialog", name="You were signed out")
    # the value is not shown to everybody who sees this screen
    expect(dialog).not_to_contain_text('"not saved yet"')
    dialog.get_by_role("button", name="Show it").click()
    expect(dialog).to_contain_text('"not saved yet"')
    expect(there.state).to_have_text("Signed out")
    there.page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_role("link", name="Sign in again").click()
    there.page.get_by_label("Username").fill(ada.username)
    there.page.get_by_label("Password", exact=True).fill("a-rather-Long-passphrase")
    there.click("Sign in")
    there.page.wait_for_url("**/keys?key=a")
    expect(there.value).to_have_text("1")


def test_queued_writes_never_reach_the_space_of_the_next_user(make_person):
    ada = make_person("ada")
    ada.expects_outage = True
    tab = ada.open_tab()
    tab.create("a", '"of ada"')
    expect(tab.row("a")).to_be_visible()
    ada.go_offline()
    tab.is_offline()
    tab.create("b", '"of ada, not sent"')
    bob = make_person("bob")
    ada.context.clear_cookies()
    ada.context.add_cookies(bob.context.cookies())
    ada.context.set_offline(False)
    dialog = tab.page.get_by_role("dialog", name="You were signed out")
    expect(dialog).to_contain_text("Somebody else has signed in in this browser.")
    # the first write may not have been acknowledged yet
    dialog.get_by_role("button", name=re.compile("^Show (it|them)$")).click()
    expect(dialog).to_contain_text('"of ada, not sent"')
    assert bob.call("list")["entries"] == []


def test_password_change_in_one_tab_keeps_sibling_tabs_signed_in(ada):
    # the refusals of old sessions are in the console
    ada.expects_outage = True
    here, sibling = ada.open_tab(), ada.open_tab()
    status = here.page.evaluate(
        """async (given) => (await fetch("/api/v1/change_password", {
            method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(given)})).status""",
        {"password": "a-rather-Long-passphrase", "new_password": "quite another passphrase"},
    )
    assert status == 200
    for tab in (here, sibling):
        tab.is_live()
    sibling.create("after", "1")
    expect(here.row("after")).to_be_visible()
