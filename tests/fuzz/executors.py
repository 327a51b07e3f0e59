"""Executors: play each kind of case and check the outcome. Each returns how many messages the server judged."""

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.fuzz import oracles, packets
from tests.fuzz.case import PAWNS, SID, Case, Wrong
from tests.fuzz.connections import DEADLINE, Connection, Ended, Response, WebSocketConnection
from tests.fuzz.services import Services
from tests.fuzz.streams import sees_all

# if no answer is due, we close our half of a connection after this much silence
SILENCE = 0.15

_NAMESPACE = re.compile(rb"\A/[^,]*,?")

Judged = tuple[int, Counter[str]]


class Target:
    """The server's port, and the real values of the placeholders: of the users, and of the long-polling sessions."""

    def __init__(self, services: Services) -> None:
        self.port = services.server.port
        self._users = services.users
        self._real = services.users.user()
        self._pawn: dict[bytes, bytes] = {}

    def be_ready_for(self, case: Case) -> None:
        """Sign up a new expendable user if the case uses one and has none whose session goes on."""
        about_pawns = any(stand_in in data for data in case.inputs for stand_in in PAWNS)
        if about_pawns and not (self._pawn and self._users.lives(self._pawn)):
            self._pawn = self._users.pawn()

    def meet(self, sid: bytes) -> None:
        """Note the id of a session of long-polling."""
        self._real[SID] = sid

    def fill(self, data: bytes) -> bytes:
        """Replace the placeholders by the real tokens, names and sessions."""
        for stand_in, real in (*self._real.items(), *self._pawn.items()):
            data = data.replace(stand_in, real)
        return data

    def join(self, case: Case) -> bytes:
        """Return the packet with which a tab of this case identifies itself."""
        return self.fill(b'40{"token":"%b"}' % case.who)


class AnswerTracker:
    """Reads a tab's packets, and tracks the outstanding answers."""

    def __init__(self, asked: Sequence[bytes] | None) -> None:
        """`asked` are the packets that are sent; None when their outcome cannot be predicted."""
        self.codes: Counter[str] = Counter()
        self.answers = 0
        self.finished = False
        # a tab that disconnects in between may get answers or not
        self._loose = asked is None or any(map(packets.leaves, asked))
        self._open = Counter([packets.LAST])
        self._open.update(id for packet in asked or () if (id := packets.asked(packet)) is not None)

    @property
    def done(self) -> bool:
        return self.finished and (self._loose or not self._open)

    def receive(self, packet: bytes) -> bytes | None:
        """Judge one packet; return the reply to send, if any."""
        if packet.startswith(b"43"):
            bracket = packet.find(b"[")
            id = packet[2:bracket]
            if bracket < 0 or not id.isdigit() or not packet.endswith(b"]"):
                raise Wrong(f"not an acknowledgement: {packet[:200]!r}")
            self._answered(int(id), packet[bracket + 1 : -1])
        elif packet[:2] in {b"42", b"40", b"44"} or packet[:1] == b"0":
            oracles.check_json(_NAMESPACE.sub(b"", packet.lstrip(b"0123456789")) or b"null")
        elif packet == b"2":
            return b"3"
        elif packet not in {b"1", b"3probe", b"41", b"6"}:
            raise Wrong(f"not a packet that a server sends: {packet[:200]!r}")
        return None

    def missing(self) -> str:
        return f"{self._open.total()} events without an answer, such as {list(self._open)[:5]}"

    def _answered(self, id: int, answer: bytes) -> None:
        if not self._open[id] and not self._loose:
            raise Wrong(f"an answer that nobody asked for, to {id}: {answer[:200]!r}")
        self._open[id] -= 1
        if self._open[id] <= 0:
            del self._open[id]
        self.codes[oracles.check_answer(answer)] += 1
        self.answers += 1
        self.finished |= id == packets.LAST


async def raw(target: Target, case: Case) -> Judged:
    """Send everything, and read to the end."""
    connection = await Connection.open(target.port)
    try:
        await connection.send_all(tuple(map(target.fill, case.inputs)))
        if case.ending == "reset":
            return 1, Counter(reset=1)
        connection.send_eof()
        statuses = oracles.statuses(await connection.receive_all())
    finally:
        connection.close_discarding()
    return max(1, min(case.messages, len(statuses))), Counter(status.decode() for status in statuses)


async def api(target: Target, case: Case) -> Judged:
    """Send valid requests: each is answered, in order, unless an answer says that it is the last."""
    connection = await Connection.open(target.port)
    codes: Counter[str] = Counter()
    answered = 0
    try:
        for request in case.inputs:
            connection.send(target.fill(request))
        for request in case.inputs:
            try:
                response = await connection.response()
            except Ended:
                raise Wrong(f"no answer to {request[:300]!r}") from None
            answered += 1
            codes[str(response.status)] += 1
            _check_api(request, response)
            if response.last:
                break
    finally:
        connection.close_discarding()
    return answered, codes


def _check_api(request: bytes, response: Response) -> None:
    status, body, kind = response.status, response.body, response.headers.get(b"content-type", b"")
    path = request.split(b" ", 2)[1].partition(b"?")[0]
    oracles.check_headers(response.headers)
    if path.startswith(b"/api/") and status >= 300:
        if kind != b"application/problem+json":
            raise Wrong(f"a refusal that is no problem: {kind!r}")
        problem = json.loads(body)
        if problem["status"] != status or problem["code"] not in oracles.CODES:
            raise Wrong(f"not a refusal: {body[:300]!r}")
    elif path.startswith(b"/api/") and body:
        oracles.check_answer(body)
    elif kind.startswith(b"text/html"):
        oracles.check_page(body)


async def streams(target: Target, case: Case) -> Judged:
    """Check that a stream reports everything from its start, and the writes made meanwhile, without a gap."""
    first, *writes = map(target.fill, case.inputs)
    connection, beside = await Connection.open(target.port), await Connection.open(target.port)
    try:
        connection.send(first)
        head = await connection.head()
        if head.headers.get(b"content-type", b"").partition(b";")[0] != b"text/event-stream":
            _check_api(first, await connection.rest_of(head))
            return 1, Counter([str(head.status)])
        told = _Told()
        chunks = connection.chunks()
        while told.revision is None:
            told.receive(await anext(chunks))
        reached = 0
        for write in writes:
            beside.send(write)
            answer = await beside.response()
            _check_api(write, answer)
            reached = json.loads(answer.body)["revision"] if answer.status == 200 else reached
        while sees_all(case.inputs[0]) and told.revision < reached:
            told.receive(await anext(chunks))
    except (Ended, StopAsyncIteration):
        raise Wrong(f"a stream has ended: {first[:300]!r}") from None
    finally:
        connection.close_discarding()
        beside.close_discarding()
    return len(case.inputs), Counter(stream=1)


class _Told:
    """The events of a stream so far, and its revision (None: it has not synced yet)."""

    def __init__(self) -> None:
        self.revision: int | None = None
        self._rest = b""

    def receive(self, piece: bytes) -> None:
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            if fields.keys() - {b"event", b"data", b"id", b"retry"}:
                raise Wrong(f"not an event: {event[:200]!r}")
            if b"event" in fields:
                oracles.check_json(fields[b"data"])
                self._take(fields[b"event"], json.loads(fields[b"data"]))

    def _take(self, name: bytes, data: dict[str, Any]) -> None:
        if name == b"sync" and data["next"] is None:
            self.revision = data["revision"]
        elif name == b"change":
            if data["from"] != self.revision:
                raise Wrong(f"a gap: at {self.revision}, and a change from {data['from']}")
            self.revision = data["revision"]
        elif name not in {b"sync", b"bookmark"}:
            raise Wrong(f"an event that nobody expects: {name!r} {data}")


async def events(target: Target, case: Case) -> Judged:
    """Join, ask everything at once: every event is answered, or the socket closed."""
    tab = await WebSocketConnection.open(target.port)
    try:
        tab.send(target.join(case))
        tracker = AnswerTracker(case.inputs)
        for packet in case.inputs:
            tab.send(target.fill(packet))
        tab.send(packets.SENTINEL)
        if await _listen(tab, tracker):
            return len(case.inputs), tracker.codes
    finally:
        tab.connection.close_discarding()
    return min(len(case.inputs), tracker.answers + 1), tracker.codes + Counter(closed=1)


async def frames(target: Target, case: Case) -> Judged:
    """Join, then send anything. A swallowed message is not answered, but the connection comes to an end."""
    tab = await WebSocketConnection.open(target.port)
    tracker = AnswerTracker(None)
    try:
        tab.send(target.join(case))
        await tab.connection.send_all(tuple(map(target.fill, case.inputs)))
        tab.send(packets.SENTINEL)
        hearing = asyncio.ensure_future(_receive_loosely(tab, tracker))
        try:
            if not (await asyncio.wait({hearing}, timeout=SILENCE))[0]:
                tab.connection.send_eof()
            await hearing
        finally:
            hearing.cancel()
    finally:
        tab.connection.close_discarding()
    return case.messages if tracker.finished else min(case.messages, tracker.answers + 1), tracker.codes


async def _receive_loosely(tab: WebSocketConnection, tracker: AnswerTracker) -> None:
    """Read until the last event's answer or the end. It is unknown which answers have to come."""
    with contextlib.suppress(Ended):
        while not tracker.finished:
            for packet in await tab.packets():
                tracker.receive(packet)


async def _listen(tab: WebSocketConnection, tracker: AnswerTracker) -> bool:
    """Read until everything is answered (True) or the socket closed."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not tracker.done:
                for packet in await tab.packets():
                    if reply := tracker.receive(packet):
                        tab.send(reply)
    except Ended:
        return False
    except TimeoutError:
        raise Wrong(tracker.missing()) from None
    return True


async def polling(target: Target, case: Case) -> Judged:
    """Play a session: its steps one after the other while one poll waits at all times; then a last event."""
    session = await Session.open(target, case)
    try:
        for step in case.inputs:
            word, _, data = step.partition(b" ")
            take = {b"post": session.post, b"upgrade": session.upgrade, b"poll": session.poll_twice}.get(word)
            if take is not None:
                await take(target.fill(data))
        await session.finish()
    finally:
        session.close_discarding()
    tracker = session.tracker
    whole = tracker.done and session.sound
    return case.messages if whole else min(case.messages, tracker.answers + 1), tracker.codes + Counter(
        closed=not whole
    )


class Session:
    """A session of long-polling: one connection to post on, one that always has a poll waiting."""

    def __init__(self, target: Target, post: Connection, poll: Connection, tracker: AnswerTracker) -> None:
        self.tracker = tracker
        # every POST so far was answered 200: all their packets were processed
        self.sound = True
        self._sid = b""
        self._target = target
        self._post = post
        self._poll = poll
        self._others: list[Connection] = []
        self._polling: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, target: Target, case: Case) -> "Session":
        asked = [packet for step in case.inputs for packet in step.removeprefix(b"post ").split(packets.SEPARATOR)]
        goes_on = any(step.startswith(b"upgrade") for step in case.inputs)
        post = await Connection.open(target.port)
        session = cls(target, post, await Connection.open(target.port), AnswerTracker(None if goes_on else asked))
        try:
            post.send(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
            opening = await post.response()
            session._sid = json.loads(opening.body[1:])["sid"].encode()
            target.meet(session._sid)
            session._path = b"/socket.io/?EIO=4&transport=polling&sid=" + session._sid
            await session.post(target.join(case))
            session._polling = asyncio.ensure_future(session._poll_on())
        except BaseException:
            session.close_discarding()
            raise
        return session

    async def post(self, body: bytes) -> None:
        if self.sound:
            self._post.send(
                b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self._path, len(body)) + body
            )
            response = await self._post.response()
            self.sound = response.status == 200
            if response.status not in {200, 400, 413}:
                raise Wrong(f"a POST was answered {response.status}")
            if self.sound and response.body != b"ok":
                raise Wrong(f"a POST was answered {response.body[:100]!r}")

    async def upgrade(self, words: bytes) -> None:
        """Send `words` on a WebSocket of this session, and wait a moment for the reaction."""
        with contextlib.suppress(Ended, TimeoutError):
            tab = await WebSocketConnection.open(self._target.port, self._sid.decode())
            self._others.append(tab.connection)
            for word in words.split(packets.SEPARATOR):
                tab.send(word)
            async with asyncio.timeout(SILENCE):
                while True:
                    for packet in await tab.packets():
                        self.tracker.receive(packet)
        if self._others and len(words) % 4:
            # otherwise it stays open, and the session waits for the upgrade's end
            self._others[-1].close_discarding()

    async def poll_twice(self, _: bytes) -> None:
        """Poll while another poll waits: either the session is over, or the first poll was answered just now."""
        connection = await Connection.open(self._target.port)
        self._others.append(connection)
        connection.send(self._request_poll())
        self._take(await connection.response())

    async def finish(self) -> None:
        """Wait until every request is answered, or the session is over."""
        assert self._polling is not None
        await self.post(packets.SENTINEL)
        try:
            async with asyncio.timeout(DEADLINE):
                await self._polling
        except TimeoutError:
            raise Wrong(self.tracker.missing()) from None
        if self.sound and not self.tracker.done:
            raise Wrong(f"every POST was answered 200, then the session was over: {self.tracker.missing()}")
        if self.tracker.done and self.tracker.answers % 4:
            # some sessions disconnect, some just stop
            await self.post(b"1")

    def close_discarding(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
        for connection in (self._post, self._poll, *self._others):
            connection.close_discarding()

    async def _poll_on(self) -> None:
        with contextlib.suppress(Ended):
            while not self.tracker.done:
                self._poll.send(self._request_poll())
                response = await self._poll.response()
                if not self._take(response):
                    return
                if response.body == b"6":
                    # an upgrade goes on: until its end every poll is answered at once
                    await asyncio.sleep(SILENCE)

    def _request_poll(self) -> bytes:
        return b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % self._path

    def _take(self, response: Response) -> bool:
        if response.status not in {200, 400}:
            raise Wrong(f"a poll was answered {response.status}")
        if response.status == 200:
            for packet in response.body.split(packets.SEPARATOR):
                self.tracker.receive(packet)
        return response.status == 200


EXECUTORS: dict[str, Callable[[Target, Case], Awaitable[Judged]]] = {
    "raw": raw,
    "api": api,
    "accounts": api,
    "streams": streams,
    "events": events,
    "frames": frames,
    "polling": polling,
}
