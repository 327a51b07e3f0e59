"""A page on another origin, if it is one of `RKV_ORIGINS`, can load the client and read every answer."""

import re
from urllib.parse import urljoin

import pytest

PARTNER, STRANGER = "https://app.example.com", "https://evil.example"
PASSWORD = "correct horse battery"
IMPORTED = re.compile(r"""(?:from|import)\s*\(?\s*["']([./][^"']+)["']""")


@pytest.fixture
def site(open_site):
    return open_site(origins=(PARTNER,), verbs_per_second=3)


@pytest.fixture
def partner(site):
    """Sign up from a page of the partner, and return a visitor with the token."""
    answer = site.visitor().call("sign_up", username="Alice", password=PASSWORD, token=True)
    return site.visitor(answer.json["token"])


def readable(answer, origin=PARTNER):
    return answer.headers.get("Access-Control-Allow-Origin") == origin


def test_the_client_and_all_its_modules_can_be_loaded_from_any_origin(stranger):
    waiting, seen = ["/rkv.js"], set()
    while waiting:
        address = waiting.pop()
        seen.add(address)
        answer = stranger.get(address, headers={"Origin": STRANGER})
        assert answer.status_code == 200, address
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "javascript" in answer.content_type
        imported = {urljoin(address, path) for path in IMPORTED.findall(answer.text)}
        waiting += imported - seen - set(waiting)
    assert {
        "/static/js/client/client.js",
        "/static/js/client/auth.js",
        "/static/js/vendor/socket.io.esm.min.js",
    } <= seen
    # other origins may load nothing else of ours
    for address in ("/static/css/base.css", "/signin"):
        assert "Access-Control-Allow-Origin" not in stranger.get(address, headers={"Origin": STRANGER}).headers


def test_an_allowed_origin_signs_users_up_in_and_out_without_a_cookie(site):
    headers, who = {"Origin": PARTNER}, {"username": "Zoe", "password": PASSWORD, "token": True}
    for path, status in (("sign_up", 201), ("sign_in", 200)):
        answer = site.visitor().post(f"/api/v1/{path}", json=who, headers=headers)
        assert answer.status_code == status
        assert readable(answer)
        assert "Set-Cookie" not in answer.headers
    program = site.visitor(answer.json["token"])
    answer = program.post("/api/v1/sign_out", headers=headers)
    assert answer.status_code == 204
    assert readable(answer)
    answer = program.get("/api/v1/me", headers=headers)
    assert answer.status_code == 401
    assert readable(answer)


def test_an_allowed_origin_can_read_every_answer_including_refusals(site, partner):
    headers = {"Origin": PARTNER}
    set_k = {"key": "k", "value": 1}
    answers = {
        200: partner.post("/api/v1/set", json=set_k, headers=headers),
        400: partner.post("/api/v1/set", data=b"{", headers={**headers, "Content-Type": "application/json"}),
        401: site.visitor("rks_wrong").post("/api/v1/set", json=set_k, headers=headers),
        404: partner.get("/api/v1/nothing", headers=headers),
        405: partner.get("/api/v1/set", headers=headers),
        409: partner.post("/api/v1/set", json={**set_k, "if_revision": 0}, headers=headers),
        413: partner.post("/api/v1/set", json={"key": "k", "value": "x" * 70_000}, headers=headers),
        422: partner.post("/api/v1/set", json={"key": "", "value": 1}, headers=headers),
    }
    for _ in range(41):
        answers[429] = partner.post("/api/v1/set", json=set_k, headers=headers)
    for status, answer in answers.items():
        assert answer.status_code == status
        assert readable(answer), status
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Retry-After", "X-Request-Id"} <= set(exposed)
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answers[429].headers["Retry-After"] == str(answers[429].json["retry_after"])
    assert answers[401].headers["X-Request-Id"]


def test_preflights_are_answered_for_every_call_and_only_to_allowed_origins(site):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for call in ("set", "sync", "sign_up", "sign_out", "me", "tokens", "create_token", "revoke_token"):
        answer = site.visitor().ask(f"/api/v1/{call}", "OPTIONS", headers={"Origin": PARTNER, **asked})
        assert answer.status_code in {200, 204}
        assert readable(answer)
        refused = site.visitor().ask(f"/api/v1/{call}", "OPTIONS", headers={"Origin": STRANGER, **asked})
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_an_origin_that_is_not_allowed_cannot_sign_users_up(site):
    body = {"username": "Mallory", "password": PASSWORD, "token": True}
    answer = site.visitor().post("/api/v1/sign_up", json=body, headers={"Origin": STRANGER})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert site.visitor().call("sign_in", username="Mallory", password=PASSWORD).status_code == 401
