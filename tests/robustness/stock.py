"""A tab on the stock client, python-socketio's, as a Wire: it starts with polling and upgrades, as browsers do.

The stock client passes each message to a separate thread, and threads may overtake one another; here messages stay in
order.
"""

import asyncio
import json
from typing import Any

import engineio
import socketio

from tests.robustness.wire import Gone, Heard

# the stock client waits this long for its welcome, even when the server has died meanwhile
WELCOME_SECONDS = 5


class _InOrder(engineio.Client):
    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("run_async", None)
        return super()._trigger_event(event, *args, **kwargs)


class _Client(socketio.Client):
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _InOrder


class StockWire:
    """Passes messages from the client's threads to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._client = _Client(reconnection=False)
        self._client.on("*", lambda name, data: self._hear((name, json.dumps(data).encode())))
        self._client.on("disconnect", lambda _reason: self._hear(None))

    @classmethod
    async def open(cls, port: int, token: str) -> "StockWire":
        """Open a tab that the server has accepted. Raises Gone."""
        wire = cls()
        try:
            await asyncio.to_thread(
                wire._client.connect, f"http://127.0.0.1:{port}", auth={"token": token}, wait_timeout=WELCOME_SECONDS
            )
        except socketio.exceptions.ConnectionError as error:
            await asyncio.to_thread(wire._client.shutdown)
            raise Gone(f"cannot connect: {error}") from None
        return wire

    async def receive(self) -> list[Heard]:
        heard = await self._heard.get()
        if heard is None:
            raise Gone("closed by the server")
        return [heard]

    def call(self, id: int, verb: str, payload: bytes) -> None:
        try:
            self._client.emit(verb, json.loads(payload), callback=lambda body: self._answer(id, body))
        except socketio.exceptions.SocketIOError:
            # `receive` is about to report the end
            pass

    def cut(self, *, halfway: bool = False) -> None:
        self._loop.run_in_executor(None, self._close)

    def abandon(self) -> None:
        self.cut()

    def _close(self) -> None:
        self._client.disconnect()
        self._client.shutdown()

    def _answer(self, id: int, body: Any) -> None:
        self._hear((id, json.dumps(body).encode()))

    def _hear(self, heard: Heard | None) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, heard)
