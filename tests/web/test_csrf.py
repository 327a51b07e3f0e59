"""A form must be ours and shown to this very browser; a request must call the server by one of its own names."""

import base64

import pytest

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("path", ["/signin", "/signup", "/signout"])
@pytest.mark.parametrize("token", ["", "x", "a.b", "WyJhIiwiYiJd.AAAA"])
def test_form_without_a_valid_token_is_refused_and_has_no_effect(alice, path, token):
    answer = alice.post(path, data={"csrf_token": token, "username": "eve", "password": PASSWORD})
    assert answer.status_code == 403
    assert "load the page again" in answer.text
    assert alice.call("get", key="a").json["code"] == "not_found"


def test_refusal_of_a_form_without_cookies_says_that_cookies_are_needed(site, stranger):
    token = stranger.form_token()
    for path in ("/signin", "/signup"):
        answer = site.visitor().client.post(path, data={"csrf_token": token, "username": "eve", "password": PASSWORD})
        assert answer.status_code == 403 and "Allow cookies for this site" in answer.text


def test_form_opened_before_cookie_names_had_a_port_is_still_accepted(site):
    visitor = site.visitor()
    token = visitor.form_token()
    holder = visitor.client.get_cookie("rkv_form").value
    headers = {"Host": "localhost:5000", "Cookie": f"rkv_form={holder}"}
    form = {"csrf_token": token, "username": "nobody", "password": PASSWORD}
    client = site.app.test_client(use_cookies=False)
    assert client.post("/signin", data=form, headers=headers).status_code == 401
    headers["Cookie"] = f"rkv_form_5000={holder}x"
    assert client.post("/signin", data=form, headers=headers).status_code == 403


def test_token_is_valid_for_one_browser_only(site, alice, stranger):
    theirs = stranger.form_token()
    assert alice.post("/signout", data={"csrf_token": theirs}).status_code == 403
    assert site.visitor().post("/signout", data={"csrf_token": theirs}).status_code == 403
    mine = alice.form_token()
    assert stranger.post("/signout", data={"csrf_token": mine}).status_code == 403


def test_form_opened_before_signing_in_is_still_accepted(stranger):
    before = stranger.form_token()
    assert stranger.post("/signup", data={"username": "alice", "password": PASSWORD}).status_code in {200, 303}
    assert stranger.post("/signout", data={"csrf_token": before}).status_code == 303


def test_a_token_is_signed_with_256_bits(alice):
    signature = alice.form_token().rpartition(".")[2]
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32


def test_no_two_tokens_are_the_same(alice):
    assert alice.form_token() != alice.form_token()


def test_form_cookie_is_bound_to_the_host_under_tls(open_site):
    visitor = open_site(public_url="https://kv.example.org").visitor()
    (cookie,) = visitor.get("/signin").headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-rkv_form=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; ")) and "Domain" not in cookie


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "127.0.0.1@evil.example"])
@pytest.mark.parametrize("path", ["/signin", "/keys", "/api/v1/me", "/rkv.js"])
def test_requests_with_an_unknown_host_header_are_refused(alice, host, path):
    assert alice.get(path, headers={"Host": host}).status_code == 400


def test_localhost_any_ip_address_and_configured_hosts_are_accepted(open_site):
    visitor = open_site(hosts=("kv", "kv.internal")).visitor()
    for host in ("localhost:5000", "127.0.0.1", "[::1]:5000", "10.0.0.7", "kv:5000", "KV.internal"):
        assert visitor.get("/signin", headers={"Host": host}).status_code == 200
    assert visitor.get("/healthz", headers={"Host": "anything"}).status_code == 200


def test_hosts_other_than_that_of_the_public_url_are_refused(open_site):
    visitor = open_site(public_url="https://kv.example.org").visitor()
    assert visitor.get("/signin", headers={"Host": "kv.example.org"}).status_code == 200
    assert visitor.get("/signin", headers={"Host": "10.0.0.7"}).status_code == 400
