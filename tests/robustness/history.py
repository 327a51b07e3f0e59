"""The record of one run: for each tab every call, answer and pushed frame with its time, as lines of JSON.

Times are nanoseconds of the monotonic clock, which all processes of one machine share. The time of a call is taken
before it is sent, that of an answer or a push after it has arrived: intervals can only be too long, which is sound.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct


class Connected(Struct, tag="connected", tag_field="is"):
    """The server has accepted this tab; `connection` counts its connections."""

    t: int
    connection: int


class Disconnected(Struct, tag="disconnected", tag_field="is"):
    """The connection is over; `why` names the side that ended it."""

    t: int
    connection: int
    why: str


class Call(Struct, tag="call", tag_field="is"):
    """A verb is sent. A retry is a separate call with the same `op_id` in its payload."""

    t: int
    connection: int
    id: int
    verb: str
    payload: dict[str, Any]


class Answer(Struct, tag="answer", tag_field="is"):
    """The acknowledgement of call `id`; a call without one has an unknown outcome."""

    t: int
    connection: int
    id: int
    body: dict[str, Any]


class Push(Struct, tag="push", tag_field="is"):
    """An unrequested frame: `change`, `bookmark`, `presence`, `notice`, `signed_out`."""

    t: int
    connection: int
    name: str
    data: dict[str, Any]


class Fault(Struct, tag="fault", tag_field="is"):
    """A fault that this tab caused to itself or to the server, recorded to be counted."""

    t: int
    connection: int
    kind: str


Event = Connected | Disconnected | Call | Answer | Push | Fault


class TabLog(Struct):
    """One tab's log: its user, and all events in the order of occurrence. An auditor runs last, alone."""

    user: str
    tab: str
    transport: str = "websocket"
    auditor: bool = False
    events: list[Event] = []


class History(Struct):
    """All tabs of one run; `purge_keeps` is the number of revisions that a purge left, if there was one."""

    tabs: list[TabLog]
    purge_keeps: int | None = None

    @property
    def users(self) -> list[str]:
        return sorted({log.user for log in self.tabs})

    def of(self, user: str) -> list[TabLog]:
        """Return the tabs of `user`."""
        return [log for log in self.tabs if log.user == user]

    def count(self, kind: type[Any]) -> int:
        return sum(isinstance(event, kind) for log in self.tabs for event in log.events)


class Recorder:
    """Writes one tab's log as it happens; messages of the server are copied verbatim."""

    def __init__(self, file: Path, log: TabLog) -> None:
        self._file: BinaryIO = file.open("wb", buffering=1 << 18)
        self._line(log)

    def record(self, event: Event) -> None:
        self._line(event)

    def answer(self, connection: int, id: int, body: bytes) -> None:
        self._line({"is": "answer", "t": now(), "connection": connection, "id": id, "body": Raw(body)})

    def push(self, connection: int, name: str, data: bytes) -> None:
        self._line({"is": "push", "t": now(), "connection": connection, "name": name, "data": Raw(data)})

    def close(self) -> None:
        self._file.close()

    def _line(self, what: Any) -> None:
        self._file.write(_encode(what) + b"\n")


def load(folder: Path) -> History:
    """Load the history whose tabs have recorded into `folder`."""
    return History([_load_tab(file) for file in sorted(folder.glob("*.jsonl"))])


def now() -> int:
    """Return the time in nanoseconds; the same clock for all processes of this machine."""
    return time.monotonic_ns()


def connections(log: TabLog) -> Iterator[list[Event]]:
    """Yield a tab's events, connection by connection."""
    for _, events in itertools.groupby(log.events, lambda event: event.connection):
        yield list(events)


def _load_tab(file: Path) -> TabLog:
    head, *lines = file.read_bytes().splitlines()
    log = msgspec.json.decode(head, type=TabLog)
    log.events = [_decode(line) for line in lines]
    return log


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
