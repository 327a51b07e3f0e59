"""A connection to a real server, on each transport."""

import threading

import pytest

from realtime_kv_client import Connection, ConnectionLost, HttpClient, Refused, Replica
from tests.live_server import DEADLINE
from tests.realtime.tools import EchoServer

TRANSPORTS = ["websocket", "polling"]


@pytest.fixture
def http(alice):
    return HttpClient(alice.server.url, timeout=DEADLINE)


@pytest.fixture
def events():
    return []


@pytest.fixture(params=TRANSPORTS)
def connection(request, alice, http, events):
    connection = Connection(http, alice.token, request.param, lambda *event: events.append(event))
    yield connection
    connection.close()


def test_a_call_is_answered_after_its_change(connection, events):
    answer = connection.ask("set", {"key": "é", "value": ["x" * 60_000]})
    assert answer["ok"]
    ((change,),) = [[data] for name, data in events if name == "change"]
    assert change["revision"] == answer["revision"]
    assert change["writes"][0]["ops"][0]["value"] == ["x" * 60_000]


def test_calls_of_one_step_are_answered_in_order(connection):
    answers = []
    for n in range(100):
        connection.call("set", {"key": "k", "value": n}, answers.append)
    while len(answers) < 100:
        connection.step()
    assert [answer["revision"] for answer in answers] == list(range(1, 101))


def test_a_sync_brings_a_replica_to_the_servers_state(connection, http, alice):
    for n in range(12):
        http.post("set", {"key": f"k{n}", "value": "x" * 60_000}, alice.token)
    replica = Replica()
    # more than one page
    bookmark = connection.sync(replica)
    assert replica.proves(bookmark)
    assert replica.end_sync() == []
    http.post("delete", {"key": "k0"}, alice.token)
    assert replica.proves(connection.sync(replica))
    assert replica.keys == 11


def test_a_cut_from_another_thread_ends_a_waiting_step(connection):
    def step():
        try:
            while True:
                connection.step()
        except ConnectionLost:
            lost.set()

    lost = threading.Event()
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    connection.cut()
    assert lost.wait(DEADLINE)
    thread.join()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_connection_that_answers_its_pings_stays(transport):
    server = EchoServer(limits={"ping_interval": 0.2, "ping_timeout": 1})
    try:
        connection = Connection(HttpClient(server.url), "", transport, print)
        # nothing but pings arrives; without answers, the server disconnects before the last one
        for _ in range(8):
            connection.step()
        assert connection.ask("echo", {"ok": True}) == {"ok": True}
        connection.close()
    finally:
        server.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_wrong_token_is_refused(http, transport):
    with pytest.raises(Refused) as caught:
        Connection(http, "no token", transport, print)
    assert caught.value.code == "unauthenticated"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_that_is_gone_is_a_lost_connection(transport):
    with pytest.raises(ConnectionLost):
        Connection(HttpClient("http://127.0.0.1:9"), "token", transport, print)
