"""SIGKILL at any moment: afterwards every acknowledged write is there, exactly once."""

import itertools
import queue
import threading
import time

import pytest
import requests
import socketio

from tests.crash_model import Script, Step, live
from tests.live_server import DEADLINE, Server
from tests.robustness.replica import digest_of

ROUNDS = 10
WRITERS = 4
# acknowledged writes before the server is killed; a different moment each time
BEFORE_KILL = [1, 40, 150, 3, 90, 400, 20, 250, 7, 600]
# the same for a tab that uses every kind of write
BEFORE_KILL_OF_A_SCRIPT = [60, 7, 120]
IN_FLIGHT = 16


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
        # unacknowledged writes may be there, but no write that was never sent
        assert found.items() <= sent.items()
        tab = account.open_tab(["websocket"])
        synced = tab.call("sync")
        assert synced["revision"] == len(found) == synced["keys"]
        # a retry of each write with an unknown outcome is applied once
        for op_id in sent.keys() - acknowledged.keys():
            answer = tab.call("set", key=op_id, value=sent[op_id], op_id=op_id)
            assert answer["ok"] and answer.get("replayed", False) == (op_id in found)
            acknowledged[op_id] = sent[op_id]
        assert tab.call("sync")["revision"] == len(sent)
        tab.close()
    assert len(acknowledged) >= sum(BEFORE_KILL[:ROUNDS])


def _write_until_killed(account, numbers, acknowledged, sent, moment):
    """Write from four tabs with eight sets in flight each, and kill the server at acknowledgement number `moment`."""
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


def test_state_after_each_kill_equals_the_model_including_undos_and_moves(own_server):
    """One tab's writes take effect in order, so the space must equal the model at the revision found."""
    account, script = own_server.sign_up("alice"), Script("killed")
    waiting: dict[int, Step] = {}
    numbers, seen = itertools.count(), set()
    for moment in BEFORE_KILL_OF_A_SCRIPT:
        tab, answers = account.open_tab(["websocket"]), queue.SimpleQueue()
        found = tab.call("sync")["revision"]
        # errors are not remembered: after further writes, a repeated request may get another answer
        waiting = {n: step for n, step in waiting.items() if isinstance(step.answer, dict) or step.revision >= found}
        # requests with an unknown outcome are sent again, in the same order
        for number, step in waiting.items():
            _send(tab, number, step, answers)
        for _ in range(moment):
            while len(waiting) < IN_FLIGHT:
                number = next(numbers)
                waiting[number] = script.next()
                _send(tab, number, waiting[number], answers)
            number, answer = answers.get(timeout=DEADLINE)
            step = waiting.pop(number)
            _compare(step, answer, number, found)
            if answer["ok"]:
                acknowledged = step.revision
            seen.add((step.verb, answer["ok"]))
        own_server.kill()
        tab.next("disconnect")
        tab.close()
        own_server.start()
        _check_all(account, script.model, at_least=acknowledged)
    assert {(verb, True) for verb in ("set", "delete", "batch", "restore", "undo", "move", "copy")} < seen
    assert {("restore", False), ("undo", False), ("move", False)} < seen


def _send(tab, number, step, answers):
    tab.client.emit(step.verb, step.payload, callback=lambda answer: answers.put((number, answer)))


def _compare(step, answer, number, found):
    """Compare an answer with the step; `found` is the space's revision when the request was sent (again)."""
    replayed = answer.pop("replayed", False)
    if isinstance(step.answer, str):
        assert (number, answer.get("error", answer)["code"]) == (number, step.answer)
    else:
        assert (number, answer) == (number, {"ok": True, **step.answer})
        assert not step.writes or replayed == (step.answer["revision"] <= found)


def _check_all(account, model, *, at_least):
    synced = account.http("sync").json()
    revision = synced["revision"]
    assert revision >= at_least
    entries = account.http("list").json()["entries"]
    told = {entry["key"]: (entry["value"], entry["revision"], entry["version"]) for entry in entries}
    there = live(model.states[revision])
    assert told == {key: (row.value, row.revision, row.version) for key, row in there.items()}
    digest = sum(digest_of(key, row.revision) for key, row in there.items()) % 2**32
    assert (synced["keys"], synced["digest"]) == (len(there), digest)
    writes = account.http("history", limit=1000).json()["writes"]
    assert [write["revision"] for write in writes] == [*range(revision, 0, -1)]
    for write in writes:
        assert {op["key"]: op.get("value") for op in write["ops"]} == model.writes[write["revision"]]
        assert write.get("undoes") == model.undoes.get(write["revision"])


def test_expiry_around_a_kill_deletes_entries_once_and_can_be_undone(own_server):
    account = own_server.sign_up("alice")
    ops = [{"op": "set", "key": f"t/{n}", "value": n, "ttl": 0.5} for n in range(3)]
    revision = account.http("batch", ops=[*ops, {"op": "set", "key": "stays", "value": 0}]).json()["revision"]
    own_server.kill()
    own_server.start()
    deadline = time.monotonic() + DEADLINE
    while (synced := account.http("sync").json())["keys"] > 1:
        assert time.monotonic() < deadline
    assert synced["digest"] == digest_of("stays", revision)
    expired, written = account.http("history").json()["writes"]
    assert (expired["origin"]["via"], written["revision"]) == ("expiry", revision)
    assert [op["op"] for op in expired["ops"]] == ["delete"] * 3
    assert account.http("undo", revision=expired["revision"]).json()["count"] == 3
    own_server.kill()
    own_server.start()
    entries = account.http("list").json()["entries"]
    assert [(entry["key"], entry["expires_at"]) for entry in entries] == [
        (key, None) for key in ("stays", "t/0", "t/1", "t/2")
    ]


def test_a_second_server_on_the_same_data_folder_refuses_to_start(own_server):
    second = Server(own_server.data_dir)
    with pytest.raises(AssertionError, match="did not start"):
        second.start()
    assert second.process.wait(timeout=DEADLINE) != 0
    said = "".join(second.output)
    assert "Traceback" not in said
    assert str(own_server.data_dir) in said
    assert requests.get(f"{own_server.url}/healthz", timeout=DEADLINE).status_code == 200


def test_a_graceful_stop_notifies_tabs_and_loses_no_acknowledged_write(own_server):
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
