"""The pages that may use a cookie or a bearer token, and the host names by which the server may be called."""

from pathlib import Path

import pytest

from realtime_kv.config import Config
from realtime_kv.errors import Forbidden, HostRefused, OriginRefused
from realtime_kv.request import origin_check

OURS, PARTNER, STRANGER = "https://kv.example.org", "https://app.example.com", "https://evil.example"
APP = "capacitor://localhost"
FOLDER = Path("unused")
CONFIG = Config(data_dir=FOLDER, public_url=OURS, origins=(PARTNER, APP))
OPEN = Config(data_dir=FOLDER, host="0.0.0.0", hosts=("kv.lan",))
LAN = Config(data_dir=FOLDER, host="0.0.0.0", public_url="http://192.168.1.7:5000")


def asked(host: str, origin: str | None = None, **more: str) -> dict[str, str]:
    return {"HTTP_HOST": host} | ({} if origin is None else {"HTTP_ORIGIN": origin}) | more


@pytest.mark.parametrize("kind", ["cookie", "bearer", None])
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_ORIGIN": OURS},
        {"HTTP_ORIGIN": "https://kv.example.org."},
        {"HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_ORIGIN": OURS, "HTTP_SEC_FETCH_SITE": "same-origin"},
        # nginx calls its upstream by this name unless configured otherwise
        asked("127.0.0.1:5000", OURS),
    ],
)
def test_same_origin_pages_and_programs_are_allowed(environ, kind):
    origin_check.check_origin(environ, CONFIG, kind)


@pytest.mark.parametrize("kind", ["cookie", "bearer", None])
@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_ORIGIN": STRANGER},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": ""},
        {"HTTP_ORIGIN": "*"},
        {"HTTP_ORIGIN": OURS.replace("https", "http")},
        {"HTTP_ORIGIN": f"{OURS}:8443"},
        {"HTTP_ORIGIN": f"{OURS}.evil.example"},
        {"HTTP_ORIGIN": f"{OURS},{OURS}"},
        {"HTTP_ORIGIN": f"{OURS}/"},
        {"HTTP_ORIGIN": f"{OURS}.."},
        {"HTTP_ORIGIN": "https://" + "a" * 60_000},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_SEC_FETCH_SITE": ""},
        {"HTTP_ORIGIN": STRANGER, "HTTP_SEC_FETCH_SITE": "same-origin"},
        # the forwarded host that a proxy reports does not make an origin ours
        {"HTTP_ORIGIN": STRANGER, "HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_HOST": "evil.example"},
        # nor does an address on the visitor's machine, with any `Host` that a proxy sends
        asked("127.0.0.1:5000", "http://127.0.0.1:5000"),
        asked("kv.example.org", "http://kv.example.org"),
    ],
)
def test_other_origins_are_refused_with_any_credential(environ, kind):
    with pytest.raises(Forbidden):
        origin_check.check_origin(environ, CONFIG, kind)


@pytest.mark.parametrize("origin", [PARTNER, APP])
def test_an_allowed_origin_may_use_a_bearer_token_and_never_a_cookie(origin):
    origin_check.check_origin({"HTTP_ORIGIN": origin, "HTTP_SEC_FETCH_SITE": "cross-site"}, CONFIG, "bearer")
    with pytest.raises(Forbidden):
        origin_check.check_origin({"HTTP_ORIGIN": origin}, CONFIG, "cookie")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("192.168.1.7:5000", "http://192.168.1.7:5000"),
        # a container with its port published under another number
        ("192.168.1.7:8080", "http://192.168.1.7:8080"),
        ("192.168.1.7", "http://192.168.1.7"),
        ("192.168.1.7:80", "http://192.168.1.7"),
        ("[FD00::0:2]:5000", "http://[fd00::2]:5000"),
        ("kv.lan:5000", "http://kv.lan:5000"),
        ("KV.lan.:5000", "http://kv.lan.:5000"),
    ],
)
def test_the_requested_host_is_the_own_origin_without_a_public_url(host, origin):
    origin_check.check_host(asked(host), OPEN)
    origin_check.check_origin(asked(host, origin), OPEN, "cookie")
    assert origin_check.allows(asked(host, origin), OPEN)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        # a name that its owner points at this machine (DNS rebinding)
        ("evil.example:5000", "http://evil.example:5000"),
        ("192.168.1.7.evil.example:5000", "http://192.168.1.7.evil.example:5000"),
        ("localhost.evil.example:5000", "http://localhost.evil.example:5000"),
        # another server on the same machine
        ("127.0.0.1:5000", "http://127.0.0.1:8000"),
        ("127.0.0.1:5000", "http://localhost:5000"),
        ("127.0.0.1:443", "https://127.0.0.1"),
        ("127.0.0.1", "https://127.0.0.1"),
        ("192.168.1.7:5000", "http://192.168.1.8:5000"),
        ("", "http://"),
        ("", ""),
        ("127.0.0.1:99999", "http://127.0.0.1:99999"),
        ("a@127.0.0.1:5000", "http://a@127.0.0.1:5000"),
        ("[::1", "http://[::1"),
    ],
)
def test_no_other_origin_is_allowed_without_a_public_url(host, origin):
    with pytest.raises(OriginRefused):
        origin_check.check_origin(asked(host, origin), OPEN, "cookie")
    assert not origin_check.allows(asked(host, origin), OPEN)


def test_loopback_origin_is_allowed_beside_a_lan_public_url_without_a_proxy():
    own = asked("127.0.0.1:5000", "http://127.0.0.1:5000")
    origin_check.check_origin(own, LAN, "cookie")
    origin_check.check_origin(asked("192.168.1.7:5000", LAN.public_url), LAN, "cookie")
    behind_a_proxy = Config(data_dir=FOLDER, public_url="http://kv.lan", proxies=1)
    for environ, config in ((own, behind_a_proxy), (own | {"HTTP_VIA": "1.1 proxy"}, LAN)):
        with pytest.raises(OriginRefused):
            origin_check.check_origin(environ, config, "cookie")
    with pytest.raises(HostRefused):
        origin_check.check_host(asked("10.0.0.1:5000"), LAN)


@pytest.mark.parametrize(
    ("config", "environ", "setting", "words"),
    [
        (OPEN, asked("192.168.1.7:5000", "https://192.168.1.7:5000"), "RKV_PUBLIC_URL", "=https://192.168.1.7:5000"),
        (
            OPEN,
            asked("127.0.0.1:5000", "https://kv.example"),
            "RKV_PUBLIC_URL",
            "RKV_ORIGINS has to list https://kv.ex",
        ),
        (
            OPEN,
            asked("127.0.0.1:5000", "tauri://localhost"),
            "RKV_ORIGINS",
            "RKV_ORIGINS has to list tauri://localhost",
        ),
        (CONFIG, asked("kv.example.org", "http://kv.example.org"), "RKV_PUBLIC_URL", f"at {OURS}, not at http://kv."),
        (CONFIG, asked("kv.example.org", STRANGER), "RKV_ORIGINS", f"RKV_ORIGINS has to list {STRANGER}"),
        (CONFIG, asked("kv.example.org", "null"), None, "The origin null cannot be allowed"),
        (CONFIG, asked("kv.example.org", "\x1b[2J\xff<b>"), None, r"\x1b[2J\xff<b>"),
    ],
)
def test_origin_refusal_names_the_origin_and_the_setting_that_allows_it(config, environ, setting, words):
    with pytest.raises(OriginRefused) as refused:
        origin_check.check_origin(environ, config, "cookie")
    assert words in refused.value.message
    assert refused.value.extra["setting"] == setting
    assert len(refused.value.message) < 1000 and refused.value.message.isascii()


@pytest.mark.parametrize(
    "host", ["evil.example:5000", "", "a b", "[::1", "kv.example.org:x", "xn--bcher-kva.example\xff"]
)
def test_host_refusal_names_the_setting_that_allows_it_or_the_public_url(host):
    with pytest.raises(HostRefused) as refused:
        origin_check.check_host(asked(host), OPEN)
    assert "RKV_HOSTS" in refused.value.message and refused.value.extra["setting"] == "RKV_HOSTS"
    with pytest.raises(HostRefused) as refused:
        origin_check.check_host(asked(host), CONFIG)
    assert f"Open it at {OURS}" in refused.value.message


def test_an_international_domain_matches_its_punycode_form():
    config = Config(data_dir=FOLDER, public_url="http://bücher.example", origins=("https://straße.example",))
    origin_check.check_host(asked("xn--bcher-kva.example"), config)
    origin_check.check_origin(asked("xn--bcher-kva.example", "http://xn--bcher-kva.example"), config, "cookie")
    assert origin_check.allows(asked("xn--bcher-kva.example", "https://xn--strae-oqa.example"), config)
