"""Signing up, in and out, with JavaScript and without; by keyboard alone; and the size of a first visit."""

import gzip
import math
import re

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Held, sign_out
from tests.live_server import PASSWORD, fresh_name


def test_signing_up_in_and_out_needs_no_javascript(make_person, server):
    person = make_person("plain", signed_up=False, java_script_enabled=False)
    page = person.new_page()
    page.goto(server.url)
    page.wait_for_url("**/signin")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Username").fill("x")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#username-problem")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value("x")
    expect(page.get_by_label("Username")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill("password1")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#password-problem")).to_contain_text("easy to guess")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#codes")).to_be_visible()
    page.get_by_role("link", name="I've saved them").click()
    page.wait_for_url("**/keys")
    expect(page.locator("noscript p")).to_contain_text("needs JavaScript")
    sign_out(page)
    page.wait_for_url("**/signin")
    page.goto(server.url + "/keys?key=a%2F%2Fb")
    page.wait_for_url(re.compile(r"/signin\?next="))
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#problem")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(server.url + "/keys?key=a%2F%2Fb")
    # the two refused forms, as Chromium reports them
    person.complaints = [text for text in person.complaints if not re.search(r"status of (401|422)", text)]


def test_the_show_password_button_reveals_the_password(make_person, server):
    page = make_person(signed_up=False).new_page()
    page.goto(server.url + "/signin")
    password = page.get_by_label("Password", exact=True)
    password.fill("secret")
    page.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide password").click()
    expect(password).to_have_attribute("type", "password")


def test_sign_up_and_the_dashboard_work_by_keyboard_alone(make_person, server):
    person = make_person("keys", signed_up=False)
    page = person.new_page()
    press, kind = page.keyboard.press, page.keyboard.type
    focused = page.locator(":focus")
    page.goto(server.url + "/signup")
    kind(fresh_name("keyboard"))
    press("Tab")
    kind(PASSWORD)
    press("Enter")
    expect(page.get_by_role("heading", name="Save your recovery codes")).to_be_visible()
    page.get_by_role("link", name="I've saved them").press("Enter")
    page.wait_for_url("**/keys")
    expect(page.locator("#conn")).to_have_attribute("data-state", "live")
    for key, value in (("a", "1"), ("b", "2"), ("c", "3")):
        press("n")
        expect(focused).to_have_attribute("id", "new-key")
        kind(key)
        press("Tab")
        kind(value)
        press("Control+s")
        expect(page.locator(f"[title={key}] + .v")).to_have_text(value)
        press("Escape")
        expect(focused).to_have_attribute("role", "row")
    press("Home")
    press("ArrowDown")
    expect(focused).to_have_attribute("aria-rowindex", "2")
    press("Enter")
    expect(focused).to_have_id("detail-heading")
    expect(focused).to_have_text("b")
    press("e")
    expect(focused).to_have_id("editor")
    press("Control+a")
    kind("22")
    press("Control+Enter")
    expect(page.locator("[title=b] + .v")).to_have_text("22")
    press("Escape")
    expect(focused).to_have_attribute("aria-rowindex", "2")
    press("Delete")
    expect(page.locator("[role=row]")).to_have_count(2)
    expect(focused).to_have_attribute("role", "row")
    press("/")
    expect(focused).to_have_id("filter")
    kind("c")
    expect(page.locator("[role=row]")).to_have_count(1)
    press("Escape")
    expect(page.locator("[role=row]")).to_have_count(2)
    press("Escape")
    press("Shift+?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.get_by_label("Single-key shortcuts").press("Space")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("n")
    expect(page.locator("#new-key")).to_have_count(0)


def test_a_theme_chosen_in_one_tab_applies_to_all_tabs(tabs):
    here, there = tabs
    background = "getComputedStyle(document.body).backgroundColor"
    assert here.page.evaluate(background) == "rgb(246, 247, 244)"
    here.click("Theme: system")
    here.click("Theme: light")
    expect(here.button("Theme: dark")).to_be_visible()
    assert here.page.evaluate(background) == "rgb(14, 20, 18)"
    expect(there.page.locator("html")).to_have_attribute("data-theme", "dark")
    there.page.reload()
    assert there.page.evaluate(background) == "rgb(14, 20, 18)"


# records when the page first showed that it is live, with its content; files loaded after that are not needed at first
NOTE_LIVE = """new MutationObserver((_, observer) => {
  if (!document.querySelector('#conn[data-state="live"]') || !document.querySelector("#start, [role=row]")) return
  window.liveAt = Date.now()
  observer.disconnect()
}).observe(document, { subtree: true, childList: true, attributes: true })"""


@pytest.mark.parametrize(("path", "shows"), [("/signin", "form"), ("/keys", "#start"), ("/keys", "[role=row]")])
def test_a_first_visit_loads_under_60_kb_of_js_15_of_css_and_no_third_party(make_person, server, path, shows):
    person = make_person(signed_up=path == "/keys")
    if shows == "[role=row]":
        for number in range(20):
            person.set(f"app/folder-{number % 3}/{number}", {"number": number})
    page = person.new_page()
    page.add_init_script(NOTE_LIVE)
    answers = []
    others = []
    page.on("request", lambda request: None if request.url.startswith(server.url) else others.append(request.url))
    page.on("response", lambda answer: answers.append(answer))
    page.goto(server.url + path, wait_until="networkidle" if path == "/signin" else "load")
    expect(page.locator(shows).first).to_be_visible()
    if path == "/keys":
        expect(page.locator("#conn")).to_have_attribute("data-state", "live")
    live_at = page.evaluate("window.liveAt") or math.inf
    first = [answer for answer in answers if answer.request.timing["startTime"] <= live_at]
    scripts, styles = (weights(first, kind) for kind in ("javascript", "css"))
    total = sum(scripts.values())
    print(f"{path}: {total} bytes gzipped in {len(scripts)} files, and {sum(styles.values())} of CSS in {len(styles)}")
    assert 0 < total < 60_000, scripts
    assert 0 < sum(styles.values()) < 15_000, styles
    assert not [url for url in others if not url.startswith("ws://127.0.0.1")]


def weights(answers, kind):
    """Return the compressed sizes of the answers of this kind, by their addresses."""
    ours = [answer for answer in answers if kind in answer.headers.get("content-type", "")]
    return {answer.url: len(gzip.compress(answer.body(), 6)) for answer in ours}


@pytest.mark.parametrize(
    ("path", "lasting"), [("/keys", ".tools"), ("/activity", ".past-head"), ("/trash", ".past-head")]
)
def test_server_rendered_toolbars_equal_the_ones_that_scripts_draw(make_person, path, lasting):
    person = make_person()
    page = person.new_page()
    scripts = Held(page, "**/dashboard/main.js")
    page.goto(person.server.url + path, wait_until="commit")
    early = page.locator(f".awaited {lasting}")
    expect(early).to_be_visible()
    expect(page.locator(".skeleton:visible")).to_have_count(1)
    place, text = early.bounding_box(), early.inner_text()
    scripts.release()
    expect(page.locator(".awaited:visible")).to_have_count(0)
    drawn = page.locator(lasting)
    expect(drawn).to_be_visible()
    assert (drawn.bounding_box(), drawn.inner_text()) == (place, text)


def test_the_pages_fit_320_pixels(make_person, server):
    person = make_person("narrow", viewport={"width": 320, "height": 568})
    long_key = "a-folder-with-a-long-name/" + "and-a-key-with-an-even-longer-name-" * 4
    person.set(long_key, {"text": "x" * 500})
    person.set("short", 1)
    tab = person.open_tab()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.page.evaluate(overflow) == 0
    tab.open(long_key)
    assert tab.page.evaluate(overflow) == 0
    expect(tab.row("short")).not_to_be_visible()
    tab.type_value("[1")
    assert tab.page.evaluate(overflow) == 0
    tab.click("All keys")
    expect(tab.row("short")).to_be_visible()
    expect(tab.page.locator(":focus")).to_have_attribute("role", "row")
    stranger = make_person("stranger", signed_up=False, viewport={"width": 320, "height": 568}).new_page()
    for path in ("/signin", "/signup"):
        stranger.goto(server.url + path)
        assert stranger.evaluate(overflow) == 0


def test_an_unknown_page_links_to_the_start_page(make_person, server):
    person = make_person(signed_up=False)
    page = person.new_page()
    page.goto(server.url + "/nowhere")
    expect(page.get_by_role("heading")).to_be_visible()
    page.get_by_role("link", name="Go to the start page").click()
    page.wait_for_url("**/signin")
    person.complaints = [text for text in person.complaints if "status of 404" not in text]


@pytest.mark.parametrize("path", ["/activity", "/trash"])
def test_activity_or_trash_as_the_first_page_also_loads_the_key_list(ada, path):
    ada.set("a", 1)
    page = ada.new_page()
    page.goto(ada.server.url + path)
    expect(page.locator("#main")).to_have_attribute("data-loaded", "all")
    expect(page.locator("#update")).to_be_empty()
    # and the list is ready once it is shown
    page.get_by_role("link", name="Keys", exact=True).click()
    divider = page.get_by_role("separator", name="Width of the key list")
    expect(divider).to_have_attribute("aria-valuenow", re.compile(r"\d"))
    before = divider.get_attribute("aria-valuenow")
    divider.press("ArrowLeft")
    expect(divider).not_to_have_attribute("aria-valuenow", before)
