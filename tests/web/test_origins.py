"""The origins of pages that may use the cookie or a bearer token."""

import pytest

OURS, PARTNER, STRANGER = "https://kv.example.org", "https://app.example.com", "https://evil.example"
PASSWORD = "correct horse battery"
ALLOWED = [{}, {"Origin": OURS}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
REFUSED = [
    {"Origin": STRANGER},
    {"Origin": "null"},
    {"Origin": f"{OURS}.evil.example"},
    {"Origin": "http://kv.example.org"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": STRANGER, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
]


@pytest.fixture
def site(open_site):
    return open_site(public_url=OURS, origins=(PARTNER,))


@pytest.fixture
def alice(site):
    visitor = site.visitor()
    # the test client's cookie jar withholds a Secure cookie over plain HTTP
    visitor.client.environ_base["wsgi.url_scheme"] = "https"
    answer = visitor.call("sign_up", username="Alice", password=PASSWORD)
    value = answer.headers["Set-Cookie"].split(";")[0].removeprefix("__Host-rkv_session=")
    visitor.client.set_cookie("__Host-rkv_session", value)
    return visitor


@pytest.fixture
def program(site, alice):
    return site.program("Alice")


@pytest.mark.parametrize("headers", ALLOWED)
def test_cookie_is_accepted_from_same_origin_pages(alice, headers):
    assert alice.get("/api/v1/me", headers=headers).status_code == 200
    assert alice.get("/api/v1/list", headers=headers).status_code == 200
    assert alice.post("/api/v1/set", json={"key": "a", "value": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [*REFUSED, {"Origin": PARTNER}])
def test_cookie_from_another_origin_is_forbidden_and_has_no_effect(alice, headers):
    for answer in (
        alice.get("/api/v1/me", headers=headers),
        alice.get("/api/v1/list", headers=headers),
        alice.post("/api/v1/set", json={"key": "a", "value": 1}, headers=headers),
        alice.post("/api/v1/sign_out", headers=headers),
        alice.post("/api/v1/sign_in", json={"username": "Alice", "password": PASSWORD}, headers=headers),
        alice.post("/api/v1/sign_in", json={"username": "Alice", "password": PASSWORD, "token": True}, headers=headers),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
        assert "Set-Cookie" not in answer.headers
    assert alice.call("sync").json["revision"] == 0


@pytest.mark.parametrize("headers", [*ALLOWED, {"Origin": PARTNER}])
def test_bearer_token_is_accepted_from_programs_and_allowed_origins(program, headers):
    assert program.get("/api/v1/me", headers=headers).status_code == 200
    assert program.post("/api/v1/set", json={"key": "a", "value": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", REFUSED)
def test_bearer_token_from_a_disallowed_origin_is_forbidden(program, headers):
    assert program.get("/api/v1/me", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [*REFUSED, {"Origin": PARTNER}])
def test_cross_site_page_cannot_sign_a_user_in(site, alice, headers):
    visitor = site.visitor()
    for path in ("/api/v1/sign_in", "/api/v1/sign_up"):
        answer = visitor.post(path, json={"username": "Alice", "password": PASSWORD}, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    for path in ("/signin", "/signup"):
        answer = visitor.post(path, data={"username": "Alice", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", REFUSED)
def test_cross_site_page_cannot_sign_a_user_out(alice, headers):
    assert alice.post("/signout", headers=headers).status_code == 403
    assert alice.get("/api/v1/me").status_code == 200


def test_allowed_origin_can_sign_in_for_a_token(site, alice):
    headers = {"Origin": PARTNER}
    body = {"username": "Alice", "password": PASSWORD, "token": True}
    answer = site.visitor().post("/api/v1/sign_in", json=body, headers=headers)
    assert answer.status_code == 200 and answer.json["token"]
    assert answer.headers["Access-Control-Allow-Origin"] == PARTNER
    assert site.visitor().post("/api/v1/sign_in", json=body, headers={"Origin": STRANGER}).status_code == 403


def test_links_to_our_pages_work_from_anywhere(alice):
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert alice.get("/keys", headers=headers).status_code == 200


def test_a_preflight_from_an_allowed_origin_is_answered(stranger):
    for path in ("set", "get", "sign_in", "me"):
        answer = stranger.ask(
            f"/api/v1/{path}",
            "OPTIONS",
            headers={
                "Origin": PARTNER,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert answer.status_code in {200, 204}
        assert answer.headers["Access-Control-Allow-Origin"] == PARTNER
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert {"Authorization", "Content-Type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", [STRANGER, "null", OURS + ".evil.example", "*"])
def test_disallowed_origin_cannot_read_a_response(program, origin):
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        program.ask("/api/v1/set", "OPTIONS", headers=preflight),
        program.get("/api/v1/me", headers={"Origin": origin}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer.headers["Vary"]


def test_allowed_origin_can_read_error_responses(site, stranger):
    answer = stranger.get("/api/v1/me", headers={"Origin": PARTNER})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PARTNER
