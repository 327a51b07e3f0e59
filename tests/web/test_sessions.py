"""The cookie: a random token and nothing else, new at every sign-in, invalid afterwards."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.http import parse_date

PASSWORD = "correct horse battery"
CREDENTIALS = {"username": "Alice", "password": PASSWORD}


def attributes(answer):
    (header,) = answer.headers.getlist("Set-Cookie")
    value, *rest = header.split("; ")
    return value, {name: text for name, _, text in (part.partition("=") for part in rest)}


def test_the_cookie_is_the_token_and_nothing_else(stranger):
    value, rest = attributes(stranger.call("sign_up", **CREDENTIALS))
    assert re.fullmatch(r"rkv_session=rks_[A-Za-z0-9_-]{43}", value)
    expires = datetime.now(UTC) + timedelta(days=30)
    assert abs(parse_date(rest.pop("Expires")) - expires) < timedelta(minutes=1)
    assert rest == {"HttpOnly": "", "Path": "/", "SameSite": "Lax"}


@pytest.mark.parametrize(
    ("public_url", "name"), [("https://kv.example.org", "__Host-rkv_session"), ("http://kv.example.org", "rkv_session")]
)
def test_the_cookie_is_secure_and_host_only_under_tls(open_site, public_url, name):
    visitor = open_site(public_url=public_url).visitor()
    value, rest = attributes(visitor.call("sign_up", **CREDENTIALS))
    assert value.startswith(f"{name}=rks_")
    assert ("Secure" in rest) is public_url.startswith("https")
    assert rest["Path"] == "/" and "Domain" not in rest
    value, rest = attributes(visitor.call("sign_out"))
    assert value == f"{name}=" and ("Secure" in rest) is public_url.startswith("https")


def test_a_cookie_without_the_host_prefix_is_refused_under_tls(open_site):
    site = open_site(public_url="https://kv.example.org")
    value, _ = attributes(site.visitor().call("sign_up", **CREDENTIALS))
    token = value.removeprefix("__Host-rkv_session=")
    for name, status in (("rkv_session", 401), ("__Host-rkv_session", 200)):
        visitor = site.visitor()
        visitor.client.set_cookie(name, token)
        assert visitor.get("/api/v1/me").status_code == status


AT = {"Host": "localhost:5000"}


def sent(answer):
    """Return {name: value} of the cookies that an answer sets; an empty value deletes one."""
    return dict(header.split(";")[0].split("=", 1) for header in answer.headers.getlist("Set-Cookie"))


def ask(site, path, **cookies):
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return site.app.test_client(use_cookies=False).get(path, headers=AT | {"Cookie": header})


def test_a_session_cookie_without_a_port_is_renamed_to_include_it(site, alice):
    token = alice.cookie
    for path in ("/api/v1/me", "/keys", "/rkv.js"):
        answer = ask(site, path, rkv_session=token)
        assert answer.status_code == 200
        assert sent(answer) == {"rkv_session": "", "rkv_session_5000": token}
        assert all("Expires=" in header for header in answer.headers.getlist("Set-Cookie"))
    assert sent(ask(site, "/api/v1/me", rkv_session_5000=token)) == {}


def test_a_renamed_cookie_of_a_browser_session_still_has_no_expiry(site, alice):
    short = site.visitor()
    short.call("sign_in", keep=False, **CREDENTIALS)
    answer = ask(site, "/keys", rkv_session=short.cookie)
    (made,) = [header for header in answer.headers.getlist("Set-Cookie") if "rkv_session_5000" in header]
    assert "Expires=" not in made and "Max-Age" not in made


@pytest.mark.parametrize("theirs", ["rks_" + "A" * 43, "something-else", "rkv_" + "A" * 43])
def test_the_cookie_of_another_server_on_this_host_is_left_alone(site, alice, theirs):
    assert sent(ask(site, "/api/v1/me", rkv_session=theirs, rkv_session_5000=alice.cookie)) == {}
    answer = ask(site, "/api/v1/me", rkv_session=theirs)
    assert answer.status_code == 401 and sent(answer) == {}
    answer = ask(site, "/signin", rkv_session=theirs)
    assert answer.status_code == 200 and sent(answer).keys() == {"rkv_form_5000"}
    client = site.app.test_client(use_cookies=False)
    answer = client.post("/api/v1/sign_out", headers=AT | {"Cookie": f"rkv_session={theirs}"})
    assert answer.status_code == 204 and sent(answer) == {}
    answer = client.post("/api/v1/sign_in", json=CREDENTIALS, headers=AT | {"Cookie": f"rkv_session={theirs}"})
    assert answer.status_code == 200 and sent(answer).keys() == {"rkv_session_5000"}


def test_signing_in_or_out_deletes_a_session_cookie_without_a_port(site, alice):
    client = site.app.test_client(use_cookies=False)
    headers = AT | {"Cookie": f"rkv_session={alice.cookie}"}
    answer = client.post("/api/v1/sign_in", json=CREDENTIALS, headers=headers)
    assert sent(answer)["rkv_session"] == "" and sent(answer)["rkv_session_5000"]
    assert ask(site, "/api/v1/me", rkv_session=alice.cookie).status_code == 401
    token = sent(answer)["rkv_session_5000"]
    answer = client.post("/api/v1/sign_out", headers=AT | {"Cookie": f"rkv_session={token}"})
    assert sent(answer) == {"rkv_session": "", "rkv_session_5000": ""}


@pytest.mark.parametrize(
    ("settings", "host", "name"),
    [
        ({}, "localhost", "rkv_session"),
        ({}, "localhost:80", "rkv_session"),
        ({}, "127.0.0.1:5000", "rkv_session_5000"),
        ({}, "[::1]:8080", "rkv_session_8080"),
        ({"public_url": "https://kv.example.org"}, "127.0.0.1:5000", "__Host-rkv_session"),
        ({"public_url": "https://kv.example.org:8443"}, "kv.example.org:8443", "__Host-rkv_session_8443"),
        ({"public_url": "http://kv.example.org:8080"}, "127.0.0.1:5000", "rkv_session_8080"),
    ],
)
def test_the_cookie_name_contains_the_port_that_the_browser_uses(open_site, settings, host, name):
    client = open_site(**settings).app.test_client(use_cookies=False)
    answer = client.post("/api/v1/sign_up", json=CREDENTIALS, headers={"Host": host})
    assert sent(answer).keys() == {name}
    document = client.get("/api/v1/openapi.json", headers={"Host": host}).json
    assert document["components"]["securitySchemes"]["session"]["name"] == name


def test_requests_within_a_session_set_no_cookie(alice):
    for answer in (
        alice.get("/keys"),
        alice.get("/api/v1/me"),
        alice.get("/signin"),
        alice.call("set", key="a", value=1),
    ):
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("planted", ["rks_" + "A" * 43, "chosen-by-somebody-else", ""])
def test_a_cookie_planted_before_signing_in_is_replaced(site, alice, planted):
    victim = site.visitor()
    victim.client.set_cookie("rkv_session", planted)
    victim.call("sign_in", **CREDENTIALS)
    assert victim.cookie != planted
    attacker = site.visitor(planted)
    assert attacker.get("/api/v1/me").status_code == 401


def test_signing_in_again_gives_a_new_token_and_ends_the_old_session(site, alice):
    old = alice.cookie
    alice.call("sign_in", **CREDENTIALS)
    assert alice.cookie != old
    assert alice.get("/api/v1/me").status_code == 200
    assert site.visitor(old).get("/api/v1/me").status_code == 401


def test_a_failed_sign_in_leaves_the_session_as_it_is(alice):
    old = alice.cookie
    alice.call("sign_in", username="Alice", password="the wrong password")
    assert alice.cookie == old
    assert alice.get("/api/v1/me").status_code == 200


def test_signing_up_as_somebody_else_ends_the_old_session_of_that_browser(site, alice):
    old = alice.cookie
    alice.call("sign_up", username="Bob", password=PASSWORD)
    assert alice.get("/api/v1/me").json["user"]["username"] == "Bob"
    assert site.visitor(old).get("/api/v1/me").status_code == 401


def test_signing_out_deletes_the_cookie(alice):
    value, rest = attributes(alice.post("/api/v1/sign_out"))
    assert value == "rkv_session="
    assert parse_date(rest["Expires"]).year == 1970
    assert rest["Path"] == "/"


def test_signing_out_ends_only_its_own_session(site, alice):
    other = site.visitor()
    other.call("sign_in", **CREDENTIALS)
    alice.post("/signout")
    assert alice.get("/api/v1/me").status_code == 401
    assert other.get("/api/v1/me").status_code == 200


def test_a_remember_token_cookie_authenticates_nobody(site, alice):
    visitor = site.visitor()
    for value in ["1|x", alice.cookie, f"{alice.cookie}|{'0' * 128}"]:
        visitor.client.set_cookie("remember_token", value)
        assert visitor.get("/keys").status_code == 303


@pytest.mark.parametrize("value", ["x" * 8000, "rks_" + "\xe9" * 43, '"', ";;;", "rks_" + "x" * 43, "../../etc/passwd"])
def test_a_malformed_or_unknown_session_cookie_authenticates_nobody(site, stranger, value):
    # with its own cookie jar the test client would not send this cookie
    stranger.client = site.app.test_client(use_cookies=False)
    headers = {"Cookie": f"rkv_session={value}"}
    assert stranger.get("/api/v1/me", headers=headers).status_code == 401
    assert stranger.get("/keys", headers=headers).status_code == 303
    assert stranger.post("/api/v1/sign_out", headers=headers).status_code == 204
