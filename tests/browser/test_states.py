"""Rare states of the page: each says what is wrong, and axe finds nothing in it."""

import threading

import requests
from playwright.sync_api import Page, expect

from tests.browser.browsing import Held
from tests.browser.test_accessibility import check
from tests.live_server import DEADLINE
from tests.test_commands import answer

# as if a proxy refused every WebSocket: polls can be delayed, and given other headers
ONLY_POLLS = """window.WebSocket = class {
  constructor() { setTimeout(() => { this.onerror(new Event("error")); this.onclose({}) }) }
  close() {}
}"""


def test_loading_key_list_shows_a_skeleton_until_the_entries_arrive(make_person):
    person = make_person()
    person.set("a", 1)
    person.context.add_init_script(ONLY_POLLS)
    page: Page = person.new_page()
    connection = Held(page, "**/socket.io/**")
    page.goto(person.server.url + "/keys")
    keys = page.get_by_role("region", name="Key list")
    expect(keys).to_have_attribute("aria-busy", "true")
    expect(page.locator(".skeleton")).to_be_visible()
    # available at once; the keys come later
    expect(page.get_by_role("button", name="New key")).to_be_enabled()
    check(page, "loading")
    connection.release()
    expect(page.locator("[role=row]")).to_have_count(1)
    expect(keys).to_have_attribute("aria-busy", "false")
    expect(page.locator(".skeleton")).to_have_count(0)


def test_reconnecting_page_shows_its_state_and_keeps_the_entries_visible(make_person, own_server):
    person = make_person(server=own_server)
    person.expects_outage = True
    tab = person.open_tab()
    person.set("a", 1)
    expect(tab.row("a")).to_be_visible()
    own_server.kill()
    expect(tab.state).to_have_attribute("data-look", "reconnecting")
    expect(tab.state).to_contain_text("Reconnecting… last change")
    expect(tab.page.locator("#polite")).not_to_be_empty()
    expect(tab.value_of("a")).to_have_text("1")
    check(tab.page, "reconnecting")
    own_server.start()
    tab.is_live()


def test_rate_limited_save_offers_a_retry_and_keeps_the_typed_text(make_person, start_server):
    server = start_server(RKV_RATE_LIMITS="on", RKV_VERBS_PER_SECOND="1")
    person = make_person(server=server)
    program = requests.Session()
    # the same session: another credential never uses up this one's share
    for cookie in person.context.cookies():
        program.cookies.set(cookie["name"], cookie["value"])
    person.set("old", "still there")
    tab = person.open_tab()
    refusal = tab.page.locator("#refusal")
    refused, over = threading.Event(), threading.Event()

    def run_wild():
        while not over.is_set():
            if program.get(server.url + "/api/v1/get?key=old", timeout=DEADLINE).status_code == 429:
                refused.set()

    wild = [threading.Thread(target=run_wild) for _ in range(3)]
    for thread in wild:
        thread.start()
    try:
        assert refused.wait(DEADLINE)
        # a save retries by itself, and may come before the program: sooner or later one is refused
        for n in range(20):
            tab.create(f"a{n}", "1")
            expect(refusal.or_(tab.row(f"a{n}").locator("time")).first).to_be_visible(timeout=60_000)
            if refusal.is_visible():
                break
        expect(refusal).to_contain_text("Too many operations")
        expect(refusal.get_by_role("button", name="Retry in")).to_be_visible()
        expect(tab.page.locator("#assertive")).to_contain_text("Too many operations")
        check(tab.page, "too many verbs")
        tab.open("old")
        expect(tab.value).to_have_text("still there")
    finally:
        over.set()
        for thread in wild:
            thread.join()
    # data that only the server has is requested again
    expect(tab.page.locator(".meta time")).to_have_count(2)
    # the typed text is not lost either, though no row leads to it
    tab.click(f"Unsaved: a{n}")
    expect(tab.editor).to_have_value("1")
    tab.save()
    expect(tab.value_of(f"a{n}")).to_have_text("1")


def test_read_only_token_cannot_save_and_loses_the_edit_button(make_person):
    person = make_person()
    person.set("a", {"on": True})
    token = person.call("create_token", name="a screen in the hall", scope="read")["token"]
    person.context.add_init_script(ONLY_POLLS)
    # a proxy in front may sign its screens in, and a token takes precedence over a cookie
    person.context.set_extra_http_headers({"Authorization": f"Bearer {token}"})
    tab = person.open_tab("a")
    expect(tab.value).to_contain_text("true")
    tab.type_value("2")
    tab.save()
    expect(tab.page.locator("#refusal")).to_contain_text("read")
    expect(tab.editor).to_have_value("2")
    tab.click("Discard")
    expect(tab.page.get_by_text("It can only be read")).to_be_visible()
    expect(tab.page.get_by_role("button", name="Edit", exact=True)).to_have_count(0)
    expect(tab.value).to_contain_text("true")
    check(tab.page, "only reading")


def test_truncated_history_shows_its_start_date(make_person, start_server):
    server = start_server(RKV_HISTORY_BYTES="2000")
    person = make_person(server=server)
    for n in range(60):
        person.set("a", f"{n} {'x' * 100}")
    answer(server.data_dir, "purge")
    page = person.new_page()
    for path in ("/activity", "/keys?key=a&tab=history"):
        page.goto(server.url + path)
        expect(page.get_by_text("The history is complete since")).to_be_visible()
        check(page, f"{path}, cut")


def test_forced_colours_keep_selected_focused_and_changed_elements_distinct(make_person):
    """With forced colours, chosen, ticked, focused and changed elements still look different."""
    person = make_person(forced_colors="active")
    for key in ("a", "b"):
        person.set(key, 1)
    tab = person.open_tab("a")
    page = tab.page

    def look(locator) -> list[str]:
        return locator.evaluate(
            """(node) => {
              const style = getComputedStyle(node)
              const outline = `${style.outlineStyle} ${style.outlineWidth}`
              return [style.backgroundColor, style.color, outline, style.borderColor, style.textDecorationLine]
            }"""
        )

    views = page.get_by_role("group", name="View")
    assert look(views.get_by_role("button", name="Tree")) != look(views.get_by_role("button", name="List"))
    tabs = page.get_by_role("tab")
    assert look(tabs.first) != look(tabs.last)
    links = page.get_by_role("navigation", name="Primary").get_by_role("link")
    assert look(links.first) != look(links.last)
    assert look(tab.row("a")) != look(tab.row("b"))
    plain = look(tab.row("b"))
    tab.row("b").focus()
    page.keyboard.press("x")
    expect(tab.row("b")).to_have_attribute("aria-selected", "true")
    assert look(tab.row("b")) != plain
    expect(page.locator("#selected")).to_be_visible()
    page.keyboard.press("Tab")
    assert "none" not in look(page.locator(":focus"))[2]
    check(page, "forced colours", dark=False)
