"""The cookie: a random token and nothing else, new at every sign-in, worth nothing afterwards."""

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
def test_under_tls_the_cookie_is_secure_and_this_hosts_alone(open_site, public_url, name):
    visitor = open_site(public_url=public_url).visitor()
    value, rest = attributes(visitor.call("sign_up", **CREDENTIALS))
    assert value.startswith(f"{name}=rks_")
    assert ("Secure" in rest) is public_url.startswith("https")
    assert rest["Path"] == "/" and "Domain" not in rest
    value, rest = attributes(visitor.call("sign_out"))
    assert value == f"{name}=" and ("Secure" in rest) is public_url.startswith("https")


def test_under_tls_a_cookie_that_another_host_of_the_domain_could_have_set_is_nobodys(open_site):
    site = open_site(public_url="https://kv.example.org")
    token = site.visitor().call("sign_up", token=True, **CREDENTIALS).json["token"]
    for name, status in (("rkv_session", 401), ("__Host-rkv_session", 200)):
        visitor = site.visitor()
        visitor.client.set_cookie(name, token)
        assert visitor.get("/api/v1/me").status_code == status


def test_no_other_answer_sets_a_cookie(alice):
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


def test_signing_out_takes_the_cookie_away(alice):
    value, rest = attributes(alice.post("/api/v1/sign_out"))
    assert value == "rkv_session="
    assert parse_date(rest["Expires"]).year == 1970
    assert rest["Path"] == "/"


def test_each_session_ends_by_itself(site, alice):
    other = site.visitor()
    other.call("sign_in", **CREDENTIALS)
    alice.post("/signout")
    assert alice.get("/api/v1/me").status_code == 401
    assert other.get("/api/v1/me").status_code == 200


def test_a_remember_cookie_is_nobody(site, alice):
    visitor = site.visitor()
    for value in ["1|x", alice.cookie, f"{alice.cookie}|{'0' * 128}"]:
        visitor.client.set_cookie("remember_token", value)
        assert visitor.get("/keys").status_code == 303


@pytest.mark.parametrize("value", ["x" * 8000, "rks_" + "\xe9" * 43, '"', ";;;", "rks_" + "x" * 43, "../../etc/passwd"])
def test_a_cookie_that_makes_no_sense_is_nobody(site, stranger, value):
    # with a jar of its own the test client would not send this one
    stranger.client = site.app.test_client(use_cookies=False)
    headers = {"Cookie": f"rkv_session={value}"}
    assert stranger.get("/api/v1/me", headers=headers).status_code == 401
    assert stranger.get("/keys", headers=headers).status_code == 303
    assert stranger.post("/api/v1/sign_out", headers=headers).status_code == 204
