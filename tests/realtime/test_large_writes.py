"""One write of eight MiB, which is one frame, on a real server: it reaches every tab over each transport."""

import itertools
import json
from collections.abc import Iterator

import pytest
import requests

from tests.live_server import DEADLINE, Account, Tab

KEYS, BYTES = 128, 65_000


@pytest.fixture
def full(alice) -> Account:
    """A user with nearly as much under `a/` as one write may hold."""
    for start in range(0, KEYS, 8):
        ops = [{"op": "set", "key": f"a/{n:03}", "value": f"{n}" + "x" * (BYTES - 10)} for n in range(start, start + 8)]
        assert alice.http("batch", ops=ops).json()["ok"]
    return alice


def next_copy(tab: Tab) -> list[dict]:
    """Return the ops of the next change that writes under `b/`."""
    while True:
        change = tab.next("change")
        for write in change["writes"]:
            if write["ops"][0]["key"].startswith("b/"):
                assert len(change["writes"]) == 1
                return write["ops"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_write_of_eight_mebibytes_reaches_every_tab_at_once(full, transport):
    tab, other = full.open_tab([transport]), full.open_tab([transport])
    for each in (tab, other):
        assert each.call("sync")["ok"]
    for n in range(3):
        answer = tab.call("copy", **{"from": "a/", "to": f"b/{n}/"})
        assert answer["ok"] and answer["count"] == KEYS
        for each in (tab, other):
            ops = next_copy(each)
            assert [op["key"] for op in ops] == [f"b/{n}/{i:03}" for i in range(KEYS)]
            assert sum(len(op["value"]) for op in ops) > KEYS * (BYTES - 10)
    # no tab was disconnected meanwhile
    for each in (tab, other):
        assert each.call("get", key="b/0/000")["ok"]
        assert "disconnect" not in {each.heard.get_nowait()[0] for _ in range(each.heard.qsize())}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_sync_does_not_split_a_write_of_eight_mebibytes(full, transport):
    assert full.http("copy", **{"from": "a/", "to": "b/"}).json()["count"] == KEYS
    tab = full.open_tab([transport])
    page, pages, keys = tab.call("sync"), 0, set()
    while True:
        assert page["ok"]
        pages += 1
        for write in page["writes"]:
            under = [op for op in write["ops"] if op["key"].startswith("b/")]
            assert len(under) in (0, KEYS)
            keys |= {op["key"] for op in write["ops"]}
        if page["next"] is None:
            break
        page = tab.call("sync", next=page["next"])
    assert len(keys) == page["keys"] == 2 * KEYS and pages > 2
    # and over HTTP
    position = {"epoch": page["epoch"], "since": page["revision"] - 1}
    answer = requests.get(f"{full.server.url}/api/v1/sync", params=position, headers=full.headers, timeout=DEADLINE)
    (write,) = answer.json()["writes"]
    assert len(write["ops"]) == KEYS


def test_event_stream_does_not_split_a_write_of_eight_mebibytes(full):
    stream = requests.get(f"{full.server.url}/api/v1/stream", headers=full.headers, stream=True, timeout=DEADLINE)
    lines = stream.iter_lines(chunk_size=1 << 20)
    assert next(line for line in lines if line.startswith(b"event: bookmark"))
    for n in range(2):
        assert full.http("copy", **{"from": "a/", "to": f"b/{n}/"}).json()["count"] == KEYS
    heard = [json.loads(data[6:]) for data in itertools.islice(_changes(lines), 2)]
    assert [len(write["ops"]) for change in heard for write in change["writes"]] == [KEYS, KEYS]
    stream.close()


def _changes(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the data of each change."""
    for line in lines:
        if line == b"event: change":
            yield next(line for line in lines if line.startswith(b"data: "))


def test_write_above_eight_mebibytes_is_refused_with_limit_and_actual_size(full):
    assert full.http("set", key="a/more", value="x" * BYTES).json()["ok"]
    assert full.http("set", key="a/yet more", value="x" * BYTES).json()["ok"]
    answer = full.http("move", **{"from": "a/", "to": "b/"})
    said = json.loads(answer.text)
    assert (answer.status_code, said["code"], said["limit"]) == (413, "too_large", 8 * 1024 * 1024)
    assert said["limit"] < said["actual"] < said["limit"] + 2 * BYTES
