"""Strict parsing of a single message, and the wire format of prepared messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode

from realtime_kv.core.messages import LARGE_BYTES
from realtime_kv.realtime.engineio import packets, send_buffer
from realtime_kv.realtime.engineio.packets import Frame, NotText, Violation, ack_frame, event_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_a_frame_has_the_same_bytes_as_one_of_the_websockets_library(length):
    payload = b"x" * length
    assert Frame(payload).wire == LibraryFrame(Opcode.TEXT, payload).serialize(mask=False)
    assert Frame(payload).payload == payload


def test_a_large_message_is_framed_without_copying_its_parts():
    page = b"x" * LARGE_BYTES
    frame = ack_frame(17, b'{"writes":', memoryview(page), b"}")
    assert [piece.obj for piece in frame.buffers if isinstance(piece, memoryview)] == [page]
    assert frame.payload == b'4317[{"writes":%b}]' % page
    assert b"".join(frame.buffers) == LibraryFrame(Opcode.TEXT, frame.payload).serialize(mask=False)


@given(st.lists(st.binary(max_size=5), max_size=5), st.data())
def test_a_partial_send_leaves_exactly_the_unsent_bytes(buffers, data):
    sent = data.draw(st.integers(0, sum(map(len, buffers))))
    left = send_buffer._behind(buffers, sent)
    assert b"".join(left) == b"".join(buffers)[sent:]
    # nothing was sent, so there is no progress; nothing is left, so nothing waits
    assert (left is buffers) == (not sent and any(buffers))
    assert bool(left) == (sent < sum(map(len, buffers)))


def test_events_and_acknowledgements_have_the_socket_io_encoding():
    assert event_frame("change", b'{"a":1}').payload == b'42["change",{"a":1}]'
    assert ack_frame(17, b'{"ok":true}').payload == b'4317[{"ok":true}]'


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'42["set",{}]', (None, b'["set",{}]')),
        (b'420["set",{}]', (0, b'["set",{}]')),
        (b'42999999999999999["set",{}]', (999999999999999, b'["set",{}]')),
        (b'42/,7["set",{}]', (7, b'["set",{}]')),
        # not an array, but the id can be read: the caller gets an answer
        (b'427{"a":[1]}', (7, b'{"a":[1]}')),
        (b"427", (7, b"")),
        (b"42", (None, b"")),
        (b'42{"a":[1]}', (None, b'{"a":[1]}')),
        (b"42-1[]", (None, b"-1[]")),
        ("42\u0661[]".encode(), (None, "\u0661[]".encode())),
    ],
)
def test_an_event_is_parsed_up_to_its_ack_id(message, expected):
    assert packets.read_event(message) == expected


@pytest.mark.parametrize("message", [b"42" + b"1" * 16 + b"[]", b"42" + b"1" * 5000, b"42/chat,[]", b"42/chat"])
def test_events_with_an_oversized_ack_id_or_a_namespace_are_violations(message):
    with pytest.raises(Violation):
        packets.read_event(message)


@given(st.integers(0, 10**15 - 1), st.binary())
def test_bytes_after_the_ack_id_are_returned_unchanged(ack_id, rest):
    assert packets.read_event(b"42%d[" % ack_id + rest) == (ack_id, b"[" + rest)


@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_a_violation(rest):
    for read, head in ((packets.read_event, b"42"), (packets.read_connect, b"40"), (packets.read_disconnect, b"41")):
        try:
            read(head + rest)
        except Violation:
            pass


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"40", ("/", None)),
        (b'40{"token":"t"}', ("/", {"token": "t"})),
        (b"40/,", ("/", None)),
        (b"40/chat,", ("/chat", None)),
        (b'40/chat,{"a":1}', ("/chat", {"a": 1})),
    ],
)
def test_a_connect_packet_contains_a_namespace_and_an_auth(message, expected):
    assert packets.read_connect(message) == expected


@pytest.mark.parametrize("auth", [b"{", b"NaN", b'{"a":NaN}', b'{"a":"\\ud800"}', b"[" * 100_000, b"/" * 200 + b",{}"])
def test_an_auth_that_is_not_json_is_a_violation(auth):
    with pytest.raises(Violation):
        packets.read_connect(b"40" + auth)


def test_text_that_is_not_utf8_is_refused():
    packets.check_text("ключ \U0001f600".encode())
    for broken in (b"\xff", b"\xed\xa0\x80", b"\xc3"):
        with pytest.raises(NotText):
            packets.check_text(broken)
