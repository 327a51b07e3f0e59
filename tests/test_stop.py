"""The graceful stop: tabs are notified, accepted requests are finished, and it always ends within ten seconds."""

import contextlib
import random
import signal
import socket
import threading
import time

import pytest
import requests

from realtime_kv.concurrency.runtime import ThreadedRuntime, WorkerPool
from realtime_kv.errors import Unavailable
from realtime_kv_client import Connection, ConnectionLost, HttpClient, Refused
from tests.live_server import DEADLINE, Server, Wire

STOP_SECONDS = 10
IN_FLIGHT = 64


@pytest.fixture
def own_server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


@pytest.fixture
def alice(own_server):
    account = own_server.sign_up("alice")
    yield account
    account.close()


def stop(server, number=signal.SIGTERM):
    """Stop the server; return the seconds it took, and check that it ended without errors."""
    begin = time.monotonic()
    server.process.send_signal(number)
    assert server.process.wait(timeout=DEADLINE) == 0
    seconds = time.monotonic() - begin
    # a starved machine may trigger the watchdog, but nothing must have failed
    assert not any(word in "".join(server.output) for word in ("Traceback", " ERROR ", " CRITICAL "))
    return seconds


class Writer:
    """A tab with writes in flight until it is disconnected; records the answers and notices."""

    def __init__(self, account, number):
        self.sent: set[str] = set()
        self.acknowledged: dict[str, int] = {}
        self.refused: list[str] = []
        self.told: list[str] = []
        self.busy = threading.Event()
        self._number = number
        self._tab = Connection(HttpClient(account.server.url), account.token, "websocket", self._on_event)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self):
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def _run(self):
        with contextlib.suppress(ConnectionLost):
            while True:
                while len(self.sent) - len(self.acknowledged) - len(self.refused) < IN_FLIGHT:
                    self._write()
                self._tab.step()
                if len(self.acknowledged) > 2 * IN_FLIGHT:
                    self.busy.set()
        self._tab.close()

    def _write(self):
        op_id = f"{self._number}.{len(self.sent)}"
        self.sent.add(op_id)
        payload = {"key": op_id, "value": op_id, "op_id": op_id}
        self._tab.call("set", payload, lambda answer: self._answered(op_id, answer))

    def _answered(self, op_id, answer):
        if answer["ok"]:
            self.acknowledged[op_id] = answer["revision"]
        else:
            assert answer["error"]["code"] == "unavailable"
            self.refused.append(op_id)

    def _on_event(self, name, data):
        if name == "notice":
            self.told.append(data["kind"])


class Narrow(HttpClient):
    """The connection of a tab whose kernel, like the tab, takes next to nothing."""

    def open_socket(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((self.host, self.port))
        return sock


def everything(account):
    found, request = {}, {}
    while True:
        page = account.http("sync", **request).json()
        found |= {op["key"]: write["revision"] for write in page["writes"] for op in write["ops"]}
        if page["next"] is None:
            return found, page
        request = {"next": page["next"]}


def check_nothing_is_lost(server, account, writers):
    server.start()
    found, page = everything(account)
    refused = set().union(*(writer.refused for writer in writers))
    acknowledged = {op_id: revision for writer in writers for op_id, revision in writer.acknowledged.items()}
    # the acknowledged writes are exactly the existing ones: no client has to guess
    assert acknowledged == found
    # each write has a key of its own: no revision was left out, and none was given twice
    assert sorted(found.values()) == [*range(1, page["revision"] + 1)]
    # a refused write was not written after all
    assert not found.keys() & refused


def test_repeated_stops_under_load_lose_no_acknowledged_write(own_server, alice):
    writers = []
    for round_ in range(3):
        busy = [Writer(alice, f"{round_}.{n}") for n in range(3)]
        writers += busy
        for writer in busy:
            assert writer.busy.wait(DEADLINE)
        time.sleep(random.random() / 10)
        assert stop(own_server) < STOP_SECONDS
        for writer in busy:
            writer.join()
            assert writer.told == ["restart"]
        check_nothing_is_lost(own_server, alice, writers)


def test_http_writes_during_a_stop_are_finished_or_refused(own_server, alice):
    stopping, answers = threading.Event(), {}

    def write(number):
        with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
            for n in range(10_000):
                body = {"key": f"{number}.{n}", "value": n}
                answer = session.post(
                    f"{own_server.url}/api/v1/set", json=body, headers=alice.headers, timeout=DEADLINE
                )
                answers[body["key"]] = answer.status_code
                if len(answers) > 100:
                    stopping.set()

    threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    assert stopping.wait(DEADLINE)
    assert stop(own_server) < STOP_SECONDS
    for thread in threads:
        thread.join(DEADLINE)
    assert {*answers.values()} <= {200, 503}
    own_server.start()
    found, _ = everything(alice)
    assert found.keys() == {key for key, status in answers.items() if status == 200}


def test_unresponsive_clients_cannot_delay_the_stop(own_server, alice):
    writers = [Writer(alice, n) for n in range(2)]
    with contextlib.ExitStack() as stack:
        # a tab that reads nothing of the large amount sent to it
        stack.enter_context(contextlib.closing(Connection(Narrow(own_server.url), alice.token, "websocket", print)))
        for n in range(12):
            assert alice.http("set", key=f"big{n}", value="x" * 60_000).json()["ok"]
        # one poller with a poll in progress, another without one, and a tab that answers nothing
        polling = stack.enter_context(contextlib.closing(Wire(alice, "polling")))
        stack.enter_context(contextlib.closing(Wire(alice, "polling")))
        stack.enter_context(contextlib.closing(Wire(alice, "websocket")))
        heard = []
        poller = threading.Thread(target=lambda: heard.append(polling.receive()), daemon=True)
        poller.start()
        # HTTP: half a request, half a body, and an idle keep-alive connection
        for text in ("GET /healthz HT", "POST /api/v1/set HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", own_server.port)))
            sock.sendall(text.encode())
        idle = stack.enter_context(requests.Session())
        assert idle.get(f"{own_server.url}/healthz", timeout=DEADLINE).status_code == 200
        for writer in writers:
            assert writer.busy.wait(DEADLINE)
        assert stop(own_server) < STOP_SECONDS
        poller.join(DEADLINE)
        assert not poller.is_alive()
    for writer in writers:
        writer.join()
        assert writer.told == ["restart"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_tabs_get_a_restart_notice_and_a_disconnect_that_lets_them_reconnect(own_server, alice, transport):
    tab = alice.open_tab([transport])
    tab.call("sync")
    assert stop(own_server) < STOP_SECONDS
    notice = tab.next("notice")
    assert (notice["kind"], notice["retry_after"] > 0) == ("restart", True)
    # no disconnect packet: it would tell the client library not to reconnect
    assert tab.next("disconnect") != "io server disconnect"


def test_idle_tabs_do_not_delay_the_stop_and_the_next_start_is_clean(own_server, alice):
    for n, number in enumerate((signal.SIGTERM, signal.SIGINT)):
        tab = alice.open_tab(["websocket"])
        assert tab.call("set", key=f"{n}", value=n)["revision"] == n + 1
        assert stop(own_server, number) < STOP_SECONDS
        # the write-ahead log has been written back: a copy of the one file is a complete copy
        assert not (own_server.data_dir / "realtime_kv.db-wal").exists()
        # the port is free, and the folder is no longer locked
        own_server.start()
    assert alice.http("list").json()["revision"] == 2


def test_second_stop_signal_changes_nothing(own_server, alice):
    writer = Writer(alice, 0)
    assert writer.busy.wait(DEADLINE)
    own_server.process.send_signal(signal.SIGTERM)
    assert stop(own_server, signal.SIGINT) < STOP_SECONDS
    writer.join()
    check_nothing_is_lost(own_server, alice, [writer])


def test_stop_during_startup_leaves_the_data_folder_usable(tmp_path):
    for wait in (0.1, 0.4, 0.8):
        server = Server(tmp_path / "data")
        starting = threading.Thread(target=_start_anyhow, args=(server,), daemon=True)
        starting.start()
        time.sleep(wait)
        server.process.terminate()
        assert server.process.wait(DEADLINE) in {0, -signal.SIGTERM}
        starting.join(DEADLINE)
        assert "Traceback" not in "".join(server.output)
    server = Server(tmp_path / "data").start()
    try:
        assert server.sign_up("alice").http("set", key="k", value=1).json()["ok"]
    finally:
        server.close()


def _start_anyhow(server):
    with contextlib.suppress(AssertionError):
        server.start()


def test_stopped_workers_refuse_new_tasks_instead_of_blocking():
    runtime = ThreadedRuntime()
    workers = WorkerPool(runtime, 1, name="worker")
    assert runtime.wait(workers.submit(lambda _: 1), DEADLINE) == 1
    workers.stop()
    with pytest.raises(Unavailable):
        workers.submit(lambda _: 1)
    runtime.stop()


def test_tabs_that_connect_during_a_stop_are_refused_and_do_not_delay_it(own_server, alice):
    writer = Writer(alice, 0)
    assert writer.busy.wait(DEADLINE)
    own_server.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while own_server.process.poll() is None:
        assert time.monotonic() < end
        with contextlib.suppress(ConnectionLost, Refused):
            Connection(HttpClient(own_server.url), alice.token, "websocket", lambda *_: None).close()
    assert own_server.process.returncode == 0
    writer.join()
