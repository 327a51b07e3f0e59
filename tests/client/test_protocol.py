"""The client's protocol without sockets: Engine.IO packets and framing, Socket.IO events and acknowledgements."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from realtime_kv_client import ConnectionLost, Refused
from realtime_kv_client.engineio import (
    EngineIOProtocol,
    Handshake,
    WebSocketFraming,
    join_payload,
    split_payload,
)
from realtime_kv_client.socketio import SocketIOProtocol

OPENING = '0{"sid":"s1","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
URL = "http://127.0.0.1:5000"


def test_the_handshake_is_decoded_in_seconds_and_bytes():
    assert Handshake.from_packet(OPENING) == Handshake("s1", 25.0, 20.0, 1_000_000)


@pytest.mark.parametrize("packet", ["", "2", "0", "0{}", "0[]", '0{"sid":"s1"}', "Bad Gateway"])
def test_anything_else_opens_no_session(packet):
    with pytest.raises(ConnectionLost, match="opened no session"):
        Handshake.from_packet(packet)


def test_nothing_is_sent_before_the_session_is_open():
    engine = EngineIOProtocol()
    engine.send("0")
    assert engine.take_packets() == []
    assert engine.receive(OPENING) is None
    assert engine.take_packets() == ["40"]
    assert engine.take_packets() == []


def test_pings_are_answered_and_a_close_ends_the_session():
    engine = EngineIOProtocol()
    engine.receive(OPENING)
    assert engine.receive("2") is None
    assert engine.take_packets() == ["3"]
    assert engine.receive("4hello") == "hello"
    assert engine.receive("6") is None
    with pytest.raises(ConnectionLost):
        engine.receive("1")


def test_a_polling_payload_round_trips_any_text():
    packets = ["4é", "2", '42["set",{"key":"\\u001e"}]']
    assert split_payload(join_payload(packets)) == packets
    with pytest.raises(ConnectionLost):
        split_payload(b"4\xff")


class Peer:
    """The server's end of a WebSocket, by the library."""

    def __init__(self, framing):
        self.protocol = ServerProtocol()
        self.framing = framing
        self.protocol.receive_data(framing.take_bytes())
        (self.request,) = self.protocol.events_received()

    def accept(self):
        self.protocol.send_response(self.protocol.accept(self.request))
        return self.take_bytes()

    def take_bytes(self):
        return b"".join(self.protocol.data_to_send())

    def hear(self):
        self.protocol.receive_data(self.framing.take_bytes())
        return self.protocol.events_received()


@pytest.fixture
def framing():
    return WebSocketFraming(URL)


@pytest.fixture
def peer(framing):
    return Peer(framing)


def test_the_websocket_asks_for_the_engineio_endpoint(peer):
    assert peer.request.path == "/socket.io/?EIO=4&transport=websocket"
    assert peer.request.headers["Host"] == "127.0.0.1:5000"


def test_a_packet_is_complete_however_its_bytes_are_split(framing, peer):
    data = peer.accept()
    peer.protocol.send_text(OPENING.encode())
    peer.protocol.send_text("4é".encode()[:2], fin=False)
    peer.protocol.send_continuation("4é".encode()[2:], fin=True)
    data += peer.take_bytes()
    assert [packet for byte in data for packet in framing.receive(bytes([byte]))] == [OPENING, "4é"]


def test_packets_are_sent_in_order_and_pings_of_websocket_are_answered(framing, peer):
    framing.receive(peer.accept())
    framing.send(["40", "42"])
    peer.protocol.send_ping(b"x")
    assert framing.receive(peer.take_bytes()) == []
    heard = [(frame.opcode, bytes(frame.data)) for frame in peer.hear() if isinstance(frame, Frame)]
    assert heard == [(Opcode.TEXT, b"40"), (Opcode.TEXT, b"42"), (Opcode.PONG, b"x")]


def test_a_refused_or_closed_websocket_is_a_lost_connection(framing, peer):
    with pytest.raises(ConnectionLost):
        framing.send(["40"])
    with pytest.raises(ConnectionLost, match="no WebSocket"):
        framing.receive(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    other = WebSocketFraming(URL)
    end = Peer(other)
    other.receive(end.accept())
    end.protocol.send_close(1001)
    assert other.receive(end.take_bytes()) == []
    with pytest.raises(ConnectionLost):
        other.send(["42"])


@pytest.fixture
def events():
    return []


@pytest.fixture
def client(events):
    client = SocketIOProtocol("secret", lambda *event: events.append(event))
    client.receive(OPENING)
    assert client.take_packets() == ['40{"token":"secret"}']
    return client


def test_answers_and_events_are_handled_in_the_order_of_arrival(client, events):
    client.receive('40{"sid":"x"}')
    assert client.is_connected
    client.call("set", {"key": "é", "value": 1}, lambda answer: events.append(("first", answer)))
    client.call("get", {"key": "a"}, lambda answer: events.append(("second", answer)))
    assert client.take_packets() == ['421["set",{"key":"é","value":1}]', '422["get",{"key":"a"}]']
    for packet in ('432[{"ok":true}]', '42["change",{"from":0}]', '431[{"ok":false,"next":["["]}]'):
        client.receive(packet)
    assert events == [("second", {"ok": True}), ("change", {"from": 0}), ("first", {"ok": False, "next": ["["]})]


@pytest.mark.parametrize("packet", ["41", "1", '44{"message":"unavailable"}'])
def test_a_connection_that_may_come_back_is_lost(client, packet):
    with pytest.raises(ConnectionLost):
        client.receive(packet)
    assert not client.is_connected


def test_a_connection_with_a_wrong_token_is_refused(client):
    with pytest.raises(Refused) as caught:
        client.receive('44{"message":"unauthenticated"}')
    assert caught.value.code == "unauthenticated"


def test_an_exception_of_a_callback_reaches_the_caller(client):
    def fail(_):
        raise ConnectionLost("a gap")

    client.call("get", {}, fail)
    with pytest.raises(ConnectionLost, match="a gap"):
        client.receive('431[{"ok":true}]')
