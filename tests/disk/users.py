"""The users of a run: one who writes as fast as the rates allow, in several ways at once, and modest ones."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import requests

from realtime_kv_client import Connection, HttpClient
from tests.live_server import DEADLINE, Account

Call = tuple[str, dict[str, Any]]

VALUE_BYTES = 60_000


def overwrite() -> Iterator[Call]:
    """Overwrite the same 17 keys, a MiB at a time: the quota shows 1 MB."""
    for n in itertools.count():
        text = f"{n:08}" * (VALUE_BYTES // 8)
        yield "batch", {"ops": [{"op": "set", "key": f"over/{k}", "value": text} for k in range(17)]}


def collect_receipts() -> Iterator[Call]:
    """Delete a missing key, each time with an op_id: no key, no history."""
    for n in itertools.count():
        yield "delete", {"key": "nothing", "op_id": f"{n:064}"}


def fill_trash() -> Iterator[Call]:
    """Create keys and delete them at once."""
    for n in itertools.count():
        yield "set", {"key": f"trash/{n}", "value": "x" * VALUE_BYTES}
        yield "delete", {"key": f"trash/{n}"}


class Writer:
    """A tab that makes one call after another until it is stopped, and counts its answers."""

    def __init__(self, account: Account, calls: Iterator[Call], pause: float = 0.0) -> None:
        self.answers: Counter[str] = Counter()
        self.messages: dict[str, str] = {}
        self.acknowledged: dict[str, Any] = {}
        self._account = account
        self._calls = calls
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        server = HttpClient(self._account.server.url, timeout=DEADLINE)
        # pushes are read and ignored
        tab = Connection(server, self._account.token, "websocket", lambda *_: None)
        for verb, payload in self._calls:
            if self._stop.is_set():
                break
            self._note(verb, payload, tab.ask(verb, payload))
            self._stop.wait(self._pause)
        tab.close()

    def _note(self, verb: str, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer["ok"]:
            self.answers["ok"] += 1
            ops = payload.get("ops", [{"op": verb, **payload}])
            for op in ops:
                self.acknowledged[op["key"]] = op.get("value")
            return
        error = answer.get("error", answer)
        name = error["code"] + (f" ({error['resource']})" if "resource" in error else "")
        self.answers[name] += 1
        self.messages[name] = error["message"]
        # a refused client does not retry at once
        self._stop.wait(0.05)


def write_modestly(name: str) -> Iterator[Call]:
    """Write fifty keys in turn."""
    for n in itertools.count():
        yield "set", {"key": f"{name}/{n % 50}", "value": {"n": n, "text": "y" * 200}}


def read_everything(account: Account) -> dict[str, Any]:
    """Return every key of a user, over HTTP."""
    found: dict[str, Any] = {}
    after: dict[str, str] = {}
    while True:
        page = account.http("list", limit=1000, **after).json()
        found.update({entry["key"]: entry["value"] for entry in page["entries"]})
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def lost(writer: Writer, found: dict[str, Any]) -> list[str]:
    """Return the keys that differ from the last acknowledged write; a deleted one must not be there."""
    return [key for key, value in writer.acknowledged.items() if found.get(key) != value]


def post(account: Account, path: str) -> requests.Response:
    return requests.post(f"{account.server.url}/api/v1/{path}", json={}, headers=account.headers, timeout=60)


ATTACKS: dict[str, Callable[[], Iterator[Call]]] = {
    "overwrites 1 MiB": overwrite,
    "deletes nothing, with op_id": collect_receipts,
    "creates and deletes": fill_trash,
}
