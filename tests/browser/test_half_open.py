"""A connection that is dead without a word is found out and replaced, whatever the browser believes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Person, Tab
from tests.chaos.relay import Relay
from tests.running import Server

# a page with a client whose states are recorded
CONNECT = """async () => {
  window.kv = await (await import("/rkv.js")).connect()
  window.states = []
  kv.addEventListener("state", ({ detail }) => states.push(detail.state))
}"""
UNTIL_OFFLINE = """async () => {
  while (!states.includes("offline")) await new Promise((go) => setTimeout(go, 20))
}"""
LIVE_AGAIN = """async () => {
  while (!states.includes("offline") || kv.state !== "live") await new Promise((go) => setTimeout(go, 20))
  return states
}"""

HIDE = """(hidden) => {
  const get = () => (hidden ? "hidden" : "visible")
  Object.defineProperty(document, "visibilityState", { configurable: true, get })
  document.dispatchEvent(new Event("visibilitychange"))
}"""


class Place:
    """A server that is reached through a relay only."""

    def __init__(self, folder: Path, *, websocket: bool = True) -> None:
        self.relay = Relay(websocket=websocket)
        self.server = Server(folder / "data", RKV_PUBLIC_URL=self.relay.url).start()
        self.relay.port = self.server.port

    def close(self) -> None:
        self.relay.close()
        self.server.close()

    def open(self, person: Person) -> Tab:
        person.expects_outage = True
        tab = Tab(person, person.new_page())
        tab.page.goto(f"{self.relay.url}/keys")
        tab.is_live()
        expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
        return tab


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture
def polling(tmp_path: Path) -> Iterator[Place]:
    """Where no WebSocket gets through."""
    place = Place(tmp_path, websocket=False)
    yield place
    place.close()


@pytest.mark.parametrize("event", ["online", "focus", "pageshow", "visibilitychange", "resume"])
def test_a_dead_connection_is_replaced_once_the_tab_is_looked_at(make_person, place, event):
    ada = make_person("ada", server=place.server)
    page = place.open(ada).page
    page.evaluate(CONNECT)
    place.relay.kill_silently()
    ada.set("a", 1)
    target = "document" if event in ("visibilitychange", "resume") else "window"
    if event == "visibilitychange":
        # it has been hidden
        page.evaluate(HIDE, True)
        page.evaluate(HIDE, False)
    else:
        page.evaluate(f"{target}.dispatchEvent(new Event('{event}'))")
    states = page.evaluate(LIVE_AGAIN)
    assert states == ["offline", "catching up", "live"]
    assert page.evaluate("kv.get('a')") == 1


def test_a_write_that_nobody_answers_finds_a_dead_connection_out(make_person, place):
    ada = make_person("ada", server=place.server)
    page = place.open(ada).page
    page.evaluate(CONNECT)
    place.relay.kill_silently()
    assert page.evaluate("kv.set('a', 1).then(({ version }) => version)") == 1
    assert ada.get("a") == 1
    assert page.evaluate("states")[:2] == ["offline", "catching up"]


def test_a_network_that_swallows_everything_for_a_while_leaves_nothing_behind(make_person, place):
    ada = make_person("ada", server=place.server)
    page = place.open(ada).page
    page.evaluate(CONNECT)
    place.relay.swallow()
    page.evaluate("() => { window.written = Promise.all([1, 2, 3].map((i) => kv.set(`k${i}`, i))) }")
    page.evaluate(UNTIL_OFFLINE)
    place.relay.restore()
    assert page.evaluate("written.then((all) => all.map(({ version }) => version))") == [1, 1, 1]
    assert page.evaluate(LIVE_AGAIN)[-1] == "live"


def test_ten_tabs_that_poll_leave_the_one_in_front_usable(make_person, polling):
    ada = make_person("ada", server=polling.server)
    tabs = []
    for _ in range(10):
        tabs.append(polling.open(ada))
        # a tab that comes behind another one is hidden to its page
        for tab in tabs[:-1]:
            tab.page.evaluate(HIDE, True)
    front = tabs[-1]
    front.create("a", "1")
    expect(front.value_of("a")).to_have_text("1")
    assert ada.get("a") == 1
    # and the first one again, which knows what has happened meanwhile once it is live
    front.page.evaluate(HIDE, True)
    first = tabs[0]
    first.page.evaluate(HIDE, False)
    first.look().is_live()
    expect(first.value_of("a")).to_have_text("1")
    first.create("b", "2")
    assert ada.get("b") == 2
    # those behind say that something may be missing, and still write
    expect(tabs[3].state).to_have_attribute("data-state", "catching up")
