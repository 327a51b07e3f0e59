"""Socket.IO, revision 5, the client's half, without I/O: connecting, events, and calls with their acknowledgements.

Source: https://socket.io/docs/v4/socket-io-protocol/
"""

import json
from collections.abc import Callable
from typing import Any

from realtime_kv_client.engineio import EngineIOProtocol
from realtime_kv_client.errors import ConnectionLost, Refused

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = "01234"

Answer = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class SocketIOProtocol:
    """One connection, signed in by `token`: received packets become events and answers, calls become packets to send.

    `on_event(name, data)` is called for each event, and the `on_answer` of a call with its answer, in the order of
    arrival. What they raise is raised by `receive`.
    """

    def __init__(self, token: str, on_event: Callable[[str, Any], None]) -> None:
        self.is_connected = False
        self._on_event = on_event
        self._engine = EngineIOProtocol()
        self._calls: dict[int, Callable[[Answer], None]] = {}
        self._number = 0
        self._engine.send(CONNECT + _encode({"token": token}))

    def call(self, verb: str, payload: dict[str, Any], on_answer: Callable[[Answer], None]) -> None:
        """Queue a call; `on_answer(answer)` is called with its answer."""
        self._number += 1
        self._calls[self._number] = on_answer
        self._engine.send(f"{EVENT}{self._number}{_encode([verb, payload])}")

    def receive(self, packet: str) -> None:
        """Take an Engine.IO packet and handle its message. Raises Refused, ConnectionLost."""
        message = self._engine.receive(packet)
        if message is None:
            return
        kind = message[:1]
        if kind == ACK:
            number, _, answer = message[1:].partition("[")
            self._calls.pop(int(number))(json.loads(f"[{answer}")[0])
        elif kind == EVENT:
            self._on_event(*json.loads(message[1:]))
        elif kind == CONNECT:
            self.is_connected = True
        elif kind == CONNECT_ERROR:
            reason = json.loads(message[1:]).get("message", "")
            if reason == "unavailable":
                # the server stops or is overloaded: it may be back in a moment
                raise ConnectionLost(reason)
            raise Refused(reason, f"The server refuses the connection: {reason}.")
        elif kind == DISCONNECT:
            raise ConnectionLost("the server closed the connection")

    def take_packets(self) -> list[str]:
        """Return the Engine.IO packets to send, and empty the queue."""
        return self._engine.take_packets()
