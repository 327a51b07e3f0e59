"""Frames, packets and requests without content: they are counted, and too many of them end the connection."""

import json

import pytest

from tests.realtime.tools import EchoServer, Hostile, Polling, eventually, frame

MIB = 1024 * 1024
PING, PONG = frame(0x89, b""), frame(0x8A, b"")


@pytest.fixture(scope="module")
def server():
    server = EchoServer()
    yield server
    server.close()
    assert server.errors == []


@pytest.fixture(autouse=True)
def see_off(request):
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").see_all_off()


def limits_of(server):
    return [name for name, _, _ in server.ask()["limits"]]


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "anonymous"])
@pytest.mark.parametrize(
    ("first", "flood"),
    [
        (b"", PING),
        (b"", frame(0x89, b"x" * 125)),
        (b"", PONG),
        (frame(0x01, b"42["), frame(0x00, b"")),
        (frame(0x01, b"42["), frame(0x00, b"x")),
        (frame(0x01, b""), PING),
        (b"", frame(0x81, b"6")),
        (b"", frame(0x81, b"3")),
        (b"", frame(0x01, b"") + frame(0x80, b"6")),
    ],
    ids=[
        "pings",
        "long pings",
        "pongs",
        "empty parts",
        "small parts",
        "pings in a message",
        "noops",
        "PONGs",
        "halves",
    ],
)
def test_flood_of_empty_frames_closes_the_connection(server, joined, first, flood):
    tab = Hostile(server)
    tab = tab.join() if joined else tab.upgrade()
    # far more than the burst, and less than the server reads during the closing handshake
    tab.say(first + flood * 2000)
    assert tab.close_code() == 1008
    assert "empty_frames" in limits_of(server)


def test_only_the_last_ping_of_a_batch_is_answered(server):
    tab = Hostile(server).join()
    tab.say(b"".join(frame(0x89, b"%d" % n) for n in range(50)) + frame(0x81, b'421["echo",1]'))
    answered = []
    while (heard := tab.next_frame()).opcode == 10:
        answered.append(bytes(heard.data))
    assert answered == [b"49"]
    assert bytes(heard.data) == b"431[1]"


def test_tab_with_one_ping_per_message_stays_connected(server):
    tab = Hostile(server).join()
    for n in range(200):
        tab.say(frame(0x89, b"p") + frame(0x81, b'42%d["echo",%d]' % (n, n)))
        assert tab.hear_answer() == f"43{n}[{n}]"


def test_tab_sending_events_at_full_rate_stays_connected(server):
    tab = Hostile(server).join()
    for n in range(20_000):
        tab.text(f'42["note",{n}]')
    tab.text('421["echo",1]')
    assert tab.hear() == "431[1]"


def test_long_fragmented_message_is_accepted(server):
    tab = Hostile(server).join()
    text = b'421["echo","' + b"x" * (MIB - 20) + b'"]'
    parts = [text[at : at + 1024] for at in range(0, len(text), 1024)]
    tab.say(frame(0x01, parts[0]) + b"".join(frame(0x00, part) for part in parts[1:-1]) + frame(0x80, parts[-1]))
    assert len(tab.hear()) > MIB - 20


def test_large_frame_trickled_byte_by_byte_closes_the_connection(server):
    tab = Hostile(server).join()
    tab.say(b"\x81\xfe\xff\xff" + b"mask")
    # the server reads each byte before the next one is sent: it answers another connection in between
    other = Hostile(server).join()

    def closed():
        try:
            for n in range(100):
                tab.say(b"x")
                other.text(f'42{n}["echo",{n}]')
                other.hear()
        except ConnectionError:
            pass
        return "empty_frames" in limits_of(server)

    eventually(closed)
    assert tab.close_code() == 1008


def test_messages_before_connect_are_limited_to_64_kib(server):
    tab = Hostile(server).upgrade()
    tab.text("40" + json.dumps({"padding": "x" * 70_000}))
    assert tab.close_code() == 1009
    tab = Hostile(server).upgrade()
    tab.say(frame(0x01, b"40" + b"x" * 40_000) + frame(0x80, b"x" * 40_000))
    assert tab.close_code() == 1009
    assert Polling(server).post("40" + json.dumps({"padding": "x" * 70_000})).status_code == 413


def test_repeatedly_refused_connects_close_the_connection(server):
    tab = Hostile(server).upgrade()
    for _ in range(20):
        tab.text('40{"refuse":true}')
    assert tab.close_code() == 1008
    refused = server.ask()["log"].count("connect")
    assert 1 <= refused < 10


def test_repeated_disconnects_and_connects_close_the_connection(server):
    tab = Hostile(server).join()
    for _ in range(100):
        tab.text("41").text("40")
    assert tab.close_code() == 1008


def test_flood_of_posts_without_content_ends_the_session(server):
    polling = Polling(server).join()
    statuses = [polling.post("6").status_code for _ in range(200)]
    assert statuses[:20] == [200] * 20
    assert 400 in statuses
    polling = Polling(server).join()
    assert polling.post(*["6"] * 100_000).status_code == 400
    polling = Polling(server).join()
    assert [polling.post('42["note",1]').status_code for _ in range(200)] == [200] * 200


def test_repeated_upgrade_attempts_end_the_session(server):
    polling = Polling(server).join()
    head = "GET /socket.io/?EIO=4&transport=websocket&sid=" + polling.sid
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    answers = []
    for _ in range(60):
        raw = Hostile(server).request(head, *upgrade, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        answers.append(raw.socket.recv(99).split(b" ")[1])
        raw.close()
        eventually(lambda: server.ask()["open_websockets"] == 0)
    assert answers[:5] == [b"101"] * 5
    assert answers[-1] == b"400"


def test_endless_data_after_a_close_frame_ends_the_connection(server):
    tab = Hostile(server).join()
    tab.say(frame(0x88, b"\x03\xe8"))
    with pytest.raises(ConnectionError):
        tab.say(b"x" * 65536 * 200)
    eventually(server.is_empty)


def test_unauthenticated_connections_are_throttled_per_network():
    # a budget of 700 seconds: a request or an opened connection costs 100 of them, a CONNECT 310
    server = EchoServer(proxies=1, budget={"share": 1e-5, "burst_seconds": 0.007}, limits={"join_seconds": 60.0})
    try:

        def open_from(address):
            tab = Hostile(server).upgrade("EIO=4&transport=websocket", f"X-Forwarded-For: {address}")
            assert tab.hear().startswith("0{")
            return tab

        first, *_ = [open_from(f"2001:db8::{n}") for n in range(3)]
        other = open_from("2001:db8:0:1::1")
        assert server.ask()["limits"] == []
        # both packets have arrived when the server continues, the crowd's first
        with server.stopped():
            first.text('40{"refuse":true}')
            other.text("40")
        assert other.hear().startswith("40{")
        # and the other one is read, later
        assert first.hear().startswith("44{")
        heard = server.ask()
        assert heard["log"] == ["connect", "accepted", "connect"]
        assert {tuple(limit[:2]) for limit in heard["limits"]} == {("unauthenticated_work", "2001:db8::/64")}
    finally:
        server.close()
