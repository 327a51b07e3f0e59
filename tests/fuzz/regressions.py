"""Minimized cases of the fuzzer that have found a bug."""

import base64

from tests.fuzz.case import EPOCH, Case


def _sync(positions: bytes) -> bytes:
    cursor = base64.urlsafe_b64encode(b'["%b",%b,true]' % (EPOCH, positions))
    return b'421["sync",{"next":"%b"}]' % cursor


CASES = {
    # the session survived a refused body, and never answered the events in it
    "a body of more than 1 MiB": Case("polling", (b'post 421["get",{"key":"%b"}]' % (b"x" * (1 << 20)),), 1),
    "a cursor with a number that no database takes": Case("events", (_sync(b"0,9223372036854775808"),), 1),
    "a query string that is no text": Case(
        "raw", (b"GET /signup?\x88 HTTP/1.1\r\n\r\nGET /keys?\xff HTTP/1.1\r\n\r\n",), 2
    ),
    # the poll that the upgrade displaces was answered 400 when the upgrade had failed by then
    "an upgrade that fails at once": Case("polling", (b"upgrade 2probe\x1e",), 2),
}
