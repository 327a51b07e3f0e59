from pathlib import Path

import pytest

from realtime_kv.config import Config
from realtime_kv.request import authentication

CONFIG = Config(data_dir=Path("unused"), public_url="https://kv.example.org")


@pytest.mark.parametrize(
    ("environ", "auth", "expected"),
    [
        ({}, None, ("", None)),
        ({"HTTP_COOKIE": "rkv_session=abc"}, None, ("abc", "cookie")),
        ({"HTTP_COOKIE": "a=b; rkv_session=abc; c=d"}, None, ("abc", "cookie")),
        ({"HTTP_COOKIE": 'broken; "; =; rkv_session="abc"'}, None, ("abc", "cookie")),
        ({"HTTP_COOKIE": "xrkv_session=abc; rkv_session_=d; RKV_SESSION=e"}, None, ("", None)),
        ({"HTTP_COOKIE": "rkv_session="}, None, ("", None)),
        ({"HTTP_AUTHORIZATION": "Bearer abc"}, None, ("abc", "bearer")),
        ({"HTTP_AUTHORIZATION": "bearer   abc "}, None, ("abc", "bearer")),
        ({"HTTP_AUTHORIZATION": "Basic abc"}, None, ("", None)),
        # with an invalid bearer token, the cookie is not tried
        ({"HTTP_AUTHORIZATION": "Bearer", "HTTP_COOKIE": "rkv_session=abc"}, None, ("", "bearer")),
        ({"HTTP_AUTHORIZATION": "Bearer xyz", "HTTP_COOKIE": "rkv_session=abc"}, None, ("xyz", "bearer")),
        ({"HTTP_AUTHORIZATION": "Basic xyz", "HTTP_COOKIE": "rkv_session=abc"}, None, ("abc", "cookie")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, {"token": "xyz"}, ("xyz", "bearer")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, {"token": ["xyz"]}, ("", "bearer")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, {"token": ""}, ("", "bearer")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, {"token": None}, ("abc", "cookie")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, {}, ("abc", "cookie")),
        ({"HTTP_COOKIE": "rkv_session=abc"}, "token", ("abc", "cookie")),
        # never in a URL
        ({"QUERY_STRING": "token=abc&access_token=abc&rkv_session=abc"}, None, ("", None)),
    ],
)
def test_bearer_token_takes_precedence_over_the_cookie(environ, auth, expected):
    assert authentication.credentials(environ, Config(), auth) == expected


def test_only_the_host_prefixed_cookie_is_accepted_under_tls():
    both = {"HTTP_COOKIE": "rkv_session=planted; __Host-rkv_session=abc"}
    assert authentication.credentials(both, CONFIG) == ("abc", "cookie")
    assert authentication.credentials({"HTTP_COOKIE": "rkv_session=planted"}, CONFIG) == ("", None)
    assert authentication.credentials(both, Config()) == ("planted", "cookie")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "1.1.1.1", "9.9.9.9"),
        (1, "", "9.9.9.9"),
        (1, None, "9.9.9.9"),
        (1, "2001:DB8::0:1", "2001:db8::1"),
        (1, "fe80::1%<b>", "fe80::1"),
        (1, "203.0.113.7:51008", "203.0.113.7"),
        (1, "[2001:db8::7]:51008", "2001:db8::7"),
        (1, "[2001:db8::7]", "2001:db8::7"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "[::ffff:203.0.113.9]:80", "203.0.113.9"),
        (1, "unknown", "9.9.9.9"),
        (1, "<script>", "9.9.9.9"),
        (1, "1.1.1.1\nforged", "9.9.9.9"),
        (1, "1" * 60_000, "9.9.9.9"),
    ],
)
def test_forwarded_address_is_trusted_only_through_the_configured_proxies(proxies, forwarded, expected):
    environ = {"REMOTE_ADDR": "9.9.9.9"} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    assert authentication.address(environ, Config(proxies=proxies)) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8::1", "2001:db8::1"), ("", "")],
)
def test_peer_address_is_normalized(peer, expected):
    assert authentication.address({"REMOTE_ADDR": peer}, Config()) == expected
