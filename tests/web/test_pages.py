"""The pages work without JavaScript, and lead to the sign-in page and back."""

from urllib.parse import quote

import pytest

from realtime_kv.web.http.parsing import FORM, MAX_FIELDS

PASSWORD = "correct horse battery"


def test_unauthenticated_pages_redirect_to_sign_in(stranger):
    for path, target in [
        ("/", "/signin"),
        ("/keys", "/signin?next=/keys"),
        ("/keys?key=a%20b&tab=use", "/signin?next=/keys%3Fkey%3Da%2520b%26tab%3Duse"),
    ]:
        answer = stranger.get(path)
        assert (answer.status_code, answer.location) == (303, target)


def test_sign_up_and_sign_in_lead_to_the_keys(site, stranger):
    assert stranger.get("/signup").status_code == 200
    answer = stranger.post("/signup", data={"username": "Alice", "password": PASSWORD})
    assert answer.status_code == 200 and b'href="/keys">I\'ve saved them' in answer.data
    page = stranger.get("/keys")
    assert page.status_code == 200 and b"Alice" in page.data
    again = site.visitor()
    answer = again.post("/signin", data={"username": "alice", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/keys")


def test_signed_in_user_is_redirected_past_the_sign_in_pages(alice):
    assert alice.get("/").location == "/keys"
    assert alice.get("/signin").location == "/keys"
    assert alice.get("/signup?next=/keys%3Fkey%3Da").location == "/keys?key=a"


@pytest.mark.parametrize(
    ("path", "module", "sheet"),
    [
        ("/activity", "history/activity-page.js", "past.css"),
        ("/trash", "history/trash-page.js", "past.css"),
        ("/keys?key=a", "key/key-view.js", "key.css"),
        ("/keys?key=a&tab=history", "history/history-tab.js", "past.css"),
        ("/keys?key=a&tab=use", "snippets/snippets-tab.js", "key.css"),
    ],
)
def test_page_preloads_the_module_and_stylesheet_of_its_url(alice, path, module, sheet):
    assert (
        f'<link rel="modulepreload" fetchpriority="low" href="/static/js/dashboard/{module}">' in alice.get(path).text
    )
    assert f'<link rel="stylesheet" href="/static/css/{sheet}">' in alice.get(path).text
    assert f"/{module}" not in alice.get("/keys").text and f"/{sheet}" not in alice.get("/keys").text


def test_sign_in_redirects_to_the_requested_page(site, alice, stranger):
    wanted = "/keys?key=app%2Fbanner&tab=use"
    page = stranger.get(f"/signin?next={quote(wanted, safe='')}")
    assert b"/keys?key=app%2Fbanner&amp;tab=use" in page.data
    form = {"username": "alice", "password": PASSWORD}
    answer = stranger.post("/signin", data=form | {"next": wanted})
    assert answer.location == wanted
    answer = site.visitor().post(f"/signin?next={quote(wanted, safe='')}", data=form)
    assert answer.location == wanted


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "http:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/keys\r\nSet-Cookie: a=b",
        "keys",
        "",
        "@evil.example",
        "/" + "x" * 10_000,
    ],
)
def test_sign_in_never_redirects_to_another_site(site, alice, target):
    form = {"username": "alice", "password": PASSWORD, "next": target}
    assert site.visitor().post("/signin", data=form).location == "/keys"
    assert alice.get("/signin", query_string={"next": target}).location == "/keys"


@pytest.mark.parametrize(
    ("path", "form", "status", "words"),
    [
        ("/signin", {"username": "Alice", "password": "the wrong one"}, 401, b"Wrong user name or password"),
        ("/signin", {"username": "Nobody", "password": PASSWORD}, 401, b"Wrong user name or password"),
        ("/signin", {"next": "/keys"}, 401, b"Wrong user name or password"),
        ("/signup", {"username": "ALICE", "password": PASSWORD}, 409, b"taken"),
        ("/signup", {"username": "al", "password": PASSWORD}, 422, b"3 to 32"),
        ("/signup", {"username": "Bob", "password": "12345678"}, 422, b"too easy to guess"),
        ("/signup", {"username": "Bob", "password": "short"}, 422, b"at least 8"),
        ("/signup", {"next": "/keys"}, 422, b"3 to 32"),
    ],
)
def test_failed_form_shows_the_error_and_keeps_the_username(alice, stranger, path, form, status, words):
    answer = stranger.post(path, data=form)
    assert answer.status_code == status and answer.mimetype == "text/html"
    assert words in answer.data
    name = form.get("username", "").encode()
    assert b'value="' + name + b'"' in answer.data
    if form.get("password"):
        assert form["password"].encode() not in answer.data
    assert "Set-Cookie" not in answer.headers


def test_form_input_is_escaped(stranger):
    answer = stranger.post("/signup", data={"username": '"><script>alert(1)</script>', "password": PASSWORD})
    assert b"<script>alert" not in answer.data
    answer = stranger.get("/signin", query_string={"next": '/"><script>alert(1)</script>'})
    assert b"<script>alert" not in answer.data


def test_rate_limited_page_sends_retry_after(site, alice):
    for _ in range(11):
        answer = site.visitor().post("/signin", data={"username": "alice", "password": "a wrong guess"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"username=alice&username=bob&password=x", "application/x-www-form-urlencoded"),
        (b"username=%FF&password=x", "application/x-www-form-urlencoded"),
        (b"username=alice&password=%ED%A0%80", "application/x-www-form-urlencoded"),
        (b'{"username":"alice"}', "application/json"),
        (b"--x--", "multipart/form-data; boundary=x"),
        (b"username=alice&password=x", "text/plain"),
    ],
)
def test_malformed_form_is_a_bad_request(stranger, body, content_type):
    for path in ("/signin", "/signup"):
        answer = stranger.post(path, data=body, content_type=content_type)
        assert answer.status_code == 400 and answer.mimetype == "text/html"


@pytest.mark.parametrize("path", ["/signin", "/signup", "/keys", "/api/v1/get", "/nowhere"])
def test_query_string_that_is_not_utf8_is_a_bad_request(stranger, path):
    # WSGI represents the byte 0x88 this way; no client library would send it
    answer = stranger.get(path, environ_overrides={"QUERY_STRING": "next=\x88"})
    assert answer.status_code == 400


def test_a_giant_form_is_too_large(stranger):
    answer = stranger.post("/signin", data={"username": "x" * 100_000, "password": "x"})
    assert answer.status_code == 413


def test_a_password_is_taken_exactly_as_typed(site, stranger):
    password = "  pass+wörd %41&=\u00a0 "
    assert stranger.post("/signup", data={"username": "Alice", "password": password}).status_code == 200
    for typed, status in [(password, 200), (password.strip(), 401), ("  pass wörd A&=\u00a0 ", 401)]:
        assert site.visitor().call("sign_in", username="alice", password=typed).status_code == status


def test_sign_out_ends_the_session_and_redirects_to_sign_in(site, alice):
    token = alice.cookie
    answer = alice.post("/signout")
    assert (answer.status_code, answer.location) == (303, "/signin")
    assert alice.cookie is None
    assert site.visitor(token).get("/api/v1/me").status_code == 401
    assert alice.get("/keys").status_code == 303
    assert alice.post("/signout").status_code == 303


def test_a_link_cannot_sign_anybody_out(alice):
    assert alice.get("/signout").status_code == 405
    assert alice.get("/api/v1/me").status_code == 200


def test_sign_in_by_form_ends_the_previous_session_of_the_browser(site, alice):
    old = alice.cookie
    alice.post("/signin", data={"username": "alice", "password": PASSWORD})
    assert alice.cookie != old
    assert site.visitor(old).get("/api/v1/me").status_code == 401


def test_unknown_page_is_an_html_404(stranger, alice):
    for visitor in (stranger, alice):
        answer = visitor.get("/nothing/here")
        assert answer.status_code == 404 and answer.mimetype == "text/html"
        assert b"nothing at this address" in answer.data


def test_trailing_slash_redirects_to_the_same_page_without_it(stranger, alice):
    for page in ("/keys", "/activity", "/account/tokens"):
        answer = alice.get(f"{page}/?q=%C3%A9&x=1")
        assert (answer.status_code, answer.headers["Location"]) == (308, f"{page}?q=%C3%A9&x=1")
    for path in (
        "/nothing/",
        "/static/js/nothing.js/",
        "/api/",
        "/api/v1/get/",
        "/keys%2F%2Fevil/",
        "/%5Cevil.example/",
    ):
        assert stranger.get(path).status_code == 404, path
    # never to another host
    answer = stranger.get("/x", environ_overrides={"PATH_INFO": "//keys/"})
    assert answer.headers["Location"] == "/keys"
    assert stranger.get("/x", environ_overrides={"PATH_INFO": "//evil.example/"}).status_code == 404
    assert stranger.client.post("/keys/").status_code == 404


def test_well_known_change_password_url_redirects_to_account_security(stranger):
    assert stranger.get("/.well-known/change-password").headers["Location"] == "/account/security"


def test_failed_page_is_an_html_500_without_internal_details(site, alice):
    store = site.app.extensions["realtime_kv"].store
    store.writer.run_in_transaction(lambda db: db.exec_driver_sql("DROP TABLE sessions") and None)
    answer = alice.get("/keys")
    assert answer.status_code == 500 and answer.mimetype == "text/html"
    assert b"sessions" not in answer.data and b"Traceback" not in answer.data


@pytest.mark.parametrize("path", ["/signin", "/signup"])
def test_form_or_query_with_too_many_fields_is_refused_before_parsing(stranger, path):
    many = "&".join(f"a{n}=b" for n in range(MAX_FIELDS + 1))
    refused = [stranger.get(f"{path}?{many}"), stranger.post(path, data=many, content_type=FORM)]
    assert [answer.status_code for answer in refused] == [400, 400]
    assert all(f"{MAX_FIELDS} fields" in answer.text for answer in refused)
