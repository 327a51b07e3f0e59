"""A silently dead connection is detected and replaced, even if the browser believes that it is open."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Person, Tab
from tests.chaos.relay import Relay
from tests.live_server import Server

SERVICE_WORKERS = "allow"

# a page with a client whose states are recorded
CONNECT = """async () => {
  window.kv = await (await import("/rkv.js")).connect()
  window.states = []
  kv.addEventListener("state", ({ detail }) => states.push(detail.state))
}"""
UNTIL_OFFLINE = """async () => {
  while (!states.includes("offline")) await new Promise((go) => setTimeout(go, 20))
}"""
SEEN = """async () => {
  while (kv.state !== "live" || !kv.get("a")) await new Promise((go) => setTimeout(go, 20))
  return kv.get("a")
}"""
# a busy machine may need more than one attempt to connect; the refusal says so
FETCHED = """async () => {
  for (;;) {
    try {
      return (await kv.fetch("b")).value
    } catch (error) {
      if (error.code !== "unavailable") throw error
      await new Promise((go) => setTimeout(go, 50))
    }
  }
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


class RelayedServer:
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
def relayed(tmp_path: Path) -> Iterator[RelayedServer]:
    relayed = RelayedServer(tmp_path)
    yield relayed
    relayed.close()


@pytest.fixture
def polling(tmp_path: Path) -> Iterator[RelayedServer]:
    """A server behind a relay that refuses every WebSocket."""
    relayed = RelayedServer(tmp_path, websocket=False)
    yield relayed
    relayed.close()


def test_focus_visibility_and_online_events_replace_a_dead_connection(make_person, relayed):
    ada = make_person("ada", server=relayed.server)
    ada.expects_outage = True
    pages = {event: ada.new_page() for event in ("online", "focus", "pageshow", "visibilitychange", "resume")}
    for page in pages.values():
        page.goto(f"{relayed.relay.url}/api")
        page.evaluate(CONNECT)
    relayed.relay.kill_silently()
    ada.set("a", 1)
    for event, page in pages.items():
        target = "document" if event in ("visibilitychange", "resume") else "window"
        if event == "visibilitychange":
            # pretend that it has been hidden
            page.evaluate(HIDE, True)
            page.evaluate(HIDE, False)
        else:
            page.evaluate(f"{target}.dispatchEvent(new Event('{event}'))")
    for event, page in pages.items():
        assert page.evaluate(LIVE_AGAIN) == ["offline", "catching up", "live"], event
        assert page.evaluate("kv.get('a')") == 1


def test_an_unanswered_write_detects_a_dead_connection_and_is_applied_once(make_person, relayed):
    ada = make_person("ada", server=relayed.server)
    page = relayed.open(ada).page
    page.evaluate(CONNECT)
    relayed.relay.kill_silently()
    assert page.evaluate("kv.set('a', 1).then(({ version }) => version)") == 1
    assert ada.get("a") == 1
    assert page.evaluate("states")[:2] == ["offline", "catching up"]


def test_writes_during_a_network_blackhole_are_applied_once_afterwards(make_person, relayed):
    ada = make_person("ada", server=relayed.server)
    page = relayed.open(ada).page
    page.evaluate(CONNECT)
    relayed.relay.swallow()
    page.evaluate("() => { window.written = Promise.all([1, 2, 3].map((i) => kv.set(`k${i}`, i))) }")
    page.evaluate(UNTIL_OFFLINE)
    relayed.relay.restore()
    assert page.evaluate("written.then((all) => all.map(({ version }) => version))") == [1, 1, 1]
    assert page.evaluate(LIVE_AGAIN)[-1] == "live"


def test_ten_polling_tabs_leave_the_visible_one_usable(make_person, polling):
    ada = make_person("ada", server=polling.server)
    ada.expects_outage = True
    pages = []
    for _ in range(10):
        pages.append(ada.new_page())
        pages[-1].goto(f"{polling.relay.url}/api")
        # connections belong to the whole browser, so hidden pages that hold some take them from the others
        pages[-1].evaluate(CONNECT)
        for page in pages[:-1]:
            page.evaluate(HIDE, True)
    *behind, front = pages
    assert front.evaluate("kv.set('a', 1).then(({ version }) => [version, kv.transport])") == [1, "polling"]
    assert ada.get("a") == 1
    # hidden ones say that something may be missing
    assert behind[0].evaluate("[kv.state, kv.get('a') ?? null]") == ["catching up", None]
    # a page that is shown is soon live, and knows of the writes made meanwhile
    front.evaluate(HIDE, True)
    behind[0].evaluate(HIDE, False)
    assert behind[0].evaluate(SEEN) == 1
    # and a hidden page still writes and asks
    assert behind[1].evaluate("kv.set('b', 2).then(({ version }) => version)") == 1
    assert behind[2].evaluate(FETCHED) == 2
