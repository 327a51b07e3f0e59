"""The WSGI server round the app: deadlines, bodies, and requests that mean two things at once."""

import pytest
import requests

from realtime_kv.server import http
from tests.sockets.tools import DEADLINE, EchoServer, Hostile, eventually

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server():
    server = EchoServer()
    yield server
    server.close()
    assert server.errors == []


@pytest.fixture(scope="module")
def strict_server():
    server = EchoServer(http_cap=3, deadlines={"HEADER_SECONDS": 0.5, "BODY_SECONDS": 0.5})
    yield server
    server.close()
    assert server.errors == []


def test_several_requests_go_over_one_connection(server):
    with requests.Session() as session:
        for length in (0, 5, 100_000, MIB):
            answer = session.post(f"{server.url}/length", data=b"x" * length, timeout=DEADLINE)
            assert answer.json() == [length, length]


@pytest.mark.parametrize("sizes", [[5], [1, 2, 3], [70_000, 1], [MIB]])
def test_a_chunked_body_reaches_the_app_whole_and_with_its_length(server, sizes):
    answer = requests.post(f"{server.url}/length", data=iter([b"x" * size for size in sizes]), timeout=DEADLINE)
    assert answer.json() == [sum(sizes)] * 2


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_is_too_large_is_announced_and_not_read(server, chunked):
    body = b"x" * (9 * MIB)
    answer = requests.post(f"{server.url}/length", data=iter([body]) if chunked else body, timeout=DEADLINE)
    announced, read = answer.json()
    assert announced > MIB and read == 0
    assert answer.headers["Connection"] == "close"


def test_a_client_that_asks_whether_it_may_send_is_told_to(server):
    raw = Hostile(server).request("POST /length", "Content-Length: 5", "Expect: 100-continue")
    assert raw.socket.recv(99).startswith(b"HTTP/1.1 100 Continue")
    raw.say(b"hello")
    assert raw.socket.recv(999).endswith(b"[5, 5]")
    raw.close()


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5, 5",),
        ("Content-Length: +5",),
        ("Content-Length: 1_0",),
        ("Content-Length: -1",),
        ("Content-Length: 99999999999999999999",),
        ("Content-Length:",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(server, headers):
    smuggled = b"hello" + b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = Hostile(server).request("POST /length", *headers, body=smuggled).answer()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5 " * 200,
        b"\r\n",
    ],
)
def test_chunks_that_are_none_never_reach_the_app(server, chunks):
    raw = Hostile(server).request("POST /length", "Transfer-Encoding: chunked", body=chunks)
    raw.stop_saying()
    answer = raw.answer()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/x\r\n\r\n",
        b"GET / SPDY/1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 50 + b"\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: " % n + b"x" * 8000 + b"\r\n" for n in range(20)) + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_without_a_word_about_us(server, request_bytes):
    raw = Hostile(server).say(request_bytes)
    raw.stop_saying()
    answer = raw.answer()
    status = answer.partition(b"\r\n")[0]
    assert answer == b"" or status.split(b" ")[1] in {b"400", b"414", b"431"}, answer
    assert b"Traceback" not in answer and b"Python" not in answer


def test_headers_that_drip_are_cut_at_a_total_deadline(strict_server):
    raw = Hostile(strict_server)
    raw.say(b"GET /stats HTTP/1.1\r\n")
    assert drip_until_cut(raw)


def test_a_body_that_drips_is_cut_at_a_total_deadline(strict_server):
    assert drip_until_cut(Hostile(strict_server).request("POST /length", "Content-Length: 100000"))
    assert drip_until_cut(Hostile(strict_server).request("POST /length", "Transfer-Encoding: chunked"))


def test_who_says_nothing_is_cut(strict_server):
    assert Hostile(strict_server).answer() == b""


def test_an_address_has_a_bounded_number_of_connections_that_are_no_sockets(strict_server):
    silent = [Hostile(strict_server) for _ in range(3)]
    eventually(lambda: Hostile(strict_server).request("GET /stats", "Connection: close").answer() == b"")
    for raw in silent:
        raw.close()
    eventually(lambda: Hostile(strict_server).request("GET /stats", "Connection: close").answer() != b"")


def test_the_deadlines_are_the_ones_we_promise():
    assert http.HEADER_SECONDS <= 30 and http.BODY_SECONDS <= 60 and http.BODY_BYTES == MIB


def drip_until_cut(raw):
    """A byte every tenth of a second, until the server has had enough; fails after the deadline."""
    raw.socket.settimeout(0.1)

    def cut():
        try:
            raw.say(b"x")
            return raw.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    return eventually(cut)
