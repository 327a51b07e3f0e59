"""The holder of an API token: the visibility of the user's other tabs, and the share of the user's budget."""

import pytest
import requests
from socketio import Client
from socketio.exceptions import ConnectionError

from realtime_kv.app import create_app
from realtime_kv.config import Config
from realtime_kv.extensions import socketio
from tests.live_server import DEADLINE, PASSWORD, Account, Server, fresh_name


class UserClients:
    """A user with a browser, whose tokens open tabs."""

    def __init__(self, app):
        self.app = app
        self.browser = app.test_client()
        sign_up = {"username": "alice", "password": PASSWORD}
        assert self.browser.post("/api/v1/sign_up", json=sign_up).status_code == 201

    def token(self, **details):
        return self.browser.post("/api/v1/create_token", json={"name": "program", **details}).json["token"]

    def tab(self, token=None):
        if token is None:
            return socketio.test_client(self.app, flask_test_client=self.browser)
        return socketio.test_client(self.app, auth={"token": token})


@pytest.fixture
def open_clients(tmp_path):
    apps = []

    def open_clients(**settings):
        apps.append(create_app(Config(data_dir=tmp_path, **settings)))
        return UserClients(apps[-1])

    yield open_clients
    for app in apps:
        app.extensions["realtime_kv"].stop()


@pytest.fixture
def clients(open_clients):
    return open_clients(rate_limits=False)


def labels(tab):
    """Return the labels in every `presence` that this tab was sent."""
    told = [event["args"][0] for event in tab.get_received() if event["name"] == "presence"]
    return [[shown["label"] for shown in presence["tabs"]] for presence in told]


def open_stream(account):
    """Open a stream without reading its body: an admitted stream's body never ends."""
    url = f"{account.server.url}/api/v1/stream"
    return requests.get(url, headers=account.headers, stream=True, timeout=DEADLINE)


def sync(tab):
    assert tab.emit("sync", {}, callback=True)["ok"]


@pytest.mark.parametrize("limit", [{"prefix": "public/"}, {"scope": "read"}, {"scope": "read", "prefix": "public/"}])
def test_a_limited_token_sees_only_its_own_tabs(clients, limit):
    clients.tab()
    other = clients.tab(clients.token(name="Payroll sync", prefix="hr/"))
    visitors = clients.token(name="visitors", **limit)
    first = clients.tab(visitors)
    sync(first)
    assert set(map(tuple, labels(first))) == {("visitors",)}
    # it is sent nothing when other tabs come and go, and a `presence` when its own do
    late = clients.tab()
    late.disconnect()
    other.disconnect()
    assert labels(first) == []
    second = clients.tab(visitors)
    assert labels(first) == [["visitors", "visitors"]]
    second.disconnect()
    assert labels(first) == [["visitors"]]


def test_sessions_and_tokens_with_full_access_see_every_tab(clients):
    owner = clients.tab()
    program = clients.tab(clients.token(name="full"))
    clients.tab(clients.token(name="limited", prefix="p/"))
    for tab in (owner, program):
        assert len(labels(tab)[-1]) == 3
        sync(tab)
        [everything] = labels(tab)
        assert {"full", "limited"} < set(everything)


def test_coalesced_presence_of_a_limited_token_shows_only_its_own_tabs(clients):
    visitors = clients.token(name="visitors", prefix="public/")
    tabs = [clients.tab(visitors) for _ in range(12)]
    clients.tab()
    for tab in tabs:
        assert {label for presence in labels(tab) for label in presence} <= {"visitors"}


def test_token_tab_limits_reserve_connections_for_the_owner(open_clients):
    clients = open_clients(connections_per_user=8)
    one, other = clients.token(scope="read"), clients.token(prefix="p/")
    # kept in a list, so that none of them is closed
    taken = [tab for tab in (clients.tab(one) for _ in range(4)) if tab.is_connected()]
    assert len(taken) == 2
    taken += [tab for tab in (clients.tab(other) for _ in range(4)) if tab.is_connected()]
    assert len(taken) == 4
    third = clients.token()
    assert not clients.tab(third).is_connected()
    mine = [clients.tab() for _ in range(4)]
    assert all(tab.is_connected() for tab in mine)
    assert not clients.tab().is_connected()
    # a freed place can be taken again
    taken[0].disconnect()
    assert clients.tab(third).is_connected()
    reached = {row.limit: row for row in clients.app.extensions["realtime_kv"].limit_log.recent()}
    assert {"tabs_per_token", "tabs_of_all_tokens", "tabs_per_user"} == reached.keys()
    assert reached["tabs_per_token"].account == 1 and reached["tabs_per_token"].credential


def test_the_refusal_of_a_tab_and_of_a_stream_names_the_limit(tmp_path):
    settings = {"RKV_RATE_LIMITS": "on", "RKV_CONNECTIONS_PER_USER": "4"}
    server = Server(tmp_path, **settings).start()
    try:
        owner = server.sign_up(fresh_name())
        token = owner.http("create_token", name="visitors", scope="read").json()["token"]
        visitor = Account(server, "visitors", token)
        visitor.open_tab()
        heard = []
        client = Client(reconnection=False)
        client.on("connect_error", heard.append)
        with pytest.raises(ConnectionError):
            client.connect(server.url, auth={"token": token}, wait_timeout=DEADLINE)
        assert heard[0]["message"] == "rate_limited"
        assert heard[0]["data"]["message"].startswith("This token has 1 tab open and may have 1")
        with open_stream(visitor) as first:
            # a stream counts from its first event on; a collected iterator closes its connection
            lines = first.iter_lines(1)
            assert first.status_code == 200 and b"event: sync" in lines
            with open_stream(visitor) as second:
                assert second.status_code == 429
                assert second.json()["detail"].startswith("This token has 1 stream open and may have 1")
            with open_stream(owner) as owners:
                assert owners.status_code == 200 and next(owners.iter_lines())
        owner.open_tab()
        owner.close()
        visitor.close()
    finally:
        server.close()
