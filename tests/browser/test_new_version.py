"""The server is replaced by another version while a tab is open: two real, different copies of the program."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import check
from tests.browser.test_offline import KEPT
from tests.live_server import ROOT, Server

SERVICE_WORKERS = "allow"

LAUNCHER = """import os, sys, warnings

warnings.simplefilter("ignore")
os.environ["EVENTLET_NO_GREENDNS"] = "yes"
from realtime_kv.cli.main import main

sys.exit(main(sys.argv[1:]))
"""

# resolves once the worker of the new version is installed
INSTALLED = """async () => {
  const registration = await navigator.serviceWorker.getRegistration()
  while (!registration.waiting) await new Promise((later) => setTimeout(later, 20))
  return true
}"""
# marks the worker that controls the page, and tells whether it is still that one
MARK = "() => { window.worker = navigator.serviceWorker.controller }"
SAME = "() => window.worker === navigator.serviceWorker.controller"


class Program:
    """A copy of the program that can be changed, and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 1
        for name in ("realtime_kv", "static", "templates"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "node_modules").symlink_to((ROOT / "node_modules").resolve())
        launcher = folder / "launcher.py"
        launcher.write_text(LAUNCHER)
        self.server = Server(folder / "data", launcher=launcher, PYTHONPATH=str(folder)).start()

    def upgrade(self) -> None:
        """Install another version: a module that is loaded late needs an export that an early one has only now."""
        self.server.kill()
        self.version += 1
        scripts = self.folder / "static" / "js" / "dashboard"
        pieces, activity = scripts / "shared" / "view-helpers.js", scripts / "history" / "activity-page.js"
        if self.version == 2:
            text = 'import { onlyNow } from "../shared/view-helpers.js"\n' + activity.read_text()
            activity.write_text(text + "\ndocument.documentElement.dataset.activity = onlyNow\n")
            pieces.write_text(pieces.read_text() + '\nexport const onlyNow = "Version 2"\n')
        pieces.write_text(
            f"{pieces.read_text()}\nexport const version = {self.version}\n".replace(
                f"export const version = {self.version - 1}\n", ""
            )
        )
        self.server.start()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    program.server.close()


@pytest.fixture
def visitor(make_person: Callable, program: Program) -> Callable:
    def make(**options):
        person = make_person("ada", server=program.server, reduced_motion="reduce", **options)
        person.expects_outage = True
        person.set("a", 1)
        return person

    return make


def test_incompatible_module_offers_a_reload_that_fixes_it_and_keeps_drafts(visitor, program):
    ada = visitor(service_workers="block")
    tab = ada.open_tab("a")
    tab.type_value("23")
    program.upgrade()
    tab.is_live()
    loads = []
    tab.page.on("framenavigated", lambda frame: loads.append(frame.url))
    tab.page.get_by_role("link", name="Activity").click()
    expect(tab.page.locator("#update")).to_contain_text("Reload the page")
    expect(tab.page.locator("#update")).to_contain_text("What you have typed is kept.")
    expect(tab.page.get_by_role("heading", level=1).and_(tab.page.locator(":visible"))).to_be_visible()
    check(tab.page, "update")
    loads.clear()
    tab.page.locator("#update").get_by_role("button", name="Reload").click()
    expect(tab.page.locator("html")).to_have_attribute("data-activity", "Version 2")
    expect(tab.page.locator("#update")).to_be_empty()
    tab.is_live()
    assert len(loads) == 1
    tab.page.get_by_role("link", name="Keys", exact=True).click()
    tab.open("a")
    expect(tab.editor).to_have_value("23")
    ada.complaints = [text for text in ada.complaints if "blocked by Playwright" not in text]


def test_service_worker_serves_an_open_page_the_files_of_its_own_version(visitor, program):
    ada = visitor()
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    program.upgrade()
    tab.is_live()
    # another tab brings the new version, and its worker
    other = ada.open_tab()
    assert other.page.evaluate(INSTALLED)
    tab.look().page.get_by_role("link", name="Activity").click()
    expect(tab.page.get_by_role("heading", name="Activity")).to_be_visible()
    expect(tab.page.locator(".write")).to_have_count(1)
    expect(tab.page.locator("html")).not_to_have_attribute("data-activity", "Version 2")
    other.look().page.get_by_role("link", name="Activity").click()
    expect(other.page.locator("html")).to_have_attribute("data-activity", "Version 2")
    # a reload is all that the first one needs, as soon as the new worker is installed
    tab.look().page.reload()
    expect(tab.page.locator("html")).to_have_attribute("data-activity", "Version 2")


def test_new_service_worker_takes_over_from_the_only_page_and_never_while_others_are_open(visitor, program):
    ada = visitor()
    tab, other = ada.open_tab(), ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    other.page.evaluate(MARK)
    program.upgrade()
    expect(tab.page.locator("#update")).to_contain_text("The server runs a new version.")
    tab.look().click("Reload")
    tab.is_live()
    expect(tab.page.locator("#update")).to_be_empty()
    # the new page brings the new worker, which waits, also in the other page's own reload
    assert tab.page.evaluate(INSTALLED)
    assert other.page.evaluate(SAME)
    other.look().page.reload()
    other.is_live()
    assert tab.page.evaluate("async () => (await navigator.serviceWorker.getRegistration()).waiting !== null")
    other.page.close()
    program.upgrade()
    expect(tab.look().page.locator("#update")).to_contain_text("The server runs a new version.")
    tab.page.evaluate(MARK)
    tab.page.evaluate(
        "() => { window.changed = 0; navigator.serviceWorker.oncontrollerchange = () => (window.changed += 1) }"
    )
    tab.page.evaluate("addEventListener('pagehide', () => sessionStorage.setItem('changed', window.changed))")
    tab.click("Reload")
    tab.page.wait_for_function("() => sessionStorage.getItem('changed') === '1'")
    tab.is_live()


def test_reload_is_offered_after_the_server_reports_a_new_version(visitor, program):
    ada = visitor()
    tab = ada.open_tab()
    program.upgrade()
    expect(tab.page.locator("#update")).to_contain_text("The server runs a new version.")
    tab.click("Reload")
    tab.is_live()
    expect(tab.page.locator("#update")).to_be_empty()


def test_signing_out_deletes_the_page_that_a_waiting_service_worker_has_cached(visitor, program):
    ada = visitor()
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    program.upgrade()
    tab.is_live()
    dashboard = ada.open_tab().page
    assert dashboard.evaluate(INSTALLED)
    # a page without a connection: it hears of nothing, and keeps the new worker waiting
    page = ada.context.new_page()
    page.goto(program.server.url + "/account")
    dashboard.close()
    tab.page.close()
    cached = "async () => !!(await caches.match('/keys'))"
    assert page.evaluate(cached)
    # the session ends elsewhere, and the browser learns of it by a redirect only
    ada.call("sign_out")
    page.goto(program.server.url + "/keys")
    expect(page).to_have_title("Sign in · realtime_kv")
    gone = f"""async () => {{
        for (let times = 0; times < 1000 && await ({cached})(); times += 1)
            await new Promise((go) => setTimeout(go, 20))
        return !(await ({cached})())
    }}"""
    assert page.evaluate(gone)
