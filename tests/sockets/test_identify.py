"""`identify`: a connection learns the caller that the server sees, and the server's identity."""

import requests

from realtime_kv.version import VERSION
from tests.running import DEADLINE


def test_a_connection_is_told_who_it_is_for_and_what_the_server_takes(alice):
    tab = alice.open_tab()
    answer = tab.call("identify")
    assert answer["ok"]
    assert answer["user"] == {"username": alice.username}
    assert answer["session"]["id"] and answer["session"]["label"]
    assert answer["limits"] == {"key": 512, "value": 65_536, "batch": 128, "message": 1024 * 1024}
    assert answer["server"]["version"] == VERSION
    assert answer["server"]["time"].endswith("Z")


def test_it_names_the_same_build_as_me(alice):
    told = alice.open_tab().call("identify")["server"]["build"]
    me = requests.get(f"{alice.server.url}/api/v1/me", headers=alice.headers, timeout=DEADLINE)
    assert told == me.json()["server"]["build"]


def test_it_takes_an_empty_object_only(alice):
    tab = alice.open_tab()
    for payload in ({"since": 1}, {"user": "someone"}):
        assert tab.call("identify", **payload)["error"]["code"] == "bad_request"
    # and is no verb over HTTP
    assert alice.http("identify").status_code == 404


def test_a_token_is_told_its_own_name(alice):
    made = alice.http("create_token", name="reader", scope="read", prefix="app/").json()
    token = type(alice)(alice.server, alice.username, made["token"])
    answer = token.open_tab().call("identify")
    assert (answer["user"]["username"], answer["session"]["label"]) == (alice.username, "reader")
    token.close()
