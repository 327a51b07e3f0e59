"""The example of docs/examples/other-origin, served from another port: its users sign up and live there."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pyotp
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import Person
from tests.live_server import DEADLINE, PASSWORD, ROOT, Server, fresh_name

EXAMPLE = ROOT / "docs" / "examples" / "other-origin"
DEFAULT = "http://127.0.0.1:5000"


class Handler(SimpleHTTPRequestHandler):
    """The example, unchanged except for the address of the server."""

    keeper = ""

    def do_GET(self) -> None:
        name = self.path.strip("/") or "index.html"
        page = (EXAMPLE / name).read_text().replace(DEFAULT, self.keeper).encode()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(name))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class OtherOrigin:
    """Pages on a separate port."""

    def __init__(self) -> None:
        self.handler = type("AHandler", (Handler,), {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(self.handler, directory=str(EXAMPLE)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def open_other_origin() -> Iterator[Callable[[], OtherOrigin]]:
    opened: list[OtherOrigin] = []

    def make() -> OtherOrigin:
        opened.append(OtherOrigin())
        return opened[-1]

    yield make
    for origin in opened:
        origin.close()


@pytest.fixture(scope="module")
def allowed(open_other_origin: Callable[[], OtherOrigin]) -> OtherOrigin:
    return open_other_origin()


@pytest.fixture(scope="module")
def keeper(allowed: OtherOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets pages of `allowed` use bearer tokens."""
    server = Server(tmp_path_factory.mktemp("keeper"), RKV_ORIGINS=allowed.url).start()
    allowed.handler.keeper = server.url
    yield server
    server.close()


class ExamplePage:
    """The example, as a user operates it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.said = page.get_by_role("status")
        self.keys = page.locator("#keys > li")
        self.codes = page.locator("#codes > li")

    def enter(self, username: str, button: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name=button).click()

    def set(self, key: str, value: str) -> None:
        self.page.bring_to_front()
        self.page.get_by_label("Key").fill(key)
        self.page.get_by_label("Value").fill(value)
        self.page.get_by_role("button", name="Set").click()


def test_users_of_an_allowed_origin_sign_up_and_see_keys_live_in_every_tab(
    allowed: OtherOrigin, keeper: Server, make_person: Callable[..., Person]
) -> None:
    visitor = make_person(signed_up=False, server=keeper)
    name = fresh_name("origin")
    laptop = ExamplePage(visitor.new_page(), allowed.url)
    laptop.enter(name, "Sign up")
    expect(laptop.said).to_have_text("live")
    expect(laptop.codes).to_have_count(10)
    phone = ExamplePage(make_person(signed_up=False, server=keeper).new_page(), allowed.url)
    phone.enter(name, "Sign in")
    expect(phone.said).to_have_text("live")
    expect(phone.codes).to_have_count(0)
    laptop.set("colour", "<b>red</b>")
    for tab in (laptop, phone):
        expect(tab.keys).to_have_text(["colour: <b>red</b>"])
    phone.set("animal", "cat")
    for tab in (laptop, phone):
        expect(tab.keys).to_have_text(["animal: cat", "colour: <b>red</b>"])
    # no cookie was set
    assert visitor.context.cookies() == []
    laptop.page.get_by_role("button", name="Sign out").click()
    expect(laptop.said).to_have_text("You are signed out.")
    expect(phone.said).to_have_text("live")


def test_a_page_on_another_origin_shows_the_refusals_of_the_server(
    browser: Browser, allowed: OtherOrigin, keeper: Server
) -> None:
    # Chromium complains of every answer from 400 on
    context = browser.new_context()
    example = ExamplePage(context.new_page(), allowed.url)
    example.enter("x", "Sign up")
    expect(example.said).to_contain_text("3")
    example.enter(fresh_name("nobody"), "Sign in")
    expect(example.said).to_have_text("Wrong username or password.")
    context.close()


def test_two_step_sign_in_from_another_origin_asks_for_the_code(
    browser: Browser, allowed: OtherOrigin, keeper: Server
) -> None:
    owner = keeper.sign_up(fresh_name("owner"))
    secret = owner.http("two_step_begin", password=PASSWORD).json()["secret"]
    confirmed = owner.http("two_step_confirm", code=pyotp.TOTP(secret).now())
    assert confirmed.status_code == 200, confirmed.text
    owner.headers = {"Authorization": f"Bearer {confirmed.json()['token']}"}
    (code, *_) = owner.http("recovery_codes", password=PASSWORD).json()["recovery_codes"]
    # Chromium complains of every answer from 400 on
    context = browser.new_context()
    example = ExamplePage(context.new_page(), allowed.url)
    example.page.on("dialog", lambda dialog: dialog.accept(code))
    example.enter(owner.username, "Sign in")
    expect(example.said).to_have_text("live")
    context.close()


def test_a_page_on_an_origin_not_allowed_cannot_sign_up_or_connect(
    browser: Browser, open_other_origin: Callable[[], OtherOrigin], keeper: Server
) -> None:
    stranger = open_other_origin()
    stranger.handler.keeper = keeper.url
    context = browser.new_context()
    example = ExamplePage(context.new_page(), stranger.url)
    name = fresh_name("origin")
    example.enter(name, "Sign up")
    expect(example.said).to_contain_text("cannot be reached from here")
    # and not even with a valid token
    token = keeper.sign_up(fresh_name("owner")).token
    state = example.page.evaluate(
        """async ([server, token]) => {
          const { Client } = await import(`${server}/rkv.js`)
          const kv = new Client({ url: server, token })
          return await new Promise((tell) => kv.onState((state) => state !== "catching up" && tell(state)))
        }""",
        [keeper.url, token],
    )
    assert state == "offline"
    # it does not wait forever either: it names the setting that would let it in
    refusal = example.page.evaluate(
        """async ([server, token]) => {
          const { connect } = await import(`${server}/rkv.js`)
          const why = ({ code, message, setting }) => [code, message, setting]
          return connect({ url: server, token }).then(() => null, why)
        }""",
        [keeper.url, token],
    )
    sentence = f"{stranger.url} may not connect to {keeper.url}: add it to the setting RKV_ORIGINS of that server."
    assert refusal == ["forbidden", sentence, "RKV_ORIGINS"]
    context.close()
    # the sign-up did nothing
    answer = requests.post(
        f"{keeper.url}/api/v1/sign_in", json={"username": name, "password": PASSWORD}, timeout=DEADLINE
    )
    assert answer.status_code == 401


def test_a_client_with_a_prefix_token_is_live_and_follows_only_its_keys(
    allowed: OtherOrigin, keeper: Server, make_person: Callable[..., Person]
) -> None:
    owner = keeper.sign_up(fresh_name("owner"))
    token = owner.http("create_token", name="widget", prefix="app/").json()["token"]
    owner.http("set", key="app/before", value=0)
    page = ExamplePage(make_person(signed_up=False, server=keeper).new_page(), allowed.url).page
    page.evaluate(
        """async ([server, token]) => {
          const { connect } = await import(`${server}/rkv.js`)
          window.kv = await connect({ url: server, token })
        }""",
        [keeper.url, token],
    )
    for n in range(5):
        owner.http("set", key=f"other/{n}", value=n)
    revision = owner.http("set", key="app/x", value=1).json()["revision"]
    held = page.evaluate(
        """async (revision) => {
          while (kv.position.revision < revision) await new Promise((go) => setTimeout(go, 1))
          const refused = await kv.set("other/0", 1).catch((refusal) => refusal.code)
          await kv.set("app/y", 2)
          const fetched = (await kv.fetch("app/x")).value
          return { keys: kv.keys(), state: kv.state, healed: kv.healed, refused, fetched }
        }""",
        revision,
    )
    assert held == {
        "keys": ["app/before", "app/x", "app/y"],
        "state": "live",
        "healed": 0,
        "refused": "forbidden",
        "fetched": 1,
    }
