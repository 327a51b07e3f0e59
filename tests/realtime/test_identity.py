"""`identify`: a connection learns the caller that the server sees, and the server's identity."""

import requests

from realtime_kv.version import VERSION
from tests.live_server import DEADLINE


def test_identify_returns_the_user_the_session_and_the_server_limits(alice):
    tab = alice.open_tab()
    answer = tab.call("identify")
    assert answer["ok"]
    assert answer["user"] == {"username": alice.username}
    assert answer["session"]["id"] and answer["session"]["label"]
    assert answer["limits"] == {"key": 512, "value": 65_536, "batch": 128, "message": 1024 * 1024}
    assert answer["server"]["version"] == VERSION
    assert answer["server"]["time"].endswith("Z")


def test_identify_names_the_same_build_as_me(alice):
    told = alice.open_tab().call("identify")["server"]["build"]
    me = requests.get(f"{alice.server.url}/api/v1/me", headers=alice.headers, timeout=DEADLINE)
    assert told == me.json()["server"]["build"]


def test_identify_takes_an_empty_object_over_a_socket_only(alice):
    tab = alice.open_tab()
    for payload in ({"since": 1}, {"user": "someone"}):
        assert tab.call("identify", **payload)["error"]["code"] == "bad_request"
    # and is no verb over HTTP
    assert alice.http("identify").status_code == 404


def test_identify_returns_the_name_of_a_token(alice):
    made = alice.http("create_token", name="reader", scope="read", prefix="app/").json()
    token = type(alice)(alice.server, alice.username, made["token"])
    answer = token.open_tab().call("identify")
    assert (answer["user"]["username"], answer["session"]["label"]) == (alice.username, "reader")
    token.close()
