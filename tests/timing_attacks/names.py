"""Time known and unknown names alternately on one connection, and measure how well their times tell them apart.

The area under the ROC curve is the chance that a known name takes longer than an unknown one: 0.5 means no information.
"""

import http.client
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.live_server import DEADLINE, PASSWORD, Server
from tests.timing_attacks.mailbox import Mailbox

HERE = Path(__file__).parent
PEOPLE = 10
WARM_UP = 20
WRONG = "not the passphrase at all"

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "sign_in": ("sign_in", {"password": WRONG, "token": True}),
    "recover by code": ("recover", {"code": "AAAAAA-BBBBBB-CCCCCC-DDDDDD", "new_password": "yet another passphrase"}),
    "recover by mail": ("ask_recovery_mail", {}),
}


def measure(folder: Path, times: int, *, broken: bool = False) -> Iterator[tuple[str, float]]:
    """Yield the area for each call; for a `broken` server, of signing in only."""
    mailbox = Mailbox()
    launcher = HERE / "without_dummy.py" if broken else None
    server = Server(folder, launcher=launcher, RKV_SMTP_URL=mailbox.url).start()
    try:
        known = [f"known{n:02}" for n in range(PEOPLE)]
        unknown = [f"other{n:02}" for n in range(PEOPLE)]
        for name in known:
            _sign_up(server, name, mailbox)
        for call in ["sign_in"] if broken else CALLS:
            yield call, area(*_time(server, *CALLS[call], known, unknown, times))
    finally:
        server.close()
        mailbox.close()


def area(longer: list[float], shorter: list[float]) -> float:
    """Return the chance that one of `longer` is more than one of `shorter`; a tie counts half."""
    ranks: dict[float, list[int]] = {}
    for rank, value in enumerate(sorted(longer + shorter), 1):
        ranks.setdefault(value, []).append(rank)
    total = sum(sum(ranks[value]) / len(ranks[value]) for value in longer)
    return (total - len(longer) * (len(longer) + 1) / 2) / (len(longer) * len(shorter))


def _time(
    server: Server, call: str, given: dict[str, Any], known: list[str], unknown: list[str], times: int
) -> tuple[list[float], list[float]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(times + WARM_UP):
        # in random order: an after-effect of one must not be attributed to the other
        for which in random.sample((0, 1), 2):
            body = json.dumps({"username": random.choice((known, unknown)[which]), **given})
            began = time.perf_counter()
            connection.request("POST", f"/api/v1/{call}", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
            if turn >= WARM_UP:
                took[which].append(time.perf_counter() - began)
    connection.close()
    return took


def _sign_up(server: Server, name: str, mailbox: Mailbox) -> None:
    account = server.sign_up(name)
    assert account.http("set_email", password=PASSWORD, email=f"{name}@example.org").status_code == 204
    found = re.search(r"/account/email/([\w-]+)", mailbox.next())
    assert found is not None
    assert account.http("confirm_email", ticket=found[1]).status_code == 204
