"""The addresses at which a browser can use a server, with no setting other than the listening address."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from realtime_kv.demo.proxy import CuttableProxy
from realtime_kv.origins import canonical_host
from realtime_kv.server import interfaces
from tests.browser.browsing import Person
from tests.live_server import DEADLINE, PASSWORD, Server, fresh_name

# Chromium's message on a page of plain HTTP from another machine; nothing there depends on it
UNTRUSTWORTHY = re.compile("Cross-Origin-Opener-Policy header has been ignored")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(port: int = 0, **settings: str) -> Server:
        servers.append(Server(tmp_path / "data", **settings))
        servers[-1].port = port
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def publish(serve: Callable[..., Server]) -> Iterator[Callable[..., str]]:
    """Forward another port to the server, as a container does. It is closed after the browsers."""
    proxies: list[CuttableProxy] = []

    def start(**settings: str) -> str:
        proxies.append(CuttableProxy("published", serve(**settings).port))
        return proxies[-1].url

    yield start
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def visit(make_person: Callable[..., Person]) -> Iterator[Callable[[str], Page]]:
    people: list[Person] = []

    def open_page(url: str) -> Page:
        people.append(make_person(signed_up=False))
        page = people[-1].new_page()
        page.goto(f"{url}/signup")
        return page

    yield open_page
    for person in people:
        person.complaints = [line for line in person.complaints if not UNTRUSTWORTHY.search(line)]


def sign_up_and_write(page: Page, url: str) -> None:
    """Sign up by the plain form, then write in the live dashboard: form, API and socket have the same origin."""
    send_form(page, fresh_name("phone"))
    expect(page.locator(".codes")).to_be_visible()
    page.goto(f"{url}/keys")
    expect(page.locator("#conn")).to_contain_text("Live")
    answer = page.evaluate(
        """async () => {
          const { connect } = await import("/rkv.js")
          const kv = await connect()
          await kv.set("from", location.origin)
          return kv.get("from")
        }"""
    )
    assert answer == url


def send_form(page: Page, name: str) -> None:
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("form.card button[type=submit]").click()


def other_address() -> str:
    """Return an address of this machine other than the usual one; 127.0.0.2 is one on every Linux."""
    return next((address for address in interfaces.addresses() if ":" not in address), "127.0.0.2")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_server_on_all_interfaces_works_at_every_address_that_it_prints(serve, visit):
    server = serve(RKV_HOST="0.0.0.0")
    for url in {server.url, f"http://{other_address()}:{server.port}"}:
        sign_up_and_write(visit(url), url)
    also = [f"Also on http://{a}:{server.port}\n" for a in interfaces.addresses() if ":" not in a]
    assert [line for line in server.output if " on http://" in line] == [f"Ready on {server.url}\n", *also]


def test_dual_stack_server_works_at_its_ipv6_and_ipv4_loopback_addresses(serve, visit):
    server = serve(RKV_HOST="::")
    for url in (f"http://[::1]:{server.port}", server.url):
        sign_up_and_write(visit(url), url)


def test_a_published_port_works_without_a_setting(publish, visit):
    url = publish(RKV_HOST="0.0.0.0")
    sign_up_and_write(visit(url), url)


def test_loopback_address_works_alongside_a_public_url_on_the_local_network(serve, visit):
    port = free_port()
    public = f"http://{other_address()}:{port}"
    server = serve(port, RKV_HOST="0.0.0.0", RKV_PUBLIC_URL=public)
    for url in (public, server.url):
        sign_up_and_write(visit(url), url)


def test_internationalized_host_name_works_as_typed(serve, visit):
    port = free_port()
    serve(port, RKV_PUBLIC_URL=f"http://Bücher.localhost:{port}")
    url = f"http://xn--bcher-kva.localhost:{port}"
    page = visit(f"http://bücher.localhost:{port}")
    sign_up_and_write(page, url)


def test_page_at_an_unusable_address_names_the_public_url(serve, make_person):
    server = serve(RKV_PUBLIC_URL="https://kv.example.org", RKV_PROXIES="1")
    person = make_person(signed_up=False)
    person.expects_outage = True
    page = person.new_page()
    page.goto(f"{server.url}/signup")
    send_form(page, "ada")
    expect(page.locator("main")).to_contain_text(f"Open this server at https://kv.example.org, not at {server.url}")
    assert "Open it at https://kv.example.org\n" in server.output
    person.complaints.clear()  # Chromium logs the 403 of the page itself


def test_host_names_in_settings_are_canonicalized_as_in_the_browser(ada):
    names = [
        "Bücher.example", "straße.example", "ΟΔΟΣ.example", "οδος.example", "☕.example", "KV.Example.",
        "日本語。example", "ＫＶ．example", "İstanbul.example", "faß\u00ad.example", "ÅNGSTRÖM.example",
        "e\u0301.example", "xn--bcher-kva.example", "192.168.1.7", "[2001:DB8::0:1]", "[::ffff:1.2.3.4]",
        "[0:0:0:0:0:0:0:1]", "a_b.example", "ﬀ.example", "ẞ.example",
    ]  # fmt: skip
    page = ada.new_page()
    page.goto(f"{ada.server.url}/api")
    seen = page.evaluate(f"{json.dumps(names)}.map((name) => new URL(`http://${{name}}/`).hostname)")
    assert [canonical_host(name) for name in names] == [name.strip("[]").removesuffix(".") for name in seen]


def test_dns_rebinding_requests_are_refused(serve):
    server = serve(RKV_HOST="0.0.0.0")
    headers = {"Host": f"evil.example:{server.port}", "Origin": f"http://evil.example:{server.port}"}
    for path in ("/signin", "/api/v1/me"):
        answer = requests.get(server.url + path, headers=headers, timeout=DEADLINE)
        assert answer.status_code == 400 and "evil.example" in answer.text and "RKV_HOSTS" in answer.text
    handshake = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", headers=headers, timeout=DEADLINE)
    assert handshake.status_code == 400 and "RKV_PUBLIC_URL" in handshake.text
