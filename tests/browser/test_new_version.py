"""The server is replaced by another version while a tab is open: two real, different copies of the program."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import check
from tests.browser.test_offline import KEPT
from tests.running import ROOT, Server

SERVICE_WORKERS = "allow"

# a request whose query is `held` is not answered while a file of that name exists beside this one
LAUNCHER = """import os, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
os.environ["EVENTLET_NO_GREENDNS"] = "yes"
import eventlet
from realtime_kv.cli import main
from realtime_kv.web import headers

everywhere = headers.everywhere

def holding(app, config):
    inner = everywhere(app, config)
    def wsgi(environ, start_response):
        while environ.get("QUERY_STRING") == "held" and Path(__file__).with_name("held").exists():
            eventlet.sleep(0.02)
        return inner(environ, start_response)
    return wsgi

headers.everywhere = holding
sys.exit(main(sys.argv[1:]))
"""

# whether another worker takes over within a second in which nothing else prevents that
TAKEN_OVER = """() => new Promise((done) => {
  navigator.serviceWorker.addEventListener("controllerchange", () => done(true), { once: true })
  setTimeout(() => done(false), 1_000)
})"""


class Program:
    """A copy of the program that can be changed, and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("realtime_kv", "static", "templates"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "node_modules").symlink_to((ROOT / "node_modules").resolve())
        launcher = folder / "launcher.py"
        launcher.write_text(LAUNCHER)
        self.server = Server(folder / "data", launcher=launcher, PYTHONPATH=str(folder)).start()

    def upgrade(self) -> None:
        """Install another version: a module that is loaded late needs an export that an early one has only now."""
        self.server.kill()
        scripts = self.folder / "static" / "js" / "dashboard"
        pieces, activity = scripts / "shared" / "pieces.js", scripts / "past" / "activity.js"
        pieces.write_text(pieces.read_text() + '\nexport const onlyNow = "Version 2"\n')
        text = 'import { onlyNow } from "../shared/pieces.js"\n' + activity.read_text()
        activity.write_text(text + "\ndocument.documentElement.dataset.activity = onlyNow\n")
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
    other.page.wait_for_function(
        "async () => (await caches.keys()).filter((name) => name !== 'realtime_kv pages').length === 2"
    )
    tab.look().page.get_by_role("link", name="Activity").click()
    expect(tab.page.get_by_role("heading", name="Activity")).to_be_visible()
    expect(tab.page.locator(".write")).to_have_count(1)
    expect(tab.page.locator("html")).not_to_have_attribute("data-activity", "Version 2")
    other.look().page.get_by_role("link", name="Activity").click()
    expect(other.page.locator("html")).to_have_attribute("data-activity", "Version 2")
    # a reload is all that the first one needs
    # the worker waits up to 30 s for a file from a busy server
    tab.look().page.reload(timeout=90_000)
    expect(tab.page.locator("html")).to_have_attribute("data-activity", "Version 2")


def test_new_service_worker_waits_for_requests_in_flight_in_the_old_one(visitor, program):
    ada = visitor()
    tab = ada.open_tab()
    tab.page.evaluate(KEPT, 1)
    program.upgrade()
    tab.is_live()
    held = program.folder / "held"
    held.touch()
    tab.page.evaluate("navigator.serviceWorker.controller.postMessage('patient')")
    tab.page.evaluate("setTimeout(() => location.assign('/account?held'))")
    other = ada.open_tab()
    other.page.wait_for_function(
        """async () => {
          const names = (await caches.keys()).filter((name) => name !== "realtime_kv pages")
          const sizes = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).length))
          return sizes.length === 2 && sizes[1] >= sizes[0]
        }"""
    )
    assert not other.page.evaluate(TAKEN_OVER)
    held.unlink()
    expect(tab.page.get_by_role("heading", name="Profile", level=1)).to_be_visible()
    other.page.wait_for_function("async () => (await navigator.serviceWorker.getRegistration()).installing === null")


def test_reload_is_offered_after_the_server_reports_a_new_version(visitor, program):
    ada = visitor()
    tab = ada.open_tab()
    program.upgrade()
    expect(tab.page.locator("#update")).to_contain_text("The server runs a new version.")
    tab.click("Reload")
    tab.is_live()
    expect(tab.page.locator("#update")).to_be_empty()
