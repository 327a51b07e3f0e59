"""A minimal Socket.IO client: calls with their answers, and events, handled in the order of arrival.

Everything runs on the thread that calls `step`; only `wire.cut` may be called from another.
"""

import json
from collections.abc import Callable
from typing import Any

from realtime_kv.doctor.site import HttpClient, Refused
from realtime_kv.doctor.wire import ConnectionLost, EngineIOTransport, PollingTransport, WebSocketTransport

Answer = dict[str, Any]
WIRES: dict[str, Callable[[HttpClient], EngineIOTransport]] = {
    "websocket": WebSocketTransport,
    "polling": PollingTransport,
}

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Tab:
    """A client, connected and signed in by the constructor. Raises Refused, Lost."""

    def __init__(self, site: HttpClient, token: str, transport: str, on_event: Callable[[str, Any], None]) -> None:
        self._site = site
        self._on_event = on_event
        self._calls: dict[int, Callable[[Answer], None]] = {}
        self._number = 0
        self._outgoing = [f"40{_encode({'token': token})}"]
        self._joined = False
        self.wire = WIRES[transport](site)
        try:
            # the first packet opens the session; the client may send only after it
            self._hear(self.wire.receive())
            while not self._joined:
                self.step()
        except BaseException:
            self.wire.close()
            raise

    def call(self, verb: str, payload: dict[str, Any], then: Callable[[Answer], None]) -> None:
        """Send a call with the next `step`; `then(answer)` is called with the answer."""
        self._number += 1
        self._calls[self._number] = then
        self._outgoing.append(f"42{self._number}{_encode([verb, payload])}")

    def ask(self, verb: str, payload: dict[str, Any]) -> Answer:
        """Send a call now, and wait for the answer. Raises Lost."""
        answers: list[Answer] = []
        self.call(verb, payload, answers.append)
        while not answers:
            self.step()
        return answers[0]

    def step(self) -> None:
        """Send queued packets, then wait for packets and handle them. Raises Lost."""
        self._say()
        self._hear(self.wire.receive())

    def close(self) -> None:
        """Close the connection."""
        self.wire.close()

    def _say(self) -> None:
        if self._outgoing:
            outgoing, self._outgoing = self._outgoing, []
            self.wire.send(outgoing)

    def _hear(self, packets: list[str]) -> None:
        for packet in packets:
            kind = packet[:2]
            if kind == "43":
                number, _, answer = packet[2:].partition("[")
                self._calls.pop(int(number))(json.loads(f"[{answer}")[0])
            elif kind == "42":
                self._on_event(*json.loads(packet[2:]))
            elif packet == "2":
                # at once: handling the other packets may take long
                self.wire.send(["3"])
            elif kind == "40":
                self._joined = True
            elif kind == "44":
                reason = json.loads(packet[2:]).get("message", "")
                if reason == "unavailable":
                    # the server stops or is overloaded: it may be back in a moment
                    raise ConnectionLost(reason)
                raise Refused(reason, f"{self._site.url} refuses the connection: {reason}.")
            elif kind in {"41", "1"}:
                raise ConnectionLost("the server closed the connection")
