"""A well-behaved tab of another user: connected all the time, it must not notice anything."""

import asyncio
import json

from tests.fuzz.case import Wrong
from tests.fuzz.oracles import CANARY
from tests.robustness.wire import Gone, WebSocketWire

KEYS = 20
SECONDS = 0.02
TIMEOUT = 30


class ControlClient:
    """Sets its own keys, one after the other, and checks every message that it receives."""

    def __init__(self, wire: WebSocketWire) -> None:
        self.writes = 0
        self.slowest = 0.0
        self.trouble: str | None = None
        self._wire = wire
        self._revision: int | None = None
        self._session = ""
        self._answered = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def join(cls, port: int, token: str) -> "ControlClient":
        control_client = cls(await WebSocketWire.open(port, token))
        control_client._tasks = [
            asyncio.ensure_future(task) for task in (control_client._listen(), control_client._write())
        ]
        return control_client

    def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._wire.cut()

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        while self.trouble is None:
            key = f"{CANARY.decode()}/{self.writes % KEYS}"
            self._answered.clear()
            asked = clock()
            self._wire.call(
                self.writes, "set", json.dumps({"key": key, "value": [CANARY.decode(), self.writes]}).encode()
            )
            try:
                await asyncio.wait_for(self._answered.wait(), TIMEOUT)
            except TimeoutError:
                self.trouble = f"no answer within {TIMEOUT} s"
            self.slowest = max(self.slowest, clock() - asked)
            self.writes += 1
            await asyncio.sleep(SECONDS)

    async def _listen(self) -> None:
        try:
            while True:
                for name, data in await self._wire.receive():
                    self._on_message(name, json.loads(data))
        except (Gone, Wrong) as trouble:
            self.trouble = str(trouble)

    def _on_message(self, name: int | str, data: dict) -> None:
        if isinstance(name, int):
            if name != self.writes or data["ok"] is not True:
                raise Wrong(f"answer {name} to write {self.writes}: {data}")
            self._answered.set()
        elif name == "change":
            if self._revision not in {None, data["from"]}:
                raise Wrong(f"a gap: at {self._revision}, and a change from {data['from']}")
            self._revision = data["revision"]
            for op in (op for write in data["writes"] for op in write["ops"]):
                if not op["key"].startswith(CANARY.decode()):
                    raise Wrong(f"somebody else's change: {op}")
        elif name == "presence":
            if len(data["tabs"]) != 1:
                raise Wrong(f"somebody else is in our room: {data}")
        elif name != "bookmark":
            raise Wrong(f"an event nobody expects: {name} {data}")
