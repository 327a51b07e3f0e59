"""Lone surrogates, which JSON can express and no text can hold: the same answer over a socket and over HTTP."""

import json

import pytest
import requests

from tests.live_server import DEADLINE, Wire

LONE = "\\ud800"


@pytest.mark.parametrize(
    ("verb", "payload", "code", "index"),
    [
        ("set", f'{{"key":"{LONE}","value":1}}', "invalid_key", None),
        ("set", f'{{"key":"a","value":"x{LONE}"}}', "invalid_value", None),
        ("set", f'{{"key":"a","value":[{{"b":["{LONE}"]}}]}}', "invalid_value", None),
        ("set", f'{{"key":"a","value":{{"{LONE}":1}}}}', "invalid_value", None),
        ("get", f'{{"key":"{LONE}x"}}', "invalid_key", None),
        ("list", '{"prefix":"\\udfff"}', "invalid_key", None),
        ("copy", f'{{"from":"a","to":"{LONE}"}}', "invalid_key", None),
        (
            "batch",
            f'{{"ops":[{{"op":"delete","key":"a"}},{{"op":"set","key":"a","value":"{LONE}"}}]}}',
            "invalid_value",
            1,
        ),
        ("set", f'{{"key":"a","value":1,"op_id":"{LONE}"}}', "bad_request", None),
        ("set", f'{{"key":"a","value":"{LONE}"', "bad_request", None),
        ("set", '{"key":"a","value":"\\ud83d\\ude00"}', None, None),
    ],
)
@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_lone_surrogate_is_an_invalid_key_or_value(alice, transport, verb, payload, code, index):
    if transport == "http":
        headers = {**alice.headers, "Content-Type": "application/json"}
        answer = requests.post(f"{alice.server.url}/api/v1/{verb}", payload, headers=headers, timeout=DEADLINE).json()
        error = answer if "detail" in answer else None
    else:
        wire = Wire(alice, "websocket")
        wire.send(f'421["{verb}",{payload}]')
        while not (packet := wire.receive()).startswith("431"):
            pass
        error = json.loads(packet[3:])[0].get("error")
        wire.close()
    assert (error and error["code"], error and error.get("index")) == (code, index)
