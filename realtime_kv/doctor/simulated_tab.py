"""One tab of the check, on its own thread: it writes, watches, is cut off, reconnects and verifies its copy.

Writes without an answer when the connection is lost are sent again with the same `op_id`, so their outcome becomes
known.
"""

import random
import time
from dataclasses import dataclass
from typing import Any

from realtime_kv.doctor.results import Results
from realtime_kv_client import Connection, ConnectionLost, HttpClient, Replica
from realtime_kv_client.socketio import Answer

KEYS = 48
IN_FLIGHT = 4
# time for a restarting server to come back
AWAY_SECONDS = 20.0
LATE_SECONDS = 10.0
TRIES = 5

Ops = list[dict[str, Any]]


@dataclass
class Saying:
    """A write without an answer yet."""

    op_id: str
    verb: str
    payload: dict[str, Any]
    ops: Ops


class SimulatedTab:
    """A tab that reconnects when its connection is lost."""

    def __init__(self, number: int, server: HttpClient, token: str, transport: str, ledger: Results) -> None:
        self.name = f"tab {number} ({transport})"
        self.replica = Replica()
        self._number = number
        self._server = server
        self._token = token
        self._transport = transport
        self._ledger = ledger
        self._random = random.Random()  # noqa: S311 (nothing secret is drawn)
        self._connection: Connection | None = None
        self._said = 0
        self._heard = 0.0
        self._unanswered: dict[str, Saying] = {}
        self._bookmarks: list[dict[str, Any]] = []

    def write_until(self, end: float) -> None:
        """Write and watch until `end`, then until every write is answered; reconnects when cut off."""
        self._heard = time.monotonic()
        while time.monotonic() < end or self._unanswered:
            try:
                connection = self._connected()
                while len(self._unanswered) < IN_FLIGHT and time.monotonic() < end:
                    self._say(connection, self._invent())
                if self._unanswered:
                    connection.step()
            except ConnectionLost:
                self.close()
                if time.monotonic() - self._heard > AWAY_SECONDS:
                    raise
                time.sleep(0.02)

    def catch_up(self, revision: int) -> None:
        """Wait for the changes up to `revision`, as any tab does; syncs only if the connection is lost."""
        end = time.monotonic() + LATE_SECONDS
        while self.replica.revision < revision:
            if time.monotonic() > end:
                self._ledger.complain("missed", f"{self.name} was never told what came after {self.replica.revision}.")
                return
            try:
                connection = self._connected()
                if self.replica.revision < revision:
                    # a request keeps `step` from blocking forever if the change does not come
                    connection.ask("get", {"key": "doctor/none"})
            except ConnectionLost:
                self.close()

    def prove(self) -> bool:
        """Return whether this copy matches the server's digest."""
        for _ in range(TRIES):
            try:
                answer = self._connected().ask("sync", self.replica.position())
                return bool(answer["ok"]) and not answer["writes"] and self.replica.proves(answer)
            except ConnectionLost:
                self.close()
        raise ConnectionLost("nobody answers")

    def cut(self) -> None:
        """Cut the connection; may be called from another thread."""
        if (connection := self._connection) is not None:
            connection.cut()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # connection

    def _connected(self) -> Connection:
        if self._connection is None:
            # changes may be pushed before the sync is requested
            self.replica.begin_sync()
            connection = Connection(self._server, self._token, self._transport, self._on_event)
            self._connection = connection
            self._ledger.count("connections")
            self._sync(connection)
            for saying in self._unanswered.values():
                self._ledger.sent.pop(saying.op_id, None)
                self._send(connection, saying)
        return self._connection

    def _sync(self, connection: Connection) -> None:
        self._check(connection.sync(self.replica))
        for change in self.replica.end_sync():
            self._apply(change)

    # received changes

    def _on_event(self, name: str, data: Any) -> None:
        if name == "change":
            self._ledger.count("changes", len(data["writes"]))
            self._apply(data)
        elif name == "bookmark" and data["revision"] == self.replica.revision and not self.replica.is_syncing:
            self._ledger.count("bookmarks")
            self._check(data)

    def _check(self, bookmark: dict[str, Any]) -> None:
        if not self.replica.proves(bookmark):
            self._ledger.complain("different", f"{self.name} does not hold what its digest says it should.")

    def _apply(self, change: dict[str, Any]) -> None:
        verdict = self.replica.apply(change)
        if verdict == "gap":
            self._ledger.complain(
                "missed",
                f"{self.name} was at revision {self.replica.revision} when it was told what follows {change['from']}.",
            )
            # a sync would repair it; the next connection does
            raise ConnectionLost("a gap")
        if verdict == "applied":
            self._measure(change["writes"])

    def _measure(self, writes: list[dict[str, Any]]) -> None:
        now = time.perf_counter()
        for write in writes:
            for op in write["ops"]:
                if op["op"] == "set" and op["value"]["by"] != self._number:
                    sent = self._ledger.sent.get(op["value"]["id"])
                    if sent is not None:
                        self._ledger.seen_seconds.append(now - sent)

    # writes

    def _invent(self) -> Saying:
        self._said += 1
        op_id = f"{self._number}.{self._said}"
        draw = self._random.random()
        if draw < 0.7:
            op = self._set(self._key(), op_id)
            return Saying(op_id, "set", {"key": op["key"], "value": op["value"]}, [op])
        if draw < 0.85:
            op = {"op": "delete", "key": self._key()}
            return Saying(op_id, "delete", {"key": op["key"]}, [op])
        numbers = self._random.sample(range(KEYS), 4)
        ops = [self._set(f"doctor/{n}", op_id) for n in numbers[1:]]
        ops.append({"op": "delete", "key": f"doctor/{numbers[0]}"})
        return Saying(op_id, "batch", {"ops": ops}, ops)

    def _key(self) -> str:
        return f"doctor/{self._random.randrange(KEYS)}"

    def _set(self, key: str, op_id: str) -> dict[str, Any]:
        words = "·" * self._random.randrange(60)
        return {"op": "set", "key": key, "value": {"by": self._number, "id": op_id, "words": words}}

    def _say(self, connection: Connection, saying: Saying) -> None:
        self._unanswered[saying.op_id] = saying
        self._ledger.sent[saying.op_id] = time.perf_counter()
        self._send(connection, saying)

    def _send(self, connection: Connection, saying: Saying) -> None:
        payload = {**saying.payload, "op_id": saying.op_id}
        connection.call(saying.verb, payload, lambda answer: self._answered(saying, answer))

    def _answered(self, saying: Saying, answer: Answer) -> None:
        del self._unanswered[saying.op_id]
        if not answer["ok"]:
            error = answer["error"]
            if error["code"] == "unavailable":
                # the outcome is unknown: it is sent again after the next connect
                self._unanswered[saying.op_id] = saying
                raise ConnectionLost(error["message"])
            self._ledger.complain("wrong", f"{self.name}: a {saying.verb} was refused: {error['message']}")
            return
        self._heard = time.monotonic()
        if answer.get("existed") is False:
            return
        self._ledger.acknowledged(answer["revision"], saying.ops)
        self._ledger.count("writes")
        if "replayed" in answer:
            self._ledger.count("replayed")
        elif (sent := self._ledger.sent.get(saying.op_id)) is not None:
            self._ledger.ack_seconds.append(time.perf_counter() - sent)
            # a retry may be answered before its change is synced; a first request may not
            if not self.replica.is_syncing and self.replica.revision < answer["revision"]:
                self._ledger.complain("wrong", f"{self.name} was acknowledged a write before it was told of it.")
