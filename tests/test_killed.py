"""SIGKILL at any moment: what was acknowledged is there afterwards, once."""

import itertools
import threading

import pytest
import requests
import socketio

from tests.running import DEADLINE, Server

ROUNDS = 10
WRITERS = 4
# acknowledged writes before the server is killed; a different moment each time
BEFORE_KILL = [1, 40, 150, 3, 90, 400, 20, 250, 7, 600]


@pytest.fixture
def own_server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


def test_ten_kills_under_load_lose_no_acknowledged_write(own_server):
    account = own_server.sign_up("alice")
    acknowledged: dict[str, int] = {}
    sent: dict[str, int] = {}
    numbers = itertools.count()
    for moment in BEFORE_KILL[:ROUNDS]:
        _write_until_killed(account, numbers, acknowledged, sent, moment)
        own_server.start()
        found = _everything(account)
        assert acknowledged.items() <= found.items()
        # what was not acknowledged may be there, but nothing that was never sent
        assert found.items() <= sent.items()
        tab = account.open_tab(["websocket"])
        synced = tab.call("sync")
        assert synced["revision"] == len(found) == synced["keys"]
        # a retry of everything that is unknown is applied once
        for op_id in sent.keys() - acknowledged.keys():
            answer = tab.call("set", key=op_id, value=sent[op_id], op_id=op_id)
            assert answer["ok"] and answer.get("replayed", False) == (op_id in found)
            acknowledged[op_id] = sent[op_id]
        assert tab.call("sync")["revision"] == len(sent)
        tab.close()
    assert len(acknowledged) >= sum(BEFORE_KILL[:ROUNDS])


def _write_until_killed(account, numbers, acknowledged, sent, moment):
    """Four tabs with eight sets in flight each; the kill comes with the acknowledgement that makes it `moment`."""
    enough, lock, count = threading.Event(), threading.Lock(), itertools.count(1)
    tabs = [account.open_tab(["websocket"]) for _ in range(WRITERS)]

    def send(tab):
        with lock:
            number = next(numbers)
            op_id = f"w{number}"
            sent[op_id] = number
        try:
            tab.client.emit(
                "set",
                {"key": op_id, "value": number, "op_id": op_id},
                callback=lambda answer: answered(tab, op_id, number, answer),
            )
        except socketio.exceptions.SocketIOError:
            pass

    def answered(tab, op_id, number, answer):
        assert answer["ok"]
        acknowledged[op_id] = number
        if next(count) == moment:
            enough.set()
        if not enough.is_set():
            send(tab)

    for tab in tabs:
        for _ in range(8):
            send(tab)
    assert enough.wait(DEADLINE)
    account.server.kill()
    for tab in tabs:
        tab.next("disconnect")
        tab.close()


def _everything(account):
    found, after = {}, {}
    while True:
        page = account.http("list", limit=1000, **after).json()
        found.update({entry["key"]: entry["value"] for entry in page["entries"]})
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def test_a_second_server_on_the_same_data_folder_refuses_to_start(own_server):
    second = Server(own_server.data_dir)
    with pytest.raises(AssertionError, match="did not start"):
        second.start()
    assert second.process.wait(timeout=DEADLINE) != 0
    said = "".join(second.output)
    assert "Traceback" not in said
    assert str(own_server.data_dir) in said
    assert requests.get(f"{own_server.url}/healthz", timeout=DEADLINE).status_code == 200


def test_a_graceful_stop_tells_the_tabs_and_loses_nothing(own_server):
    account = own_server.sign_up("alice")
    tab = account.open_tab(["websocket"])
    answers = []
    for n in range(200):
        tab.client.emit("set", {"key": f"{n}", "value": n}, callback=answers.append)
    tab.call("get", key="0")
    assert own_server.stop() == 0
    assert tab.next("notice")["kind"] == "restart"
    tab.next("disconnect")
    own_server.start()
    assert len(_everything(account)) >= len(answers)
