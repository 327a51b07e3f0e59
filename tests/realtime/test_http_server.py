"""The WSGI server around the app: deadlines, bodies, and ambiguous requests."""

import concurrent.futures
import json

import pytest
import requests

from realtime_kv.server import http_server
from tests.realtime.tools import DEADLINE, EchoServer, Hostile, eventually

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
def test_oversized_body_is_reported_to_the_app_but_not_read(server, chunked):
    body = b"x" * (9 * MIB)
    answer = requests.post(f"{server.url}/length", data=iter([body]) if chunked else body, timeout=DEADLINE)
    announced, read = answer.json()
    assert announced > MIB and read == 0
    assert answer.headers["Connection"] == "close"


def test_expect_100_continue_is_answered(server):
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
def test_ambiguous_body_length_is_refused(server, headers):
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
def test_malformed_chunks_never_reach_the_app(server, chunks):
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
def test_malformed_request_is_refused_without_revealing_the_server_software(server, request_bytes):
    raw = Hostile(server).say(request_bytes)
    raw.stop_saying()
    answer = raw.answer()
    status = answer.partition(b"\r\n")[0]
    assert answer == b"" or status.split(b" ")[1] in {b"400", b"414", b"431"}, answer
    assert b"Traceback" not in answer and b"Python" not in answer


def test_slowly_sent_headers_are_cut_off_at_a_total_deadline(strict_server):
    raw = Hostile(strict_server)
    raw.say(b"GET /stats HTTP/1.1\r\n")
    assert drip_until_cut(raw)


def test_slowly_sent_body_is_cut_off_at_a_total_deadline(strict_server):
    assert drip_until_cut(Hostile(strict_server).request("POST /length", "Content-Length: 100000"))
    assert drip_until_cut(Hostile(strict_server).request("POST /length", "Transfer-Encoding: chunked"))


def test_silent_connection_is_closed(strict_server):
    assert Hostile(strict_server).answer() == b""


@pytest.fixture
def capped_server():
    server = EchoServer(http_cap=3)
    yield server
    server.close()


def test_plain_http_connections_are_limited_per_network(capped_server):
    def hold():
        # in the middle of a request, so the connection is not idle
        raw = Hostile(capped_server).request("POST /length", "Content-Length: 5", "Expect: 100-continue")
        assert raw.socket.recv(99).startswith(b"HTTP/1.1 100")
        return raw

    held = [hold() for _ in range(3)]
    assert Hostile(capped_server).request("GET /stats", "Connection: close").answer() == b""
    for raw in held:
        raw.say(b"hello")
        assert raw.socket.recv(999).endswith(b"[5, 5]")
    # after their answers they are idle, and the oldest is closed in favour of the new one
    assert b" 200 OK" in Hostile(capped_server).request("GET /stats", "Connection: close").answer()
    assert held[0].answer() == b""


def test_oldest_silent_connection_is_closed_to_admit_a_new_one(capped_server):
    silent = [Hostile(capped_server) for _ in range(3)]
    assert b" 200 OK" in Hostile(capped_server).request("GET /stats", "Connection: close").answer()
    assert silent[0].answer() == b""


def test_default_deadlines_and_body_limit_are_within_the_promised_bounds():
    assert http_server.HEADER_SECONDS <= 30 and http_server.BODY_SECONDS <= 60 and http_server.BODY_BYTES == MIB


def drip_until_cut(raw):
    """Send a byte every tenth of a second until the server disconnects; fail after the deadline."""
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


ONE_REQUEST = b"POST /length HTTP/1.1\r\nHost: x\r\n"
CHUNKED = ONE_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-A: a\x1bb\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-A: a\r\n folded\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (ONE_REQUEST + b"Content-Length:\r\n 5\r\n\r\nhello", 400),
        (ONE_REQUEST + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello", 400),
        (ONE_REQUEST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"POST /length HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400),
        (ONE_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
        (ONE_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400),
        (ONE_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n", 400),
        (ONE_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 100 + b"\r\n", 400),
        (CHUNKED + b"0\r\nno colon\r\n\r\n", 400),
        (CHUNKED + b"0\r\nX: y\n\r\n", 200),
        (CHUNKED + b"0\r\n\n\r\n", 400),
        # a trailer read in two pieces, the second of which looks like the end of the body
        (CHUNKED + b"0\r\nX: " + b"y" * 1021 + b"\r\n\r\n", 400),
        # only the beginning of a header, which could have included a length or a cookie
        (b"GET /stats HTTP/1.1\r\nHost: x\r\n", 400),
        (b"GET /stats HTTP/1.1\r\n", 400),
        (b"GET /stats HTTP/1.0\r\n", 400),
        (ONE_REQUEST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", 415),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (
            b"GET /stats HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: " % n + b"x" * 8000 + b"\r\n" for n in range(20)),
            431,
        ),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-A: \xff \t~\r\n\r\n", 200),
        (b"GET /stats HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 10_000 + b"\r\n\r\n", 200),
        (ONE_REQUEST + b"Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 200),
        (b"GET /stats HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_requests_are_parsed_strictly_and_refused_with_a_reason(server, request_bytes, status):
    raw = Hostile(server).say(request_bytes)
    raw.stop_saying()
    head, _, body = raw.answer().partition(b"\r\n\r\n")
    assert int(head.split(b" ")[1]) == status
    if status != 200:
        problem = json.loads(body)
        assert problem["status"] == status and problem["code"] == "bad_request" and len(problem["detail"]) > 20
        assert b"\r\nConnection: close\r\n" in head


def test_keep_alive_setting_determines_the_idle_time_of_a_connection():
    server = EchoServer(keep_alive=1, deadlines={"HEADER_SECONDS": 0.2})
    try:
        raw = Hostile(server).request("GET /stats")
        assert b" 200 OK" in raw.socket.recv(9999)
        # longer than the headers of a request may take
        assert raw.answer() == b""
        with requests.Session() as session:
            for _ in range(3):
                assert session.get(f"{server.url}/stats", timeout=DEADLINE).status_code == 200
    finally:
        server.close()


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
def test_unsupported_methods_get_405_with_an_allow_header(server, method):
    answer = requests.request(method, f"{server.url}/socket.io/?EIO=4&transport=polling", timeout=DEADLINE)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST, OPTIONS"


@pytest.fixture(scope="module")
def limited_server():
    server = EchoServer(proxies=1, budget={"share": 0.2, "burst_seconds": 4.0})
    yield server
    server.close()
    assert server.errors == []


def test_request_body_memory_is_limited_per_network(limited_server):
    def begin(address):
        # a mebibyte without its last byte: the server holds the rest
        return Hostile(limited_server).request(
            "POST /length", f"X-Forwarded-For: {address}", f"Content-Length: {MIB}", body=b"x" * (MIB - 1)
        )

    crowd = [begin(f"2001:db8::{n}") for n in range(8)]
    eventually(lambda: b" 429 " in begin("2001:db8::ffff").answer())
    refused = begin("2001:db8::eeee").answer()
    assert b"\r\nRetry-After: 1\r\n" in refused and b'"code":"rate_limited"' in refused
    assert b" 200 OK" in begin("198.51.100.1").say(b"x").socket.recv(999)
    limits = [limit[:2] for limit in limited_server.ask()["limits"]]
    assert ["request_bodies", "2001:db8::/64"] in limits
    for raw in crowd:
        assert b" 200 OK" in raw.say(b"x").socket.recv(999)
    # the memory is free again
    assert b" 200 OK" in begin("2001:db8::1").say(b"x").socket.recv(999)


def test_unauthenticated_requests_are_delayed_and_then_refused_per_network():
    server = EchoServer(proxies=1, budget={"share": 0.0005, "burst_seconds": 0.01})
    try:

        def ask(address):
            headers = {"X-Forwarded-For": address}
            return requests.get(f"{server.url}/stats", headers=headers, timeout=DEADLINE)

        # ten at once, two more wait two seconds each, and the next would wait longer than allowed
        statuses = [ask(f"[2001:db8::{n:x}]:1").status_code for n in range(10)]
        assert statuses == [200] * 10
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            late = list(threads.map(lambda n: ask(f"2001:db8::f{n}"), range(6)))
        assert {answer.status_code for answer in late} == {200, 429}
        refused = next(answer for answer in late if answer.status_code == 429)
        assert int(refused.headers["Retry-After"]) >= 1 and refused.json()["code"] == "rate_limited"
        assert ask("198.51.100.1").status_code == 200
        assert "unauthenticated_work" in {limit[0] for limit in ask("198.51.100.1").json()["limits"]}
    finally:
        server.close()


@pytest.mark.parametrize("header", ["Content-Length: x", "Cookie: " + "x" * 20_000])
def test_allowed_origin_can_read_the_reason_for_a_refusal(server, header):
    def head(origin):
        # the origin of an earlier request must not count for the next one
        raw = Hostile(server).request("POST /length", "Origin: http://ours.example", "Content-Length: 0")
        assert b"Access-Control" not in raw.socket.recv(9999)
        raw.say(f"POST /length HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n{header}\r\n\r\n".encode())
        return raw.answer().partition(b"\r\n\r\n")[0]

    readable = b"\r\nAccess-Control-Allow-Origin: http://ours.example\r\n"
    # if one header is too long, the server does not know the others
    assert (readable in head("http://ours.example")) == header.startswith("Content")
    assert b"Access-Control" not in head("http://evil.example")


def test_pipelined_requests_are_interleaved_with_other_connections(limited_server):
    crowd, other = Hostile(limited_server), Hostile(limited_server)
    before = limited_server.ask()["requests"]
    one = b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n"
    with limited_server.stopped():
        crowd.say(one * 300)
        other.request("GET /stats", "X-Forwarded-For: 203.0.113.6", "Connection: close")
    answer = json.loads(other.answer().partition(b"\r\n\r\n")[2])
    assert answer["requests"] - before < 300
    answered = 0
    while answered < 300:
        answered += crowd.socket.recv(65536).count(b"HTTP/1.1 404")
    assert limited_server.ask()["requests"] - before == 302
