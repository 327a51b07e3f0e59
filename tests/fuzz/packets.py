"""engine.io and socket.io packets: events of every verb, and packets that a client could send but none does."""

import re

from tests.fuzz import json_payloads
from tests.fuzz.case import LIMITED, READER, TOKEN, Case
from tests.fuzz.randomness import Randomness, mangle

SEPARATOR = b"\x1e"
# an event whose answer shows that everything before it was processed
LAST = 999_999_999_999_999
SENTINEL = b'42%d["get",{"key":"folder/a"}]' % LAST

ODD_NAMES = (
    *b'"connect" "disconnect" "connect_error" "message" "*"'.split(b" "),
    *b'"" "__proto__" "change" "bookmark" "sign_in" "SET"'.split(b" "),
    *b'null 1 [] {} ["set"] "set\\u0000" "\\ud800" set "set'.split(b" "),
    b'"' + b"n" * 3000 + b'"',
)
ODD_IDS = (b"", b"0", b"00", b"007", b"1", b"999999999999998", b"000000000000001")

# a client may send none of these at such a time; most cost the sender its connection
ODD_PACKETS = (
    *b"0 1 2 2probe 3probe 4 5 6 7 b 40 41 42".split(b" "),
    *b"43 44 45 46 47 48 49 4/ 40/ 40/, 40/admin, 41/, 41/admin, 42/admin".split(b" "),
    *b"42/,17 42/ 42/,[ 42/,1[] 420 42[ 42[] 42{} 42null 42-1[] 42+1[] 421e3[] 43[] 431[] 4317[{}] 44{}".split(b" "),
    *b'40{ 40[] 40null 40"x" 40{"token":1} 40{"token":null} 40{"token":["a"]} 40{"token":{}} 401 40[[[['.split(b" "),
    b'451-["set",{"_placeholder":true,"num":0}]',
    b'459999999999-["set",{}]',
    b'45-1["x"]',
    b'461-17[{"_placeholder":true,"num":0}]',
    b'42/admin,17["get",{"key":"a"}]',
    b'42/?token=x,17["get",{"key":"a"}]',
    b'42/,17["get",{"key":"a"}]',
    b'421234567890123456["get",{"key":"a"}]',
    b"42" + b"1" * 5000 + b'["get",{"key":"a"}]',
    b"42/" + b"n" * 5000 + b",[]",
    b"40/" + b"n" * 100 + b",",
    b"40" + b"[" * 20_000,
    b'40{"token":"' + TOKEN + b'"}',
    b'40/admin,{"token":"' + TOKEN + b'"}',
    b"bAAAA",
    b"b4aGVsbG8=",
    b"\xff\xfe",
    b"4\xed\xa0\x80",
    b'42["set",{"key":"\xff","value":1}]',
    b"",
)
# the token to join with: mostly a session, now and then an API token
WHO = (TOKEN, TOKEN, TOKEN, READER, LIMITED)
_ACK = re.compile(rb"42(?:/,)?(\d{1,15})(?!\d)")
_LEAVES = re.compile(rb"41|1\Z")


def asked(packet: bytes) -> int | None:
    """Return the id under which this packet has to be answered, as long as the tab stays."""
    match = _ACK.match(packet)
    return int(match[1]) if match else None


def leaves(packet: bytes) -> bool:
    """Return whether the sender leaves with this packet: its earlier requests need no answer."""
    return _LEAVES.match(packet) is not None


def event(rng: Randomness) -> bytes:
    """Return an event that keeps the sender's connection open, whatever its content."""
    verb = rng.one(json_payloads.VERBS[:6]) if rng.chance(0.85) else rng.one(json_payloads.VERBS)
    id = b"%d" % rng.below(10**6) if rng.chance(0.95) else rng.one(ODD_IDS)
    name = b'"%b"' % verb.encode() if rng.chance(0.95) else rng.one(ODD_NAMES)
    items = [name, json_payloads.payload(rng, verb)]
    if rng.chance(0.04):
        match rng.below(4):
            case 0:
                items.pop()
            case 1:
                items.append(json_payloads.odd(rng))
            case 2:
                items.reverse()
            case _:
                items = []
    body = b"[" + b",".join(items) + b"]"
    if rng.chance(0.04):
        body = mangle(rng, body)
    packet = b"42" + id + b"[" + body[1:]
    # bytes that are not UTF-8 end the connection
    return packet.decode(errors="replace").encode()


def odd(rng: Randomness) -> bytes:
    """Return a packet that may end the connection."""
    if rng.chance(0.5):
        return rng.one(ODD_PACKETS)
    return mangle(rng, event(rng))


def events(rng: Randomness) -> Case:
    """Return a WebSocket tab that asks much, and may end with an odd packet."""
    packets = [event(rng) for _ in range(1 + rng.below(400))]
    if rng.chance(0.3):
        packets.append(odd(rng))
    return Case("events", tuple(packets), len(packets), who=rng.one(WHO))


def polling(rng: Randomness) -> Case:
    """Return a session of long-polling: POSTs of many packets, superfluous polls, upgrades out of order."""
    steps, messages = [], 0
    for _ in range(1 + rng.below(6)):
        count = rng.one((1, 2, 16, 17, 60, 60))
        packets = [event(rng) for _ in range(count)]
        messages += count
        if rng.chance(0.1):
            packets.insert(rng.below(count + 1), odd(rng))
        body = SEPARATOR.join(packets)
        if rng.chance(0.04):
            body = mangle(rng, body)
        steps.append(b"post " + body)
    if rng.chance(0.3):
        # the right sequence, shuffled or cut short, with other packets in between
        words = [b"2probe", b"5", event(rng), b"3", b"2", odd(rng), b"40", b""]
        if rng.chance(0.5):
            words = words[: 1 + rng.below(4)]
        else:
            rng.shuffle(words)
        words = [word.replace(SEPARATOR, b"") for word in words[: 1 + rng.below(len(words))]]
        messages += len(words)
        steps.insert(rng.below(len(steps) + 1), b"upgrade " + SEPARATOR.join(words))
    if rng.chance(0.08):
        messages += 1
        steps.insert(rng.below(len(steps) + 1), b"poll ")
    return Case("polling", tuple(steps), messages, who=rng.one(WHO))
