"""A blocking Socket.IO connection: calls with their answers, and events, handled in the order of arrival.

Everything runs on the thread that calls `step`; only `cut` may be called from another.
"""

from collections.abc import Callable
from typing import Any

from realtime_kv_client.errors import ConnectionLost
from realtime_kv_client.http import HttpClient
from realtime_kv_client.replica import Replica
from realtime_kv_client.socketio import Answer, SocketIOProtocol
from realtime_kv_client.transports import TRANSPORTS


class Connection:
    """A connection, opened and signed in by the constructor. Raises Refused, ConnectionLost.

    `transport` is `websocket` or `polling`. `on_event(name, data)` is called with each event.
    """

    def __init__(self, server: HttpClient, token: str, transport: str, on_event: Callable[[str, Any], None]) -> None:
        self._protocol = SocketIOProtocol(token, on_event)
        self._transport = TRANSPORTS[transport](server)
        try:
            while not self._protocol.is_connected:
                self.step()
        except BaseException:
            self.close()
            raise

    def call(self, verb: str, payload: dict[str, Any], on_answer: Callable[[Answer], None]) -> None:
        """Send a call with the next `step`; `on_answer(answer)` is called with the answer."""
        self._protocol.call(verb, payload, on_answer)

    def ask(self, verb: str, payload: dict[str, Any]) -> Answer:
        """Send a call now, and wait for the answer. Raises ConnectionLost."""
        answers: list[Answer] = []
        self.call(verb, payload, answers.append)
        while not answers:
            self.step()
        return answers[0]

    def sync(self, replica: Replica) -> Answer:
        """Bring `replica` up to date, except for the changes that it holds back; return the last page, a bookmark.

        Raises ConnectionLost, also if the server refuses: the next connection tries again.
        """
        request: dict[str, Any] | None = replica.begin_sync()
        while request is not None:
            page = self.ask("sync", request)
            if not page["ok"]:
                raise ConnectionLost(page["error"]["message"])
            request = replica.take(page)
        return page

    def step(self) -> None:
        """Send queued calls, then wait for packets and handle them. Raises ConnectionLost, and what callbacks raise."""
        self._send()
        for packet in self._transport.receive():
            self._protocol.receive(packet)
        # answers to pings
        self._send()

    def cut(self) -> None:
        """Cut the connection without telling the server. May be called from any thread."""
        self._transport.cut()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _send(self) -> None:
        if packets := self._protocol.take_packets():
            self._transport.send(packets)
