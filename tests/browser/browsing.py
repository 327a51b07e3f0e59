"""Tabs in a real browser. Every complaint in a tab's console and every violation of the CSP fails the test."""

import json
import re
from typing import Any, Self
from urllib.parse import quote

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Route, expect

from tests.live_server import PASSWORD, Server

# Chromium's own messages when a server cannot be reached, or has closed a poll's session meanwhile; acceptable only in
# a test that takes the connection away
OUTAGE = re.compile(
    r"WebSocket connection to|net::ERR_|status of 400 .*/socket\.io/.*transport=polling"
    r"|error occurred when fetching the script"
)

# Playwright's own message where a context has no service worker
NO_WORKER = "Service Worker registration blocked by Playwright"

REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""


# always a text box: for tests about the typed text, not about the editor
PLAIN_EDITOR = """if (location.protocol.startsWith("http")) localStorage.setItem("plain editor", "on")"""


class Person:
    """A user's browser: one cookie jar, and its tabs."""

    def __init__(self, context: BrowserContext, server: Server, username: str, *, plain: bool = True) -> None:
        self.context = context
        self.server = server
        self.username = username
        self.complaints: list[str] = []
        self.expects_outage = False
        context.add_init_script(REPORT_VIOLATIONS)
        if plain:
            context.add_init_script(PLAIN_EDITOR)
        context.on("page", self._listen)

    def sign_up(self) -> Self:
        """Sign up by the JSON call, so that a test about something else reaches its subject quickly."""
        self._enter("sign_up", 201)
        return self

    def sign_in(self) -> Self:
        self._enter("sign_in", 200)
        return self

    def call(self, verb: str, **payload: Any) -> dict[str, Any]:
        """Call a verb over HTTP, with this browser's cookie."""
        answer = self.context.request.post(f"{self.server.url}/api/v1/{verb}", data=payload)
        assert answer.ok, answer.text()
        return answer.json() if answer.body() else {}

    def set(self, key: str, value: Any, **more: Any) -> int:
        return self.call("set", key=key, value=value, **more)["revision"]

    def get(self, key: str) -> Any:
        return self.call("get", key=key)["entry"]["value"]

    def open_tab(self, key: str | None = None) -> "Tab":
        """Open the dashboard in a new tab, and wait until it is live."""
        tab = Tab(self, self.context.new_page())
        tab.page.goto(self.server.url + "/keys" + (f"?key={quote(key, safe='')}" if key is not None else ""))
        tab.is_live()
        if key is not None:
            expect(tab.page.locator("#detail-heading")).to_have_count(1)
        if self.expects_outage:
            # lazily loaded modules must be loaded before the connection goes
            expect(tab.page.locator("#main")).to_have_attribute("data-loaded", "all")
        return tab

    def go_offline(self) -> None:
        """Take the network away from all tabs, once each has loaded its lazy modules."""
        for page in self.context.pages:
            dashboard = page.locator("main.dashboard")
            if dashboard.count():
                expect(dashboard).to_have_attribute("data-loaded", "all")
        self.context.set_offline(True)

    def new_page(self) -> Page:
        return self.context.new_page()

    def assert_no_complaints(self) -> None:
        assert not self.complaints, "\n".join(self.complaints)

    def _enter(self, verb: str, status: int) -> None:
        credentials = {"username": self.username, "password": PASSWORD}
        answer = self.context.request.post(f"{self.server.url}/api/v1/{verb}", data=credentials)
        assert answer.status == status, answer.text()

    def _listen(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.text == NO_WORKER:
            return
        fair = self.expects_outage and OUTAGE.search(f"{message.text} {message.location['url']}")
        if message.type in {"error", "warning"} and not fair:
            self.complaints.append(f"{message.type}: {message.text} ({message.location})")


class Held:
    """Holds back the answers to requests of `page` for addresses that match `pattern`, until `release()`."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._released = False
        self._routes: list[Route] = []
        page.route(pattern, self._take)

    def release(self) -> None:
        self._released = True
        for route in self._routes:
            route.continue_()

    def _take(self, route: Route) -> None:
        if self._released:
            route.continue_()
        else:
            self._routes.append(route)


def resize(page: Page, width: int, height: int) -> None:
    """Resize, and wait for the final layout: scripts redraw one frame after the style sheets apply."""
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def sign_out(page: Page) -> None:
    """Sign out with the user menu."""
    page.bring_to_front()
    page.get_by_role("button", name="Signed in as").click()
    page.locator("#menu").get_by_role("button", name="Sign out").click()


class Tab:
    """The dashboard, as a user operates it."""

    def __init__(self, person: Person, page: Page) -> None:
        self.person = person
        self.page = page
        self.state = page.locator("#conn")
        self.value = page.locator("#value")  # read-only view
        self.editor = page.locator("#editor")  # editable
        self.note = page.locator("#editor-note")
        self.conflict = page.locator("#conflict")
        self.toasts = page.locator("#toasts")
        self.count = page.locator("#count")
        self.rows = page.locator("#list [role=row] .k")

    def row(self, key: str) -> Locator:
        return self.page.locator("[role=row]").filter(
            has=self.page.locator(f"[title={json.dumps(key, ensure_ascii=False)}]")
        )

    def folder(self, prefix: str) -> Locator:
        return self.row(prefix)

    def act(self, name: str, what: str) -> None:
        """Perform one of the actions of a key or folder."""
        self.look().row(name).hover()
        self.page.get_by_role("button", name=f"Actions for {name}", exact=True).click()
        self.page.get_by_role("menuitem", name=what).click()

    def value_of(self, key: str) -> Locator:
        return self.row(key).locator(".v")

    def mark_of(self, key: str) -> Locator:
        return self.row(key).locator(".by")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def look(self) -> Self:
        """Bring the tab to the front: a background tab draws only now and then, and clicks there take seconds."""
        self.page.bring_to_front()
        return self

    def click(self, name: str) -> None:
        self.look().button(name).click()

    def open(self, key: str) -> None:
        self.look().row(key).click()
        expect(self.page.locator("#detail-heading")).to_have_text(key)

    def create(self, key: str, text: str) -> None:
        self.click("New key")
        self.page.get_by_label("Key", exact=True).fill(key)
        self.editor.fill(text)
        self.save()

    def type_value(self, text: str, *, mode: str = "JSON") -> None:
        """Type into the editor, and open it first if necessary."""
        self.look()
        expect(self.value.or_(self.editor)).to_be_visible()
        if self.value.is_visible():
            self.page.get_by_role("button", name="Edit", exact=True).click()
            # the editor places the caret when it gets the focus, which drops an earlier selection
            expect(self.editor).to_be_focused()
        way = self.page.get_by_role("group", name="Write it as").get_by_role("button", name=mode)
        way.click()
        # the switch rewrites the text, which must not happen between the selecting and the typing of `fill`
        expect(way).to_have_attribute("aria-pressed", "true")
        self.editor.fill(text)

    def value_in_editor(self) -> Any:
        """Open the editor of the open key; return the value that it holds."""
        self.look().page.get_by_role("button", name="Edit", exact=True).click()
        text = self.editor.input_value()
        as_text = self.page.get_by_role("group", name="Write it as").get_by_role("button", name="Text")
        return text if as_text.get_attribute("aria-pressed") == "true" else json.loads(text)

    def write(self, key: str, text: str) -> None:
        """Open a key, type and save."""
        self.open(key)
        self.type_value(text)
        self.save()

    def is_saved(self) -> None:
        """Check that a save has arrived. "Done" alone does not prove it: it also shows while the save is on its way."""
        expect(self.button("Done")).to_be_visible()
        expect(self.page.get_by_role("button", name=re.compile("^Save( |$)"))).to_be_visible()

    def save(self) -> None:
        self.look().page.get_by_role("button", name=re.compile("^(Save|Create)$")).click()

    def sign_out(self) -> None:
        sign_out(self.page)

    def is_live(self) -> None:
        expect(self.state).to_have_attribute("data-state", "live")

    def is_offline(self) -> None:
        expect(self.state).to_have_attribute("data-state", "offline")
