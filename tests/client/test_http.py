"""The HTTP client: addresses, and the errors that tell why a server cannot be used."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from realtime_kv_client import (
    ClientError,
    HttpClient,
    InvalidAddress,
    Redirected,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from realtime_kv_client.http import read_answer

URL = "http://kv.example.org"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:5000", (False, "127.0.0.1", 5000, "http://127.0.0.1:5000")),
        ("https://kv.example.org/path", (True, "kv.example.org", 443, "https://kv.example.org")),
        ("http://user:word@kv.example.org", (False, "kv.example.org", 80, "http://kv.example.org")),
        ("http://[::1]:81", (False, "::1", 81, "http://[::1]:81")),
    ],
)
def test_an_address_is_a_scheme_a_host_and_a_port(url, expected):
    client = HttpClient(url)
    assert (client.secure, client.host, client.port, client.url) == expected


@pytest.mark.parametrize("url", ["", "localhost:5000", "ftp://kv.example.org", "http://", "http://host:x", "http://["])
def test_any_other_address_is_invalid(url):
    with pytest.raises(InvalidAddress):
        HttpClient(url)


def test_an_answer_is_returned_or_raised_as_a_named_error():
    assert read_answer(URL, 200, b'{"ok":true,"revision":1}') == {"ok": True, "revision": 1}
    assert read_answer(URL, 204, b"") == {}
    refusal = b'{"ok":false,"code":"rate_limited","detail":"Too many requests.","retry_after":7}'
    with pytest.raises(Refused, match=r"rate_limited\): Too many requests \(in 7 s\)\.") as caught:
        read_answer(URL, 429, refusal)
    assert caught.value.code == "rate_limited"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"ok":1}', b'{"code":"x"}', b"\xff"])
def test_an_answer_of_another_program_is_unexpected(body):
    with pytest.raises(UnexpectedAnswer, match="status 200"):
        read_answer(URL, 200, body)


def test_a_server_that_does_not_answer_is_unreachable():
    with pytest.raises(Unreachable, match=r"No server answers at http://127\.0\.0\.1:9 "):
        HttpClient("http://127.0.0.1:9").post("sign_up", {})


def test_a_redirect_is_not_followed():
    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(301)
            self.send_header("Location", "https://kv.example.org/api/v1/sign_up")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(Redirected, match=r"https://kv\.example\.org"):
            HttpClient(f"http://127.0.0.1:{server.server_port}").post("sign_up", {"password": "secret"})
        thread.join()


def test_every_error_is_a_client_error():
    for error in (InvalidAddress(URL), Unreachable(URL, "refused"), Refused("conflict", "No."), Redirected(URL, URL)):
        assert isinstance(error, ClientError)
