"""A reader of server-sent events on plain HTTP, by the standard (HTML Living Standard §9.2.6)."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from realtime_kv_client import Replica
from tests.live_server import DEADLINE, Account


class Event(NamedTuple):
    name: str
    data: dict[str, Any]
    id: str | None


class Listener:
    """One stream; `last` is the id of the last event that had one. Comments are counted, not returned."""

    def __init__(self, account: Account, last: str | None = None, *, buffer: int | None = None, **query: Any) -> None:
        sock = socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(DEADLINE)
        sock.connect(("127.0.0.1", account.server.port))
        self.last = last
        self.comments = 0
        self._http = http.client.HTTPConnection("127.0.0.1")
        self._http.sock = self._sock = sock
        headers = {**account.headers, **({"Last-Event-ID": last} if last is not None else {})}
        self._http.request("GET", f"/api/v1/stream?{urlencode(query)}", headers=headers)
        self.answer = self._http.getresponse()
        self.status = self.answer.status

    def __iter__(self) -> Iterator[Event]:
        """Yield every complete event until the end. Raises OSError or http.client.HTTPException if it is cut."""
        name, data, at = "message", [], None
        while line := self.answer.readline():
            field, _, value = line.decode().removesuffix("\n").partition(":")
            value = value.removeprefix(" ")
            if line == b"\n":
                if at is not None:
                    self.last = at
                if data:
                    yield Event(name, json.loads("\n".join(data)), at)
                name, data, at = "message", [], None
            elif not field:
                self.comments += 1
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                at = value

    def next(self) -> Event:
        """Return the next event."""
        return next(iter(self))

    def close(self) -> None:
        """Disconnect at any point of the stream."""
        # the response would keep the connection open
        self.answer.close()
        self._http.close()
        self._sock.close()


class Follower:
    """Keeps a replica by a stream; after each end it reconnects at its position, as a browser does."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account
        self.replica = Replica()
        self.revisions: list[int] = []
        self.resets = 0
        self.last: str | None = None
        self.cuts = 0

    def follow(self, done: Callable[[], bool], cut: Callable[[Event], bool] = lambda _: False) -> None:
        """Follow until `done()`, and cut the stream after the events for which `cut` is true."""
        while not done():
            listener = Listener(self.account, self.last)
            # a stream sends no change before the last page, so none is held back
            self.replica.begin_sync()
            self.replica.end_sync()
            try:
                for event in listener:
                    self.take(event)
                    self.last = listener.last
                    if done():
                        break
                    if cut(event):
                        self.cuts += 1
                        break
            except (OSError, http.client.HTTPException):
                pass
            listener.close()

    def take(self, event: Event) -> None:
        if event.name == "sync":
            if self.replica.take(event.data) is None:
                self.resets += event.data["reset"]
                assert event.id == f"{self.replica.epoch}:{self.replica.revision}"
            else:
                assert event.id is None
        elif event.name == "change":
            assert event.data["from"] == self.replica.revision, "ordered, unique, gapless"
            assert self.replica.apply(event.data) == "applied"
            assert event.id == f"{self.replica.epoch}:{self.replica.revision}"
            self.revisions += [write["revision"] for write in event.data["writes"]]
        elif event.name == "bookmark":
            if "digest" in event.data:
                assert self.replica.proves(event.data)
            else:
                assert (event.data["epoch"], event.data["revision"]) == (self.replica.epoch, self.replica.revision)
