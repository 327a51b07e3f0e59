"""A well-behaved user with six tabs, in a process of its own: `… bystander TEMPLATE PORT SECONDS`.

It calls set, get, list and me, each at a steady pace, and measures the latency of every answer and every push. At the
end it ends a session, as does the owner of the attacked account.
"""

import asyncio
import http.client
import json
import sys
import time
from pathlib import Path

from tests.fairness.data import Person, Template
from tests.robustness.wire import Gone, WebSocketWire

TABS = 6
SET_SECONDS = 0.02
READ_SECONDS = 0.05
ME_SECONDS = 0.1
TIMEOUT_SECONDS = 60.0


class Bystander:
    """A user that measures; `samples` are milliseconds by operation."""

    def __init__(self, port: int, person: Person) -> None:
        self.samples: dict[str, list[float]] = {"set": [], "push": [], "get": [], "list": [], "me": []}
        self.errors: list[str] = []
        self.tabs: list[WebSocketWire] = []
        self._port, self._person = port, person
        self._waiting: dict[int, asyncio.Future[dict]] = {}
        self._sent_at: dict[int, float] = {}
        self._ids = 0

    async def run(self, seconds: float) -> None:
        self.tabs = [await WebSocketWire.open(self._port, self._person.token) for _ in range(TABS)]
        listeners = [asyncio.ensure_future(self._listen(number)) for number in range(TABS)]
        end = time.monotonic() + seconds
        await asyncio.gather(self._write(end), self._read(end), asyncio.to_thread(self._me, end))
        for listener in listeners:
            listener.cancel()

    async def _write(self, end: float) -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            self._sent_at[number] = time.perf_counter()
            await self._call(0, "set", {"key": f"v/{number % 50}", "value": number})
            await asyncio.sleep(SET_SECONDS)

    async def _read(self, end: float) -> None:
        while time.monotonic() < end:
            await self._call(1, "get", {"key": "s/000007"})
            await self._call(2, "list", {"prefix": "v/", "limit": 20})
            await asyncio.sleep(READ_SECONDS)

    def _me(self, end: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                connection.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {self._person.token}"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    self.errors.append(f"me {answer.status} {body[:80]!r}")
            except OSError as error:
                self.errors.append(f"me {error}")
                connection.close()
            self.samples["me"].append((time.perf_counter() - began) * 1000)
            time.sleep(ME_SECONDS)

    async def _call(self, tab: int, verb: str, payload: dict) -> None:
        self._ids += 1
        future = self._waiting[self._ids] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.tabs[tab].call(self._ids, verb, json.dumps(payload).encode())
        try:
            answer = await asyncio.wait_for(future, TIMEOUT_SECONDS)
            if not answer["ok"]:
                self.errors.append(f"{verb} {answer['error']['code']}")
        except TimeoutError:
            self.errors.append(f"{verb} unanswered")
        self.samples[verb].append((time.perf_counter() - began) * 1000)

    async def _listen(self, number: int) -> None:
        try:
            while True:
                for name, data in await self.tabs[number].receive():
                    self._hear(number, name, data)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except (Gone, ValueError, AssertionError) as error:
            self.errors.append(f"tab {number}: {error}")

    def _hear(self, number: int, name: str | int, data: bytes) -> None:
        if isinstance(name, int):
            if name in self._waiting:
                self._waiting.pop(name).set_result(json.loads(data))
        elif name == "change" and number == TABS - 1:
            now = time.perf_counter()
            for write in json.loads(data)["writes"]:
                value = write["ops"][0].get("value")
                if value in self._sent_at:
                    self.samples["push"].append((now - self._sent_at.pop(value)) * 1000)


def end_session(port: int, token: str, body: dict, call: str) -> float:
    """End a session and return the milliseconds that it took."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", f"/api/v1/{call}", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status in {200, 204}, answer.status
    return (time.perf_counter() - began) * 1000


def main(template: str, port: str, seconds: str) -> None:
    """Print the measurements as JSON."""
    people = Template.load(Path(), Path(template)).people
    bystander = Bystander(int(port), people[-1])
    asyncio.run(bystander.run(float(seconds)))
    endings = [
        end_session(int(port), people[-1].owner, {}, "end_other_sessions"),
        # the owner of the attacked account ends the attacker's session
        end_session(int(port), people[0].owner, {"id": people[0].session}, "end_session"),
    ]
    print(
        json.dumps(
            {
                "samples": bystander.samples,
                "ending": max(endings),
                "errors": bystander.errors[:10],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
