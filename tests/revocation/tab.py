"""A tab that writes as fast as it is answered, and records its pushes and their times."""

import json
import threading
import time

from tests.live_server import Account, Wire

IN_FLIGHT = 8


class WritingTab:
    """Writes from its own thread until the server disconnects it."""

    def __init__(self, account: Account, transport: str, name: str) -> None:
        self._wire = Wire(account, transport)
        self._name = name
        self.reason: str | None = None
        self.last_push = 0.0
        self.closed_at: float | None = None
        self.answered = threading.Event()
        self.refused: set[str] = set()
        self._sent = 0
        self._sending_failed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Return whether the server has disconnected it."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        self._wire.close()

    def _work(self) -> None:
        try:
            for _ in range(IN_FLIGHT):
                self._write()
            while True:
                self._hear(self._wire.receive())
        except Exception:  # any exception means disconnected
            self.closed_at = time.monotonic()

    def _write(self) -> None:
        number = self._sent = self._sent + 1
        try:
            self._wire.send(f'42{number}["set",{{"key":"{self._name}/{number % 50}","value":{number}}}]')
        except Exception:
            # disconnected while sending: earlier messages to it may still be unread
            self._sending_failed = True

    def _hear(self, packet: str) -> None:
        if packet.startswith("43"):
            answer = json.loads(packet[packet.index("[") :])[0]
            if answer["ok"]:
                self.answered.set()
            else:
                self.refused.add(answer["error"]["code"])
            if not self._sending_failed:
                self._write()
        elif packet.startswith('42["change"'):
            self.last_push = time.monotonic()
        elif packet.startswith('42["signed_out"'):
            self.reason = json.loads(packet[2:])[1]["reason"]
        elif not packet.startswith(("42", "40")):
            # a DISCONNECT, a CLOSE, or the answer to a poll of a session that is gone
            raise ConnectionError(packet)
