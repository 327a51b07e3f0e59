"""Pictures of the pages and their states, light, dark and on a phone, in `test-results/screenshots/`.

For people, so by command: `python3 run.py test tests/browser/screenshots.py`.
"""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Tab, resize, sign_out
from tests.live_server import ROOT

FOLDER = ROOT / "test-results" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

SAMPLE = {
    "app/banner": "Maintenance on Sunday 02:00 UTC",
    "app/feature-flags": {"checkout": True, "beta": ["ada", "grace"], "rollout": 0.25},
    "app/maintenance": False,
    "app/rate-limit": 250,
    "devices/berlin/door": {"open": False, "battery": 0.82},
    "devices/berlin/lamp": {"on": True, "colour": "#ffc46b"},
    "devices/oslo/heater": {"target": 21.5, "actual": 20.9},
    "drafts/letter": "Dear all,\nthe lab moves on Friday.",
    "readme": "Shared notes for the lab",
    "theme": None,
}


@pytest.fixture(scope="module", autouse=True)
def folder():
    FOLDER.mkdir(parents=True, exist_ok=True)


def shoot(page: Page, name: str) -> None:
    """Take three pictures, each of a whole and settled page."""
    for kind, scheme, size in [("light", "light", DESKTOP), ("dark", "dark", DESKTOP), ("phone", "light", PHONE)]:
        page.emulate_media(color_scheme=scheme)
        resize(page, **size)
        page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => null)))")
        picture = FOLDER / f"{name}-{kind}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 4_000
    page.emulate_media(color_scheme="light")
    resize(page, **DESKTOP)


def test_the_dashboard(make_person):
    ada = make_person("ada", plain=False)
    tab: Tab = ada.open_tab()
    page = tab.page
    shoot(page, "empty")
    for key, value in SAMPLE.items():
        ada.set(key, value)
    ada.set("app/feature-flags", {**SAMPLE["app/feature-flags"], "rollout": 0.5})
    ada.call("delete", key="theme")
    expect(page.locator("[role=row]").first).to_be_visible()
    page.goto(f"{ada.server.url}/keys?view=tree")
    tab.is_live()
    shoot(page, "tree")
    page.goto(f"{ada.server.url}/keys?view=list&key=app/feature-flags")
    expect(tab.value).to_be_visible()
    shoot(page, "value")
    page.get_by_role("button", name="Signed in as").click()
    shoot(page, "menu")
    page.keyboard.press("Escape")
    tab.click("Rename")
    expect(page.locator("#move")).to_be_visible()
    shoot(page, "rename")
    page.keyboard.press("Escape")
    tab.click("New key")
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    shoot(page, "new-key")
    page.goto(f"{ada.server.url}/keys?view=list&key=app/feature-flags")
    expect(tab.value).to_be_visible()
    page.locator("#detail-heading").focus()
    page.keyboard.press("e")
    expect(page.locator("code-editor .cm-content")).to_be_visible()
    shoot(page, "editor")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(json.dumps({**SAMPLE["app/feature-flags"], "checkout": False}, indent=2))
    ada.set("app/feature-flags", {**SAMPLE["app/feature-flags"], "beta": ["ada", "grace", "joan"]})
    expect(tab.conflict).to_be_visible()
    shoot(page, "conflict")
    tab.click("Show difference")
    shoot(page, "difference")
    tab.click("Side by side")
    shoot(page, "side-by-side")
    sign_out(page)
    expect(page.locator("#signing-out")).to_be_visible()
    shoot(page, "signing-out")
    tab.click("Stay")
    tab.click("Take theirs")
    for name in ("history", "use"):
        page.goto(f"{ada.server.url}/keys?view=list&key=app/feature-flags&tab={name}")
        tab.is_live()
        expect(page.get_by_role("tabpanel")).not_to_be_empty()
        shoot(page, name)
    page.goto(f"{ada.server.url}/keys?q=nothing-like-it")
    tab.is_live()
    expect(page.get_by_text(re.compile("^No keys or values match"))).to_be_visible()
    shoot(page, "no-match")
    for name in ("activity", "trash"):
        page.goto(f"{ada.server.url}/{name}")
        expect(page.locator("#other h1, #other h2").first).to_be_visible()
        tab.is_live()
        page.wait_for_load_state("networkidle")
        shoot(page, name)
    page.goto(f"{ada.server.url}/keys")
    tab.is_live()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-text")).to_be_focused()
    shoot(page, "palette")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_be_visible()
    shoot(page, "shortcuts")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    tab.state.click()
    shoot(page, "status")
    page.keyboard.press("Escape")
    for key in ("readme", "drafts/letter"):
        tab.row(key).locator("input").check(force=True)
    shoot(page, "selected")
    tab.click("Clear")
    page.get_by_role("button", name="Actions for app/", exact=True).click()
    shoot(page, "actions")
    page.keyboard.press("Escape")
    tab.row("readme").click()
    tab.click("Delete")
    expect(tab.toasts).to_contain_text("Undo")
    shoot(page, "undo")
    ada.expects_outage = True
    ada.go_offline()
    tab.is_offline()
    shoot(page, "offline")
    ada.context.set_offline(False)
    tab.is_live()
    ada.call("sign_out")
    expect(page.locator("#signed-out")).to_be_visible()
    shoot(page, "signed-out")


def test_the_other_pages(make_person):
    ada = make_person("ada")
    stranger = make_person("stranger", signed_up=False)
    page = stranger.new_page()
    for name in ("signin", "signup", "recover", "api"):
        page.goto(f"{stranger.server.url}/{name}")
        shoot(page, name)
    page = ada.new_page()
    for name in ("profile", "security", "sessions", "tokens", "data", "preferences", "events"):
        page.goto(f"{ada.server.url}/account/{name}")
        shoot(page, f"account-{name}")


def test_the_pages_of_a_superuser(make_person, admin_server):
    root = make_person("root", signed_up=False, server=admin_server)
    root.username = "root"
    root.sign_in()
    page = root.new_page()
    for name in ("users", "users/new", "diagnostics", "audit", "backup"):
        page.goto(f"{admin_server.url}/admin/{name}")
        shoot(page, f"admin-{name.replace('/', '-')}")
    page.goto(f"{admin_server.url}/admin/users")
    page.get_by_role("link", name="root", exact=True).click()
    page.wait_for_url(re.compile(r"/users/\d+$"))
    user = page.url
    for name in ("", "/entries", "/link"):
        page.goto(user + name)
        shoot(page, f"admin-user{name.replace('/', '-')}")
