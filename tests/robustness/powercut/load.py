"""Tabs that write until the power goes; the server's answers until then go into the ledger."""

import json
import random
import threading

from realtime_kv_client import ClientError, Connection, ConnectionLost, HttpClient, Refused
from realtime_kv_client.socketio import Answer
from tests.live_server import PASSWORD
from tests.robustness.powercut.ledger import Ledger, Ops, Words

USERS = 3
TABS = 2
KEYS = 400


class Load:
    """Signs up missing users, then writes from several tabs at once."""

    def __init__(self, url: str, ledger: Ledger, chance: random.Random) -> None:
        self._site = HttpClient(url)
        self._ledger = ledger
        self._chance = chance

    def begin(self) -> list[threading.Thread]:
        """Start the writing tabs. Their threads end when the server is gone."""
        try:
            while len(self._ledger.users) < USERS:
                self._sign_up(f"user{len(self._ledger.users)}-{self._chance.randrange(10**6)}")
        except ClientError:
            # the power went during the sign-up: nobody was told that the account exists
            return []
        threads = []
        for words in self._ledger.users.values():
            for _ in range(TABS):
                in_flight = self._chance.choice([1, 4, 32, 32])
                writer = Writer(self._site, words, random.Random(self._chance.random()), in_flight)
                threads.append(threading.Thread(target=writer.run, daemon=True))
        for thread in threads:
            thread.start()
        return threads

    def _sign_up(self, username: str) -> None:
        answer = self._site.post("sign_up", {"username": username, "password": PASSWORD, "token": True})
        self._ledger.users[username] = Words(username, answer["token"])


class Writer:
    """One tab with a number of writes in flight, as fast as they are answered."""

    def __init__(self, site: HttpClient, words: Words, chance: random.Random, in_flight: int) -> None:
        self._site = site
        self._words = words
        self._chance = chance
        self._in_flight = in_flight
        self._unanswered = 0

    def run(self) -> None:
        tab = None
        try:
            tab = Connection(self._site, self._words.token, "websocket", lambda *_: None)
            while True:
                while self._unanswered < self._in_flight:
                    self._write(tab)
                tab.step()
        except (ConnectionLost, Refused):
            # a lost session is found when the server has started again
            pass
        finally:
            if tab is not None:
                tab.close()

    def _write(self, tab: Connection) -> None:
        op_id = f"{self._chance.getrandbits(64):x}"
        draw = self._chance.random()
        if draw < 0.8:
            key, value = self._key(), self._value(op_id)
            verb, payload, ops = "set", {"key": key, "value": value}, [(key, text(value))]
        elif draw < 0.9:
            key = self._key()
            verb, payload, ops = "delete", {"key": key}, [(key, None)]
        else:
            keys = self._chance.sample(range(KEYS), 3)
            values = [self._value(op_id) for _ in keys]
            ops = [(f"k/{key}", text(value)) for key, value in zip(keys, values, strict=True)]
            batch = [{"op": "set", "key": f"k/{key}", "value": value} for key, value in zip(keys, values, strict=True)]
            verb, payload = "batch", {"ops": batch}
        self._words.sent.add(op_id)
        self._unanswered += 1
        tab.call(verb, {**payload, "op_id": op_id}, lambda answer: self._answered(op_id, ops, answer))

    def _answered(self, op_id: str, ops: Ops, answer: Answer) -> None:
        self._unanswered -= 1
        if not answer["ok"]:
            self._words.refusals.append(answer["error"]["message"])
            return
        if answer.get("existed", True):
            self._words.acknowledged[answer["revision"]] = (op_id, ops)

    def _key(self) -> str:
        return f"k/{self._chance.randrange(KEYS)}"

    def _value(self, op_id: str) -> dict[str, str]:
        return {"id": op_id, "text": "x" * self._chance.choice([0, 20, 200, 2000])}


def text(value: object) -> str:
    """Return a value as the database stores it."""
    return json.dumps(value, separators=(",", ":"))
