import re

import pytest

from realtime_kv.accounts.audit_log import CLI

PASSWORD = "correct horse battery"


def test_signing_up_returns_the_user_and_sets_the_cookie(stranger):
    answer = stranger.call("sign_up", username="Alice", password=PASSWORD)
    assert answer.status_code == 201
    assert answer.json.keys() == {"ok", "user", "recovery_codes"}
    assert len(answer.json["recovery_codes"]) == 10
    assert answer.json["ok"] is True
    user = answer.json["user"]
    assert (user["username"], user["is_admin"]) == ("Alice", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user["created_at"])
    assert stranger.get("/api/v1/me").json["user"] == user


def test_signing_in_returns_the_user_and_sets_the_cookie(site, alice):
    visitor = site.visitor()
    answer = visitor.call("sign_in", username="alice", password=PASSWORD)
    assert answer.status_code == 200
    assert answer.json == {"ok": True, "user": alice.get("/api/v1/me").json["user"]}
    assert visitor.cookie


@pytest.mark.parametrize("call", ["sign_up", "sign_in"])
def test_token_true_returns_a_token_and_sets_no_cookie(site, alice, call):
    visitor = site.visitor()
    username = "Bob" if call == "sign_up" else "Alice"
    answer = visitor.call(call, username=username, password=PASSWORD, token=True)
    assert answer.json.keys() - {"recovery_codes"} == {"ok", "user", "token", "expires_at"}
    assert ("recovery_codes" in answer.json) == (call == "sign_up")
    assert re.fullmatch(r"rks_[A-Za-z0-9_-]{43}", answer.json["token"])
    assert "Set-Cookie" not in answer.headers and visitor.cookie is None
    assert site.visitor(answer.json["token"]).get("/api/v1/me").json["user"]["username"] == username


def test_me_returns_the_session_the_usage_the_limits_and_the_server(open_site):
    site = open_site(quota_keys=10, quota_bytes=1000, value_bytes=100)
    alice = site.browser("Alice")
    alice.call("set", key="colour", value="red")
    answer = alice.get("/api/v1/me", headers={"User-Agent": "curl/8"}).json
    assert answer["usage"]["keys"] == 1 and answer["usage"]["bytes"] > 0
    assert answer["session"].keys() == {"id", "label", "kind", "scope", "prefix"}
    assert answer["limits"] == {
        "key": 512,
        "value": 100,
        "batch": 128,
        "message": 1024 * 1024,
        "keys": 10,
        "bytes": 1000,
    }
    assert {"get", "set", "delete", "list", "batch", "sync"} <= set(answer["server"]["verbs"])
    assert answer["server"]["version"]


def test_me_returns_the_quota_set_for_the_user(open_site):
    site = open_site(quota_keys=10, quota_bytes=1000)
    alice = site.browser("Alice")
    services = site.app.extensions["realtime_kv"]
    services.runtime.wait(services.accounts.administration.set_quota(CLI, "Alice", 3, None))
    limits = alice.get("/api/v1/me").json["limits"]
    assert (limits["keys"], limits["bytes"]) == (3, 1000)


def test_the_session_label_names_the_program_that_signed_in(site, alice):
    answer = site.visitor().post(
        "/api/v1/sign_in",
        json={"username": "alice", "password": PASSWORD, "token": True},
        headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    )
    program = site.visitor(answer.json["token"])
    assert program.get("/api/v1/me").json["session"]["label"] == "Firefox on Linux"


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(site, alice):
    wrong = site.visitor().call("sign_in", username="alice", password="the wrong password")
    unknown = site.visitor().call("sign_in", username="nobody", password="the wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json.pop("request_id") != unknown.json.pop("request_id")
    assert wrong.json | {"request_id": 0} == unknown.json | {"request_id": 0}
    assert wrong.json["code"] == "invalid_credentials"


@pytest.mark.parametrize(
    ("username", "password", "status", "code"),
    [
        ("al", PASSWORD, 422, "invalid_name"),
        ("al ice", PASSWORD, 422, "invalid_name"),
        ("al\x00ice", PASSWORD, 422, "invalid_name"),
        ("x" * 100_000, PASSWORD, 422, "invalid_name"),
        ("bob", "short", 422, "invalid_password"),
        ("bob", "12345678", 422, "invalid_password"),
        ("bob", "x" * 1025, 422, "invalid_password"),
        ("ALICE", PASSWORD, 409, "name_taken"),
    ],
)
def test_signing_up_against_the_rules_is_refused_with_a_reason(site, alice, username, password, status, code):
    answer = site.visitor().call("sign_up", username=username, password=password)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert code == "name_taken" or answer.json["reason"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("call", ["sign_up", "sign_in"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"{", None),
        (b"null", None),
        (b"[]", None),
        (b'"alice"', None),
        (b"{}", None),
        (b'{"username":"alice"}', None),
        (b'{"username":"alice","password":"correct horse","remember":true}', None),
        (b'{"username":1,"password":"correct horse"}', "username"),
        (b'{"username":null,"password":"correct horse"}', "username"),
        (b'{"username":"alice","password":["correct horse"]}', "password"),
        (b'{"username":"alice","password":"correct horse","token":1}', "token"),
        (b'{"username":"alice","password":"correct horse","token":null}', "token"),
        (b'{"username":"alice","password":"correct horse"} {}', None),
        (b'{"username":"al\\ud800ice","password":"correct horse"}', None),
        (b'{"username":"alice","password":"correct \xff horse"}', None),
        (b'{"username":' + b"[" * 200_000, "username"),
        (b'{"username":NaN,"password":"correct horse"}', None),
        ('{"username":"alice","password":"correct horse"}'.encode("utf-16"), None),
    ],
)
def test_a_body_that_violates_the_protocol_is_a_bad_request(stranger, call, body, field):
    answer = stranger.post(f"/api/v1/{call}", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert field is None or answer.json["field"] == field


def test_the_last_duplicate_field_wins(stranger):
    body = b'{"username":"first","username":"second","password":"correct horse battery"}'
    answer = stranger.post("/api/v1/sign_up", data=body, content_type="application/json")
    assert answer.json["user"]["username"] == "second"


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(site, alice):
    copied = site.visitor()
    copied.client.set_cookie("rkv_session", alice.cookie)
    assert copied.get("/api/v1/me").status_code == 200
    answer = alice.post("/api/v1/sign_out")
    assert answer.status_code == 204 and answer.data == b""
    assert alice.cookie is None
    for visitor in (alice, copied):
        for answer in (visitor.get("/api/v1/me"), visitor.call("set", key="a", value=1), visitor.get("/api/v1/list")):
            assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")


def test_the_cookie_of_an_ended_session_is_refused(site, alice):
    token = alice.cookie
    alice.post("/api/v1/sign_out")
    again = site.visitor()
    again.client.set_cookie("rkv_session", token)
    assert again.get("/api/v1/me").status_code == 401
    assert again.get("/keys").status_code == 303


def test_a_bearer_token_signs_out_itself_and_nobody_else(site, alice):
    program, other = site.program("Alice"), site.program("Alice")
    assert program.post("/api/v1/sign_out").status_code == 204
    assert program.get("/api/v1/me").status_code == 401
    assert other.get("/api/v1/me").status_code == 200
    assert alice.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("body", [{}, {"json": {}}, {"data": b"", "content_type": "application/json"}])
def test_signing_out_works_without_a_session_and_with_an_empty_body(stranger, body):
    assert stranger.post("/api/v1/sign_out", **body).status_code == 204


def test_signing_out_with_an_unexpected_body_is_a_bad_request(alice):
    assert alice.post("/api/v1/sign_out", json={"everywhere": True}).status_code == 400
    assert alice.post("/api/v1/sign_out", data="x=1", content_type="text/plain").status_code == 400
    assert alice.get("/api/v1/me").status_code == 200


def test_an_invalid_token_is_refused_even_with_a_valid_cookie(alice):
    for token in ["", "x", "rks_" + "x" * 43, "\xff" * 47]:
        answer = alice.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_url_is_ignored(site, alice):
    token = site.program("Alice").token
    for query in [f"token={token}", f"access_token={token}", f"rkv_session={token}"]:
        assert site.visitor().get(f"/api/v1/me?{query}").status_code == 401
        assert site.visitor().get(f"/api/v1/list?{query}").status_code == 401


def test_password_guessing_is_throttled_with_a_retry_after(site, alice):
    answers = [site.visitor().call("sign_in", username="alice", password=f"guess number {n}") for n in range(12)]
    refused = answers[-1]
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == str(refused.json["retry_after"])
    assert refused.json["retry_after"] >= 1


def test_password_guessing_is_not_throttled_with_rate_limits_off(open_site):
    site = open_site(rate_limits=False)
    answers = [site.visitor().call("sign_in", username="alice", password="a wrong guess") for _ in range(15)]
    assert {answer.status_code for answer in answers} == {401}
