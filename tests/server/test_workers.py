"""Several workers on one port: real processes, real sockets and the stock clients."""

import contextlib
import http.client
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import socketio
import websocket

from tests.live_server import DEADLINE, ROOT
from tests.realtime.tools import eventually

TRANSPORTS = [["polling"], ["polling", "websocket"], ["websocket"]]
CLIENTS = 100
CALLS = 3
UNKNOWN = '"Session ID unknown."'
_READY = re.compile(r"Worker (\d+) is process (\d+)")


class Workers:
    """`echo_workers.py` in processes of their own."""

    def __init__(self, folder: Path, workers: int = 3, **options):
        options = {"workers": workers, "folder": str(folder / "workers"), **options}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.server.echo_workers", json.dumps(options)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        # process id by number, of the last worker with that number
        self.pids: dict[int, int] = {}
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            if match := _READY.match(line):
                self.pids[int(match[1])] = int(match[2])
            self.output.append(line)

    def wait_for(self, text, times=1):
        eventually(lambda: sum(text in line for line in self.output) >= times, DEADLINE)

    def wait_until_ready(self, times):
        """Wait until `times` workers have become ready since the start."""
        self.wait_for("is process", times)
        return self

    def stats(self, number):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request("GET", f"/socket.io/?stats=1&sid={number}-", headers={"Connection": "close"})
            figures = json.loads(connection.getresponse().read())
        # without the connection that asks
        figures["connections"] -= 1
        figures["descriptors"] -= 1
        return figures

    def close(self):
        self.process.kill()
        self.process.wait()
        for pid in self.pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join()


@pytest.fixture
def start(tmp_path):
    started = []

    def start_workers(workers=3, **options):
        started.append(Workers(tmp_path, workers, **options))
        return started[-1]

    yield start_workers
    for workers in started:
        workers.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three workers that no test kills."""
    workers = Workers(tmp_path_factory.mktemp("three")).wait_until_ready(3)
    yield workers
    workers.close()


def open_session(workers, number):
    """Return the sid of a new polling session of this worker, joined."""
    while True:
        opening = requests.get(f"{workers.url}/socket.io/?EIO=4&transport=polling", timeout=DEADLINE).text
        sid = json.loads(opening[1:])["sid"]
        url = f"{workers.url}/socket.io/?EIO=4&transport=polling&sid={sid}"
        if sid.startswith(f"{number}-"):
            assert requests.post(url, data="40", timeout=DEADLINE).text == "ok"
            assert requests.get(url, timeout=DEADLINE).text.startswith("40")
            return sid
        requests.post(url, data="1", timeout=DEADLINE)


def read_response(sock):
    """Return the status and the body of one response on a raw connection, and read no further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, f"the connection was closed after {head!r}"
        head += byte
    (length,) = re.findall(rb"content-length: (\d+)", head.lower())
    body = b""
    while len(body) < int(length):
        body += sock.recv(int(length) - len(body))
    return int(head.split()[1]), body.decode()


def has_answer(sock):
    return bool(select.select([sock], [], [], 0)[0])


def post(sid, body, ending=b""):
    head = f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + ending


# every way of connecting


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_every_official_client_is_answered_by_the_worker_of_its_session(three, transports):
    script = str(ROOT / "tests" / "server" / "socketio_clients.mjs")
    # the packages may be installed elsewhere, and linked
    node = ["node", "--preserve-symlinks", "--preserve-symlinks-main"]
    done = subprocess.run(
        [*node, script, three.url, str(CLIENTS), ",".join(transports), str(CALLS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    clients = json.loads(done.stdout)
    assert len(clients) == CLIENTS
    assert [client for client in clients if "error" in client] == []
    assert {client["transport"] for client in clients} == {transports[-1]}
    for client in clients:
        assert [answer["data"] for answer in client["answers"]] == [f"{client['n']}-{call}" for call in range(CALLS)]
        assert {(answer["sid"], answer["worker"]) for answer in client["answers"]} == {
            (client["sid"], int(client["sid"].split("-")[0]))
        }
    assert set(Counter(client["answers"][0]["worker"] for client in clients)) == {1, 2, 3}


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_every_python_client_is_answered_by_the_worker_of_its_session(three, transports):
    def run(n):
        client = socketio.Client(reconnection=False)
        client.connect(three.url, transports=transports, wait_timeout=DEADLINE)
        try:
            answers = [client.call("echo", f"{n}-{call}", timeout=DEADLINE) for call in range(CALLS)]
            return client.eio.sid, client.transport(), answers
        finally:
            client.disconnect()
            client.shutdown()

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(run, range(CLIENTS)))
    for n, (sid, transport, answers) in enumerate(results):
        assert transport == transports[-1]
        assert answers == [
            {"worker": int(sid.split("-")[0]), "sid": sid, "data": f"{n}-{call}"} for call in range(CALLS)
        ]
    assert {int(sid.split("-")[0]) for sid, _, _ in results} == {1, 2, 3}


def test_connections_are_spread_evenly_also_after_a_worker_was_replaced(start):
    workers = start(3).wait_until_ready(3)
    with contextlib.ExitStack() as stack:

        def open_websockets(count):
            url = f"ws://127.0.0.1:{workers.port}/socket.io/?EIO=4&transport=websocket"

            def open_one(_):
                client = websocket.create_connection(url, timeout=DEADLINE)
                client.recv()
                client.send("40")
                return client

            with ThreadPoolExecutor(20) as pool:
                for client in pool.map(open_one, range(count)):
                    stack.enter_context(contextlib.closing(client))

        def spread():
            return [workers.stats(number)["websockets"] for number in (1, 2, 3)]

        open_websockets(300)
        assert sum(spread()) == 300 and min(spread()) > 90, spread()
        os.kill(workers.pids[2], signal.SIGKILL)
        workers.wait_until_ready(4)
        open_websockets(90)
        # most went to the one that had none
        eventually(lambda: sum(spread()) > 280)
        assert spread()[1] > 45, spread()


# hand-over


def test_requests_of_different_workers_follow_each_other_on_one_connection_without_a_leak(three):
    sids = [open_session(three, number) for number in (1, 2, 3)]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", three.port, timeout=DEADLINE)) as connection:

        def ask(n, sid):
            path = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
            connection.request("POST", path, body=f'42{n}["echo",{n}]')
            assert connection.getresponse().read() == b"ok"
            connection.request("GET", path)
            packets = connection.getresponse().read().decode().split("\x1e")
            if "2" in packets:
                packets.remove("2")
                connection.request("POST", path, body="3")
                assert connection.getresponse().read() == b"ok"
            if not packets:
                connection.request("GET", path)
                packets = [connection.getresponse().read().decode()]
            expected = {"worker": int(sid.split("-")[0]), "sid": sid, "data": n}
            assert [json.loads(packet.removeprefix(f"43{n}")) for packet in packets] == [[expected]]

        def figures():
            return [(three.stats(n)["descriptors"], three.stats(n)["connections"]) for n in (1, 2, 3)]

        # the workers connect to each other when they first hand over
        for n, sid in enumerate(sids * 2):
            ask(n, sid)
        before = figures()
        # the connection is at the last of them
        assert [connections for _, connections in before] == [0, 0, 1]
        # two thirds of the rounds begin with a hand-over, as does each of the others
        for n, sid in enumerate(itertools.islice(itertools.cycle(sids), 1002)):
            ask(n, sid)
        # no more than a new connection to and from each of the other workers
        for (descriptors, connections), (descriptors_before, connections_before) in zip(figures(), before, strict=True):
            assert descriptors <= descriptors_before + 4 and connections == connections_before
        # the TCP connection was the same all the time
        assert connection.sock is not None
    eventually(lambda: [connections for _, connections in figures()] == [0, 0, 0])


def test_a_body_that_has_arrived_in_part_and_pipelined_requests_travel_with_the_connection(three):
    first, second = open_session(three, 1), open_session(three, 2)
    for sids in ([first, second, first], [second, first, second]):
        with socket.create_connection(("127.0.0.1", three.port), timeout=DEADLINE) as sock:
            sent = b"".join(post(sid, b'42["echo","%d"]' % n) for n, sid in enumerate(sids))
            # the head of the last request and a part of its body
            rest = post(sids[0], b'42["echo","' + b"x" * 60_000 + b'"]')
            sock.sendall(sent + rest[:150])
            for _ in sids:
                assert read_response(sock) == (200, "ok")
            for part in range(150, len(rest), 7_000):
                sock.sendall(rest[part : part + 7_000])
                time.sleep(0.005)
            assert read_response(sock) == (200, "ok")


def test_a_request_line_that_arrives_byte_by_byte_is_handed_over(three):
    for number in (1, 2, 3):
        sid = open_session(three, number)
        with socket.create_connection(("127.0.0.1", three.port), timeout=DEADLINE) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in post(sid, b'42["echo",1]'):
                sock.sendall(bytes([byte]))
            assert read_response(sock) == (200, "ok")


def test_requests_without_a_session_stay_with_the_worker_that_accepted_the_connection(three):
    seen = set()
    for _ in range(10):
        with requests.Session() as session:
            answers = {session.post(f"{three.url}/echo?sid=2-x", data="hi", timeout=DEADLINE).text for _ in range(5)}
        assert len(answers) == 1
        seen |= answers
    assert len(seen) > 1


@pytest.mark.parametrize(
    "sid",
    [
        "", "-", "1", "2-", "0-x", "9-x", "99-x", "255-x", "256-x", "999-x", "1000-x", "99999999999999999999-x", "-1-x",
        "+2-x", "02-x", "%32-x", "2%2Dx", "1-x&sid=2-x", "2-x&sid=1-x", "&sid=3-x", "../2-x", "2-" + "x" * 4000,
        "٣-x", "2-%00", "\x01-x", "1-x%0d%0a", "3-3-3-", "2-x#1-x", "2-x?sid=1-x", "sid=2-",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_or_hostile_sid_is_refused_as_an_unknown_session(three, sid, method):
    with socket.create_connection(("127.0.0.1", three.port), timeout=DEADLINE) as sock:
        head = f"{method} /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        sock.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        status, body = read_response(sock)
    assert status == 400, body
    # nobody has died
    assert {three.stats(number)["worker"] for number in (1, 2, 3)} == {1, 2, 3}


def test_clients_that_leave_in_the_middle_of_a_hand_over_leave_nothing_behind(three):
    sids = [open_session(three, number) for number in (1, 2, 3)]
    before = [three.stats(number)["descriptors"] for number in (1, 2, 3)]
    for n in range(150):
        request = post(sids[n % 3], b'42["echo",1]')
        with socket.create_connection(("127.0.0.1", three.port)) as sock:
            if n % 2:
                # an RST instead of a FIN
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(request[: len(request) * (n % 5 + 1) // 5])
    eventually(lambda: [three.stats(number)["connections"] for number in (1, 2, 3)] == [0, 0, 0], DEADLINE)
    for number, descriptors in zip((1, 2, 3), before, strict=True):
        assert three.stats(number)["descriptors"] <= descriptors + 4


def test_a_worker_that_takes_no_connections_costs_the_others_nothing(start):
    workers = start(2).wait_until_ready(2)
    other = open_session(workers, 1)
    os.kill(workers.pids[2], signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            waiting = []
            for _ in range(200):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", workers.port), timeout=DEADLINE))
                sock.sendall(post("2-x", b"3" * 8_000))
                waiting.append(sock)
            # the stopped worker accepts nothing, so every connection came to the other one; its queue is full
            assert (
                requests.post(
                    f"{workers.url}/socket.io/?EIO=4&transport=polling&sid={other}", data="3", timeout=DEADLINE
                ).text
                == "ok"
            )
            eventually(lambda: has_answer(waiting[-1]), DEADLINE)
            # some connections wait in the queue, and the requests of the others were answered
            assert not has_answer(waiting[0]) and has_answer(waiting[-1])
            os.kill(workers.pids[2], signal.SIGCONT)
            assert Counter(read_response(sock) for sock in waiting) == {(400, UNKNOWN): 200}
    finally:
        os.kill(workers.pids[2], signal.SIGCONT)


def test_the_connections_of_an_address_are_counted_right_in_both_workers(start):
    workers = start(2, http_cap=20).wait_until_ready(2)
    sids = [open_session(workers, number) for number in (1, 2)]
    for sid in itertools.islice(itertools.cycle(sids), 60):
        # more than the limit one after another, each handed over or not
        with socket.create_connection(("127.0.0.1", workers.port), timeout=DEADLINE) as sock:
            sock.sendall(post(sid, b"3"))
            assert read_response(sock) == (200, "ok")
    eventually(lambda: [workers.stats(number)["connections"] for number in (1, 2)] == [0, 0])


# workers that end


class Client:
    """A stock client that reconnects, and repeats what was not answered."""

    def __init__(self, workers, transports):
        self.client = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.5)
        self.disconnects = 0
        self.client.on("disconnect", self._count)
        self._url, self._transports = workers.url, transports
        self._connect()

    def _connect(self):
        self.client.connect(self._url, transports=self._transports, wait_timeout=DEADLINE)

    def _count(self, *_):
        self.disconnects += 1

    @property
    def worker(self):
        return int((self.client.eio.sid or "0-").split("-")[0])

    def echo(self, data):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            with contextlib.suppress(socketio.exceptions.SocketIOError):
                answer = self.client.call("echo", data, timeout=2)
                assert answer["data"] == data and answer["sid"].startswith(f"{answer['worker']}-")
                return answer["worker"]
            time.sleep(0.05)
            if self.client.eio.state == "disconnected" and self.client._reconnect_task is None:
                # after a close packet in the answer to a poll, this client does not reconnect by itself
                assert self._transports == ["polling"]
                with contextlib.suppress(socketio.exceptions.ConnectionError):
                    self._connect()
        raise AssertionError("no answer")

    def close(self):
        self.client.shutdown()


@pytest.fixture
def clients():
    opened = []

    def open_clients(workers, count):
        with ThreadPoolExecutor(10) as pool:
            opened.extend(pool.map(lambda n: Client(workers, TRANSPORTS[n % 3]), range(count)))
        return opened

    yield open_clients
    for client in opened:
        client.close()


def test_the_clients_of_a_killed_worker_reconnect_and_the_others_notice_nothing(start, clients):
    workers = start(3).wait_until_ready(3)
    opened = clients(workers, 60)
    affected = [client for client in opened if client.worker == 2]
    others = [client for client in opened if client.worker != 2]
    assert len(affected) > 10 and len(others) > 20
    killed = workers.pids[2]
    os.kill(killed, signal.SIGKILL)
    with ThreadPoolExecutor(20) as pool:
        assert len(list(pool.map(lambda client: client.echo("again"), opened))) == 60
    workers.wait_for(f"worker 2 (process {killed}) was killed by SIGKILL")
    assert {client.disconnects for client in others} == {0}
    assert {client.disconnects for client in affected} == {1}
    workers.wait_until_ready(4)
    assert workers.stats(2)["pid"] not in {killed, workers.stats(1)["pid"]}


def test_a_request_for_a_dead_worker_is_refused_as_an_unknown_session(start):
    # the second worker is started again only after a second
    workers = start(2).wait_until_ready(2)
    sid = open_session(workers, 2)
    os.kill(workers.pids[2], signal.SIGKILL)
    workers.wait_for("was killed by SIGKILL; another one starts in 1 s")
    with socket.create_connection(("127.0.0.1", workers.port), timeout=DEADLINE) as sock:
        sock.sendall(post(sid, b"3"))
        assert read_response(sock) == (400, UNKNOWN)
        # the connection is good for further requests
        sock.sendall(post(sid, b"3"))
        assert read_response(sock) == (400, UNKNOWN)
    workers.wait_until_ready(3)
    assert requests.get(f"{workers.url}/socket.io/?EIO=4&transport=polling&sid={sid}", timeout=DEADLINE).text == UNKNOWN


def test_sighup_replaces_all_workers_without_a_failed_request(start, clients):
    workers = start(2).wait_until_ready(2)
    opened = clients(workers, 30)
    before = dict(workers.pids)
    done = threading.Event()
    answered = []

    def keep_alive(n):
        count = 0
        with requests.Session() as session:
            while not done.is_set():
                body = f"{n}-{count}"
                response = session.post(f"{workers.url}/echo", data=body, timeout=DEADLINE)
                assert response.status_code == 200 and response.text[4:] == body
                count += 1
                answered.append(n)
                time.sleep(0.01 * (n % 3))
        return count

    def each_its_connection(n):
        count = 0
        while not done.is_set():
            assert requests.post(f"{workers.url}/echo", data=str(n), timeout=DEADLINE).text[4:] == str(n)
            count += 1
            answered.append(n)
        return count

    def idle(n):
        """A connection that waits for a request while its worker retires, and is used again afterwards."""
        connection = http.client.HTTPConnection("127.0.0.1", workers.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request("GET", "/echo")
            connection.getresponse().read()
            sock = connection.sock
            assert done.wait(DEADLINE)
            connection.request("GET", "/echo")
            assert connection.getresponse().status == 200
            assert connection.sock is sock
            return n

    def talk(client):
        while not done.is_set():
            client.echo("still")
        return client.worker

    with ThreadPoolExecutor(64) as pool:
        traffic = [pool.submit(keep_alive, n) for n in range(6)]
        traffic += [pool.submit(each_its_connection, n) for n in range(2)]
        traffic += [pool.submit(idle, n) for n in range(20)]
        traffic += [pool.submit(talk, client) for client in opened]
        try:
            eventually(lambda: len(answered) > 100, DEADLINE)
            workers.process.send_signal(signal.SIGHUP)
            workers.wait_until_ready(4)
            gone = set(before.values())
            eventually(lambda: not any(runs(pid) for pid in gone), DEADLINE)
            so_far = len(answered)
            eventually(lambda: len(answered) > so_far + 100, DEADLINE)
        finally:
            done.set()
        for future in traffic:
            future.result(DEADLINE)
    # each client lost its connection at least once, and has another one
    assert min(client.disconnects for client in opened) >= 1
    assert {client.echo("after") for client in opened} <= {1, 2, 3}
    assert not any("ERROR" in line for line in workers.output), workers.output


def test_a_worker_stays_if_its_successor_cannot_start(start, tmp_path):
    workers = start(2, fails_if=str(tmp_path / "broken")).wait_until_ready(2)
    before = dict(workers.pids)
    (tmp_path / "broken").touch()
    workers.process.send_signal(signal.SIGHUP)
    workers.wait_for("exited with 4 before it was ready, so no further worker is replaced")
    assert [workers.stats(number)["pid"] for number in (1, 2)] == [before[1], before[2]]
    # and the next attempt succeeds
    (tmp_path / "broken").unlink()
    workers.process.send_signal(signal.SIGHUP)
    workers.wait_until_ready(4)
    eventually(lambda: not any(runs(pid) for pid in before.values()), DEADLINE)


def test_a_server_whose_first_worker_cannot_start_exits_with_its_code(start, tmp_path):
    (tmp_path / "broken").touch()
    workers = start(2, fails_if=str(tmp_path / "broken"))
    assert workers.process.wait(DEADLINE) == 4


def test_a_hanging_worker_is_killed_and_replaced(start, clients):
    workers = start(2, max_silent_ticks=2).wait_until_ready(2)
    opened = clients(workers, 12)
    victim = next(client for client in opened if client.worker == 2)
    victim.client.emit("hang", 1)
    workers.wait_for("worker 2 (process")
    workers.wait_for("hangs")
    workers.wait_until_ready(3)
    for client in opened:
        client.echo("again")


def test_sigterm_stops_all_workers(start, clients):
    workers = start(3).wait_until_ready(3)
    clients(workers, 9)
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(DEADLINE) == 0
    assert not any(runs(pid) for pid in workers.pids.values())


def test_workers_end_when_their_supervisor_was_killed(start):
    workers = start(2).wait_until_ready(2)
    workers.process.kill()
    workers.process.wait()
    eventually(lambda: not any(runs(pid) for pid in workers.pids.values()), DEADLINE)


def runs(pid):
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_worker_that_ends_at_once_is_started_again_later_each_time(start):
    workers = start(1, exit_when_ready=3)
    workers.wait_for("exited with 3; another one starts in 1 s")
    workers.wait_for("exited with 3; another one starts in 2 s")
    workers.wait_for("exited with 3; another one starts in 4 s")
    workers.process.send_signal(signal.SIGINT)
    assert workers.process.wait(DEADLINE) == 0


# the supervisor


def test_the_supervisor_imports_neither_eventlet_nor_flask():
    script = (
        "import sys; import realtime_kv.cli.main; "
        "print({'eventlet', 'flask', 'socketio', 'sqlalchemy', 'msgspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
