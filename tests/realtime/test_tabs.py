"""Real Socket.IO clients against a real server: the core promises of the product."""

import json

import pytest
import requests
import socketio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_validation import json_values
from tests.live_server import DEADLINE, Wire

TRANSPORTS = [["websocket"], ["polling"], None]

keys = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in [*range(32), 127]]), min_size=1
).filter(lambda key: len(key.encode()) <= 512)


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_a_set_in_one_tab_reaches_every_tab_of_that_user_and_no_other(alice, charlie, transports):
    laptop, phone = alice.open_tab(transports), alice.open_tab(transports)
    stranger = charlie.open_tab(transports)
    answer = laptop.call("set", key="colour", value="red")
    assert answer == {"ok": True, "revision": 1, "version": 1}
    for tab in (laptop, phone):
        change = tab.next("change")
        assert (change["from"], change["revision"]) == (0, 1)
        assert change["writes"][0]["ops"] == [{"op": "set", "key": "colour", "value": "red", "version": 1}]
        assert change["writes"][0]["origin"]["via"] == "socket"
    # the first change that Charlie ever receives is his own
    stranger.call("set", key="colour", value="blue")
    assert stranger.next("change")["writes"][0]["ops"][0]["value"] == "blue"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_tab_receives_its_change_before_the_acknowledgement(alice, transport):
    tab = Wire(alice, transport)
    tab.send(*[f'42{n}["set",{{"key":"k","value":{n}}}]' for n in range(50)])
    position = answered = 0
    while answered < 50:
        packet = tab.receive()
        if packet.startswith('42["change"'):
            change = json.loads(packet[2:])[1]
            assert change["from"] == position
            position = change["revision"]
        elif packet.startswith("43"):
            number, answer = packet[2:].split("[", 1)
            # in the order of sending, and never before its change
            assert int(number) == answered
            answered += 1
            assert json.loads("[" + answer)[0]["revision"] == answered <= position
    tab.close()


def test_writes_over_http_reach_the_tabs(alice):
    tab = alice.open_tab()
    assert alice.http("set", key="k", value=1).json()["revision"] == 1
    assert tab.next("change")["writes"][0]["origin"]["via"] == "http"
    assert alice.http("get", key="k").json()["entry"]["value"] == 1
    answer = requests.get(
        f"{alice.server.url}/api/v1/get", params={"key": "k"}, headers=alice.headers, timeout=DEADLINE
    )
    assert answer.json()["entry"]["revision"] == 1


def test_charlie_never_sees_alices_keys_by_any_verb_room_or_error(alice, charlie):
    hers, his = alice.open_tab(), charlie.open_tab()
    hers.call("set", key="secret", value="of Alice", op_id="hers")
    epoch = hers.call("sync")["epoch"]
    answers = [
        his.call("get", key="secret"),
        his.call("list"),
        his.call("list", prefix="secret"),
        his.call("sync"),
        his.call("sync", epoch=epoch, since=0),
        his.call("delete", key="secret"),
        his.call("set", key="secret", value=1, if_revision=1),
        his.call("set", key="other", value=1, op_id="hers"),
        his.call("batch", ops=[{"op": "delete", "key": "secret", "if_revision": 1}]),
        *[charlie.http(verb, key="secret").json() for verb in ("get", "delete")],
        charlie.http("list").json(),
        charlie.http("me").json(),
    ]
    assert "of Alice" not in str(answers)
    assert answers[0]["error"]["code"] == "not_found"
    assert answers[1]["entries"] == answers[3]["writes"] == []
    assert answers[5] == {"ok": True, "revision": 0, "existed": False}
    assert answers[6]["error"] == {**answers[6]["error"], "code": "conflict", "entry": None}
    assert answers[7] == {"ok": True, "revision": 1, "version": 1}
    presence = his.call("sync") and his.next("presence")
    assert {tab["session"] for tab in presence["tabs"]} == {presence["tabs"][0]["session"]}
    assert len(presence["tabs"]) == 1
    assert hers.call("get", key="secret")["entry"]["value"] == "of Alice"


def test_a_sync_is_followed_by_a_bookmark_and_the_presence_list(alice):
    tab, other = alice.open_tab(), alice.open_tab()
    tab.call("set", key="a", value=1)
    synced = other.call("sync")
    bookmark = other.next("bookmark")
    assert (bookmark["revision"], bookmark["keys"], bookmark["digest"]) == (1, 1, synced["digest"])
    assert bookmark["epoch"] == synced["epoch"]
    tabs = other.next("presence")["tabs"]
    assert {shown["id"] for shown in tabs} == {tab.client.get_sid(), other.client.get_sid()}
    tab.close()
    while len(tabs) > 1:
        tabs = other.next("presence")["tabs"]
    assert tabs[0]["id"] == other.client.get_sid()


@pytest.mark.parametrize("auth", [None, {}, {"token": "rks_wrong"}, {"token": 5}, "text", {"token": None}])
def test_a_socket_without_valid_credentials_is_refused_as_unauthenticated(server, auth):
    client = socketio.Client(reconnection=False)
    heard = []
    client.on("connect_error", heard.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.url, auth=auth, wait_timeout=DEADLINE)
    assert heard[0]["message"] == "unauthenticated"


def test_signing_out_ends_every_socket_of_that_session_at_once(alice):
    tab, other = alice.open_tab(), alice.open_tab()
    answer = requests.post(f"{alice.server.url}/api/v1/sign_out", headers=alice.headers, timeout=DEADLINE)
    assert answer.status_code == 204
    for gone in (tab, other):
        assert gone.next("signed_out") == {"reason": "signed_out"}
        gone.next("disconnect")
    assert alice.http("get", key="k").json()["code"] == "unauthenticated"


def test_a_flood_from_one_tab_is_answered_in_order(alice):
    # raw packets: the stock client handles each message in a thread of its own, so its events may be out of order
    wire = Wire(alice, "websocket")
    wire.send(*(f'42{n}["set",{{"key":"{n % 7}","value":{n}}}]' for n in range(1000)))
    answers, position = [], 0
    while len(answers) < 1000:
        packet = wire.receive()
        if packet.startswith("43"):
            answers.append(packet)
        elif packet.startswith('42["change"'):
            change = json.loads(packet[2:])[1]
            assert change["from"] == position
            position = change["revision"]
    wire.close()
    assert position == 1000
    assert [int(answer[2 : answer.index("[")]) for answer in answers] == list(range(1000))
    assert [json.loads(answer[answer.index("[") :])[0]["revision"] for answer in answers] == list(range(1, 1001))


@settings(max_examples=40)
@given(key=keys, value=json_values)
def test_any_key_and_value_round_trip_by_socket_and_http(alice, key, value):
    tab = alice._tabs[0] if alice._tabs else alice.open_tab(["websocket"])
    written = tab.call("set", key=key, value=value)
    assert written["ok"], written
    for entry in (tab.call("get", key=key)["entry"], alice.http("get", key=key).json()["entry"]):
        assert entry["key"].encode() == key.encode()
        assert entry["value"] == value
    change = tab.next("change")
    while change["revision"] < written["revision"]:
        change = tab.next("change")
    assert change["writes"][-1]["ops"][0]["value"] == value
    answer = requests.get(
        f"{alice.server.url}/api/v1/get", params={"key": key}, headers=alice.headers, timeout=DEADLINE
    )
    assert answer.json()["entry"]["key"] == key
