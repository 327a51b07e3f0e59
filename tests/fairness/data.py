"""The data set of the attacks: made once without limits, then copied for each trial."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.live_server import DEADLINE, Server

USERS = 10
# the first user's space is large, which makes reads expensive
MANY_KEYS = 64_000
SOME_KEYS = 4_000


@dataclass(frozen=True)
class Person:
    """A user with two sessions and two tokens; `session` is the public id of the first session."""

    name: str
    token: str
    owner: str
    reading: str
    limited: str
    session: str


@dataclass(frozen=True)
class Template:
    """A data folder and its users; `moved` is the revision of a move of 1 000 keys with 8 KB each."""

    folder: Path
    people: list[Person]
    moved: int

    def copy(self, folder: Path) -> Path:
        shutil.copytree(self.folder, folder)
        return folder

    def save(self, file: Path) -> None:
        file.write_text(json.dumps([self.moved, [vars(person) for person in self.people]]))

    @classmethod
    def load(cls, folder: Path, file: Path) -> "Template":
        moved, people = json.loads(file.read_text())
        return cls(folder, [Person(**person) for person in people], moved)


def make(folder: Path, *, keys: int = MANY_KEYS) -> Template:
    """Fill a new data folder. The last person is the bystander."""
    server = Server(folder).start()
    try:
        people = [_person(server, f"person{number}") for number in range(USERS + 1)]
        first = people[0]
        for person in people:
            _fill(server, person, keys if person is first else min(keys, SOME_KEYS), 10 if person is first else 1)
        for start in range(0, 1000, 100):
            _call(server, first.token, "batch", ops=_sets("from/", start, start + 100, "y" * 8000))
        moved = _call(server, first.token, "move", **{"from": "from/", "to": "to/"})["revision"]
        assert server.stop() == 0
    finally:
        server.close()
    return Template(folder, people, moved)


def _person(server: Server, name: str) -> Person:
    token = server.sign_up(name).token
    owner = _post(server, "sign_in", "", username=name, password="a-rather-Long-passphrase", token=True)["token"]
    session = requests.get(
        f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE
    ).json()["session"]["id"]
    reading = _post(server, "create_token", token, name="reading", scope="read", prefix="s/")["token"]
    limited = _post(server, "create_token", token, name="limited", scope="write", prefix="p/")["token"]
    return Person(name, token, owner, reading, limited, session)


def _fill(server: Server, person: Person, keys: int, versions: int) -> None:
    for start in range(0, keys, 128):
        _call(server, person.token, "batch", ops=_sets("s/", start, min(keys, start + 128), None))
    _call(server, person.token, "batch", ops=_sets("p/", 0, 100, "p"))
    for _ in range(versions):
        _call(server, person.token, "batch", ops=_sets("big/", 0, 12, "x" * 60_000))


def _sets(prefix: str, start: int, end: int, value: object) -> list[dict[str, object]]:
    return [
        {"op": "set", "key": f"{prefix}{number:06}", "value": number if value is None else value}
        for number in range(start, end)
    ]


def _call(server: Server, bearer: str, verb: str, /, **payload: object) -> dict[str, int]:
    answer = _post(server, verb, bearer, **payload)
    assert answer["ok"], answer
    return answer


def _post(server: Server, call: str, bearer: str, /, **payload: object) -> dict:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return requests.post(f"{server.url}/api/v1/{call}", json=payload, headers=headers, timeout=DEADLINE).json()


def disk_usage(folder: Path) -> str:
    """Return the size of a folder in a human-readable form."""
    return subprocess.run(["du", "-sh", str(folder)], capture_output=True, text=True, check=True).stdout.split()[0]
