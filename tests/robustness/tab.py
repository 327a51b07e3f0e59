"""A tab: follows the client's rule, sends the requests of its workload, reconnects when it is cut, and records it all.

A write whose outcome is unknown after a cut is sent again with its `op_id` until it is answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.robustness.history import Call, Connected, Disconnected, Fault, Recorder, TabLog, now
from tests.robustness.replica import Replica
from tests.robustness.stock import StockWire
from tests.robustness.wire import Gone, PollingWire, WebSocketWire, Wire
from tests.robustness.workload import WRITING, Audit, Request, Workload

IN_FLIGHT = 6
# longer than anything that a server under these faults does
STUCK_SECONDS = 90
ATTEMPTS = 600
RETRY_SECONDS = 0.05
MOST_HEALS = 50
# a sync with more pages begins anew for ever
MAX_SYNC_PAGES = 2_000
EXTRA_SECONDS = 0.02

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class Stuck(Exception):
    """A tab got no answer or could not reconnect: a broken promise."""


class Spec(msgspec.Struct):
    """The settings of a tab: sent to the process that runs it."""

    user: str
    token: str
    tab: str
    seed: str
    operations: int
    transport: str = "websocket"
    # one operation in this many is followed by this
    cut_every: int = 0
    pause_every: int = 0
    abandon_every: int = 0
    # once, for this many seconds, it reads nothing
    stall_seconds: float = 0.0
    auditor: bool = False


class Tab:
    """`live` runs until the tab has done its share and both `enough` and `finish` were called.

    Faults need passing writes to happen, so a tab that has done its share goes on, slowly, until all of them did.
    """

    def __init__(self, spec: Spec, port: int, folder: Path, progress: Callable[[], None] = lambda: None) -> None:
        self._spec = spec
        self._port = port
        self._progress = progress
        self.replica = Replica()
        self._workload = Audit(spec.user) if spec.auditor else Workload(spec.user, spec.tab, spec.seed, self.replica)
        log = TabLog(spec.user, spec.tab, spec.transport, spec.auditor)
        self._recorder = Recorder(folder / f"{'z-' if spec.auditor else ''}{spec.tab}.jsonl", log)
        self._left = spec.operations
        self._is_enough = spec.auditor
        self._sendable: deque[Request] = deque()
        self._unknown: deque[Request] = deque()
        self._asked: dict[int, Request] = {}
        self._id = 0
        self._connection = 0
        self._wire: Wire
        self._changed = asyncio.Event()
        self._finishing = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._delayed = 0
        self._heals = 0
        self._pages = 0
        self._closing = False
        self._settled = False
        self._stall_at = spec.operations // 3 if spec.stall_seconds else None

    def enough(self) -> None:
        """Tell the tab that all faults that need tabs at work have happened."""
        self._is_enough = True
        self._changed.set()

    def finish(self) -> None:
        """Tell the tab that no more faults follow: it syncs once more, and ends."""
        self._finishing.set()
        self._changed.set()

    async def live(self) -> None:
        """Run the tab to its end. Raises Stuck."""
        try:
            while not self._settled:
                await self._connect()
                try:
                    await self._be_connected()
                except Gone as gone:
                    self._record_end(str(gone))
            self._wire.cut()
        finally:
            self._recorder.close()

    @property
    def answered(self) -> bool:
        """Return whether all requests were sent and answered."""
        asked = any(verb != "sync" for verb, _ in self._asked.values())
        return not (self._has_more or asked or self._sendable or self._unknown or self._delayed)

    @property
    def _has_more(self) -> bool:
        return self._left > 0 or not self._is_enough

    async def _connect(self) -> None:
        for attempt in range(ATTEMPTS):
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    self._wire = await self._open()
            except (Gone, TimeoutError):
                # the server is down, or has not noticed yet that the old connection is gone
                await asyncio.sleep(min(0.01 * 1.5**attempt, 0.3))
                continue
            self._connection += 1
            self._recorder.record(Connected(now(), self._connection))
            return
        raise Stuck(f"{self._spec.tab} could not come back")

    async def _open(self) -> Wire:
        spec = self._spec
        if spec.transport == "stock":
            return await StockWire.open(self._port, spec.token)
        if spec.transport == "polling":
            return await PollingWire.open(self._port, spec.token)
        small = bool(spec.stall_seconds or spec.pause_every)
        return await WebSocketWire.open(self._port, spec.token, small=small)

    def _record_end(self, why: str) -> None:
        self._recorder.record(Disconnected(now(), self._connection, why))
        self.replica.abort_sync()
        for verb, payload in self._asked.values():
            if verb in WRITING and "op_id" in payload:
                self._unknown.append((verb, payload))
        self._asked.clear()

    async def _be_connected(self) -> None:
        self._closing = False
        self._heals = 0
        self._sync()
        self._sendable.extendleft(reversed(self._unknown))
        self._unknown.clear()
        asking = asyncio.ensure_future(self._ask_all())
        hearing = asyncio.ensure_future(self._hear_all())
        try:
            await asyncio.wait({asking, hearing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (asking, hearing):
                if task.done():
                    task.result()
        finally:
            asking.cancel()
            hearing.cancel()
            await asyncio.gather(asking, hearing, return_exceptions=True)

    # requests

    async def _ask_all(self) -> None:
        while not self.answered:
            await self._until(lambda: self._sendable or self._has_more or self.answered)
            await self._until(lambda: len(self._asked) < IN_FLIGHT)
            if not self._sendable and self._has_more:
                if self._left <= 0:
                    await asyncio.sleep(EXTRA_SECONDS)
                self._left -= 1
                self._progress()
                self._sendable.extend(self._workload.next())
                self._misbehave()
            if self._sendable:
                self._ask(*self._sendable.popleft())
        await self._finishing.wait()
        self._closing = True
        self._sync()
        # the bookmark after a sync, and the changes pushed before it
        await self._until(lambda: self._settled)

    async def _until(self, holds: Callable[[], Any]) -> None:
        while not holds():
            self._changed.clear()
            try:
                # not `wait_for`, which may swallow a cancellation before Python 3.12
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                raise Stuck(f"{self._spec.tab} waits for answers: {self._asked}") from None

    def _ask(self, verb: str, payload: dict[str, Any]) -> None:
        self._id += 1
        self._asked[self._id] = (verb, payload)
        self._recorder.record(Call(now(), self._connection, self._id, verb, payload))
        self._wire.call(self._id, verb, _encode(payload))

    def _sync(self) -> None:
        if not self.replica.syncing:
            self._pages = 0
            self._ask("sync", self.replica.begin_sync())

    def _misbehave(self) -> None:
        spec, chance = self._spec, self._workload.random.random
        if self._left == self._stall_at:
            self._stall_at = None
            self._fault("stalled")
            self._stop_reading(spec.stall_seconds)
        if self._is_time(spec.pause_every):
            self._fault("slow")
            self._stop_reading(chance() / 2)
        if self._is_time(spec.cut_every):
            self._fault("cut")
            self._wire.cut(halfway=chance() < 0.5)
            raise Gone("cut")
        if self._is_time(spec.abandon_every):
            self._fault("half-open")
            self._wire.abandon()
            raise Gone("abandoned")

    def _is_time(self, every: int) -> bool:
        """Decide by chance, and True once for certain, so that the fault happens."""
        halfway = self._left == self._spec.operations // 2
        return every > 0 and (halfway or self._workload.random.random() < 1 / every)

    def _stop_reading(self, seconds: float) -> None:
        self._reading.clear()
        asyncio.get_running_loop().call_later(seconds, self._reading.set)

    def _fault(self, kind: str) -> None:
        self._recorder.record(Fault(now(), self._connection, kind))

    # answers and pushes

    async def _hear_all(self) -> None:
        while True:
            await self._reading.wait()
            for what, body in await self._wire.receive():
                if isinstance(what, int):
                    self._recorder.answer(self._connection, what, body)
                    self._on_answer(what, _decode(body))
                else:
                    self._recorder.push(self._connection, what, body)
                    self._on_push(what, body)
            self._changed.set()

    def _on_answer(self, id: int, body: dict[str, Any]) -> None:
        verb, payload = self._asked.pop(id)
        if body["ok"]:
            if verb == "sync" and (following := self.replica.on_page(body)) is not None:
                self._pages += 1
                if self._pages > MAX_SYNC_PAGES:
                    raise Stuck(f"{self._spec.tab} gets page after page of one sync")
                self._ask("sync", following)
        elif verb == "sync":
            self._wire.cut()
            raise Gone(f"no sync: {body}")
        elif body["error"]["code"] == "unavailable" and verb in WRITING and "op_id" in payload:
            self._delayed += 1
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._send_again, (verb, payload))

    def _send_again(self, request: Request) -> None:
        self._delayed -= 1
        self._sendable.append(request)
        self._changed.set()

    def _on_push(self, name: str, body: bytes) -> None:
        if name == "change":
            in_step = self.replica.on_change(_decode(body))
        elif name == "bookmark":
            in_step = self.replica.on_bookmark(_decode(body))
            self._settled = self._settled or (self._closing and not self.replica.syncing)
        else:
            return
        if not in_step:
            self._heals += 1
            # a limit, for a server with which no agreement can be reached
            if self._heals <= MOST_HEALS:
                self._sync()
