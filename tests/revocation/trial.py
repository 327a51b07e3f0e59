"""One trial: tabs of a session write, the session ends at some moment, and all observers are checked."""

import random
import time
from dataclasses import dataclass

import requests

from tests.live_server import DEADLINE, PASSWORD, Account, fresh_name
from tests.revocation.endings import ENDINGS, Scene, call
from tests.revocation.services import Services
from tests.revocation.tab import WritingTab

# the time after the ending is durable in which a push may still arrive
PUSH_SECONDS = 1.0


@dataclass
class Outcome:
    """The findings of one trial; `problems` is empty if the promise was kept."""

    ending: str
    problems: list[str]
    last_push: float
    shut_out: float


def trial(services: Services, rng: random.Random, only: str | None = None) -> Outcome:
    """End a session in a random way at a random moment."""
    name = only or rng.choice(sorted(ENDINGS))
    end, reason = ENDINGS[name]
    scene = _scene(services, token=name == "revoke_token")
    transports = [rng.choice(["websocket", "websocket", "polling"]) for _ in range(rng.randint(1, 3))]
    tabs = [WritingTab(scene.ending, transport, f"t{n}") for n, transport in enumerate(transports)]
    bystander = WritingTab(scene.other, "websocket", "other")
    for tab in tabs:
        assert tab.answered.wait(DEADLINE)
    time.sleep(rng.random() * 0.05)  # the seed decides the moment as well

    end(scene)
    ended_at = time.monotonic()
    session = services.sessions(scene.ending.username)[scene.ending_id]
    problems = []
    for tab in tabs:
        if not tab.join(DEADLINE):
            problems.append("a tab was not shut out")
        if tab.reason != reason:
            problems.append(f"a tab heard {tab.reason}, not {reason}")
        if tab.refused - {"unauthenticated"}:
            problems.append(f"a write was refused with {tab.refused}")
    last_push = max(tab.last_push for tab in tabs) - ended_at
    shut_out = max((tab.closed_at or time.monotonic()) for tab in tabs) - ended_at
    if last_push > PUSH_SECONDS:
        problems.append(f"a push arrived {last_push:.2f} s after the ending")
    noted = services.ending(session)
    if noted is None or noted[0] != reason:
        problems.append(f"the server ended it as {noted}, not {reason}")
    elif late := services.written_behind(noted[1], scene.ending_id):
        problems.append(f"{len(late)} writes were accepted after the ending had committed")
    if scene.ending.http("get", key="k").status_code != 401:
        problems.append("the token is still good")
    bystander.close()
    for tab in tabs:
        tab.close()
    return Outcome(name, problems, last_push, shut_out)


def _scene(services: Services, token: bool) -> Scene:
    server, username = services.server, fresh_name("ender")
    answer = requests.post(
        f"{server.url}/api/v1/sign_up",
        json={"username": username, "password": PASSWORD, "token": True},
        timeout=DEADLINE,
    ).json()
    other = Account(server, username, answer["token"])
    if token:
        made = call(other, "create_token", name="a program").json()
        ending = Account(server, username, made["token"])
    else:
        again = requests.post(
            f"{server.url}/api/v1/sign_in",
            json={"username": username, "password": PASSWORD, "token": True},
            timeout=DEADLINE,
        ).json()
        ending = Account(server, username, again["token"])
    ending_id = requests.get(f"{server.url}/api/v1/me", headers=ending.headers, timeout=DEADLINE).json()["session"][
        "id"
    ]
    return Scene(ending, other, ending_id, answer["recovery_codes"], services.act)
