"""Two servers on one host, at different ports, in one browser: neither signs the other's user out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Person
from tests.live_server import PASSWORD, Server, fresh_name

SERVICE_WORKERS = "allow"


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    servers = Server(tmp_path / "one").start(), Server(tmp_path / "two").start()
    yield servers
    for server in servers:
        server.close()


def enter(person: Person, server: Server) -> str:
    """Sign a new user up at `server`, in this browser; return their name."""
    name = fresh_name("user")
    answer = person.context.request.post(f"{server.url}/api/v1/sign_up", data={"username": name, "password": PASSWORD})
    assert answer.status == 201, answer.text()
    return name


def who(person: Person, server: Server) -> str:
    answer = person.context.request.get(f"{server.url}/api/v1/me")
    assert answer.ok, answer.text()
    return answer.json()["user"]["username"]


def cookies(person: Person) -> set[str]:
    return {cookie["name"] for cookie in person.context.cookies() if "session" in cookie["name"]}


def test_sign_in_at_a_second_server_keeps_the_session_at_the_first(
    two_servers: tuple[Server, Server], make_person: Callable[..., Person]
) -> None:
    first, second = two_servers
    person = make_person(signed_up=False, server=first)
    names = [enter(person, first), enter(person, second)]
    assert [who(person, first), who(person, second)] == names
    tab = person.open_tab()
    other = person.new_page()
    other.goto(f"{second.url}/keys")
    expect(other.locator("#conn")).to_contain_text("Live")
    # the tab of the first server reconnects with its cookie after its connection was cut
    person.expects_outage = True
    person.go_offline()
    expect(tab.state).not_to_contain_text("Live")
    person.context.set_offline(False)
    tab.is_live()
    # signing out at one leaves the other alone, and so does the clearing of the browser's storage
    person.context.request.post(f"{second.url}/api/v1/sign_out")
    assert who(person, first) == names[0]
    tab.page.reload()
    tab.is_live()
    assert cookies(person) == {f"rkv_session_{first.port}"}


def test_session_cookie_without_a_port_is_migrated_by_its_own_server_only(
    two_servers: tuple[Server, Server], make_person: Callable[..., Person]
) -> None:
    first, second = two_servers
    person = make_person(signed_up=False, server=first)
    name = enter(person, first)
    (cookie,) = [cookie for cookie in person.context.cookies() if "session" in cookie["name"]]
    person.context.clear_cookies()
    person.context.add_cookies([{**cookie, "name": "rkv_session"}])
    # the other server does not know it, asks for a sign-in, and leaves the cookie in place
    page = person.new_page()
    page.goto(f"{second.url}/keys")
    expect(page).to_have_url(f"{second.url}/signin?next=/keys")
    assert cookies(person) == {"rkv_session"}
    # its own server takes it over, in an open tab as well
    tab = person.open_tab()
    assert cookies(person) == {f"rkv_session_{first.port}"}
    assert who(person, first) == name
    enter(person, second)
    tab.page.reload()
    tab.is_live()
