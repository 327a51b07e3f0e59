"""Signing in with a second step, and the account pages: all by plain forms, without JavaScript."""

import re
import time
from html import unescape
from urllib.parse import urlsplit

import pyotp
import pytest

PASSWORD = "correct horse battery"
TABS = ["profile", "security", "sessions", "tokens", "data", "preferences"]
SECURITY, SESSIONS, TOKENS, DATA = (f"/account/{tab}" for tab in ("security", "sessions", "tokens", "data"))


def texts(page, element_id):
    """Return the words of an element that holds only text."""
    return unescape(re.search(rf'id="{element_id}"[^>]*>([^<]*)<', page.text)[1]).split()


def codes_of(visitor):
    return texts(visitor.post(SECURITY, data={"do": "codes", "password": PASSWORD}), "codes")


def enrol(visitor):
    """Switch on two-step sign-in, and return the authenticator."""
    page = visitor.post(SECURITY, data={"do": "two_step", "password": PASSWORD})
    app = pyotp.TOTP("".join(texts(page, "secret")))
    answer = visitor.post(SECURITY, data={"do": "confirm", "code": app.now()})
    assert answer.location == f"{SECURITY}?done=two_step_on"
    return app


def sign_in(visitor, password=PASSWORD, **more):
    return visitor.post("/signin", data={"username": "alice", "password": password, **more})


def later(app):
    """Return the code after the one that was used for switching on."""
    return app.at(int(time.time()) + 30)


def make_token(visitor, **more):
    form = {"do": "create", "name": "a name", "scope": "read", "days": "30"}
    return visitor.post(TOKENS, data=form | more)


def cookies(answer):
    return {header.split("=")[0]: header for header in answer.headers.getlist("Set-Cookie")}


def is_told_at(page, field):
    """Return whether the error message is beside the field and linked to it."""
    told = re.search(rf'id="{field}"[^>]*aria-describedby="([^"]*)"[^>]*aria-invalid="true"', page.text)
    return told is not None and any(f'id="{name}"' in page.text for name in told[1].split() if "problem" in name)


def test_ten_recovery_codes_are_shown_at_sign_up_and_never_again(site, stranger):
    page = stranger.post("/signup", data={"username": "Alice", "password": PASSWORD, "next": "/keys?key=a"})
    codes = texts(page, "codes")
    assert len(set(codes)) == 10 and 'href="/keys?key=a">I\'ve saved them' in page.text
    assert "data:text/plain" in page.text and page.headers["Cache-Control"] == "no-store"
    for tab in TABS:
        assert codes[0] not in stranger.get(f"/account/{tab}").text
    other = {"username": "alice", "code": codes[0].lower().replace("-", " "), "new_password": "another fine phrase"}
    assert site.visitor().post("/recover/code", data=other).location == "/signin?done=password_set"


@pytest.mark.parametrize("kept", [True, False])
def test_session_cookie_persists_only_with_keep_me_signed_in(site, alice, kept):
    assert 'name="kept" value="yes" checked' in site.visitor().get("/signin").text
    answer = sign_in(site.visitor(), **({"kept": "yes"} if kept else {}))
    assert ("Expires=" in cookies(answer)["rkv_session"]) is kept


def test_second_step_asks_for_a_code_and_redirects_to_the_requested_page(site, alice):
    app, visitor = enrol(alice), site.visitor()
    answer = sign_in(visitor, next="/keys?key=a", kept="yes")
    assert urlsplit(answer.location).path == "/signin/code"
    assert "rkv_session" not in cookies(answer)
    ticket = cookies(answer)["rkv_step"]
    assert "HttpOnly" in ticket and "Max-Age=300" in ticket
    assert ticket.split("=")[1].split(";")[0] not in answer.location + visitor.get(answer.location).text
    form = {"next": "/keys?key=a", "kept": "yes"}
    wrong = visitor.post("/signin/code", data=form | {"code": "000000"})
    assert wrong.status_code == 401 and is_told_at(wrong, "code")
    right = visitor.post("/signin/code", data=form | {"code": later(app)})
    assert right.location == "/keys?key=a" and "Expires=" in cookies(right)["rkv_session"]
    assert "Max-Age=0" in cookies(right)["rkv_step"]
    assert visitor.get("/keys").status_code == 200


def test_recovery_code_is_accepted_instead_of_an_authenticator_code(site, alice):
    codes, _ = codes_of(alice), enrol(alice)
    visitor = site.visitor()
    sign_in(visitor)
    assert "Recovery code" in visitor.get("/signin/code?by=recovery").text
    assert visitor.post("/signin/code", data={"by": "recovery", "code": codes[0]}).location == "/keys"
    assert "9 left" in visitor.get("/account/profile").text


def test_too_many_wrong_codes_end_the_pending_sign_in(site, alice):
    app, visitor = enrol(alice), site.visitor()
    sign_in(visitor)
    answers = [visitor.post("/signin/code", data={"code": "000000"}).status_code for _ in range(6)]
    assert answers[0] == 401 and answers[-1] in {410, 429}
    assert visitor.post("/signin/code", data={"code": later(app)}).status_code in {410, 429}
    assert visitor.get("/keys").status_code == 303


def test_second_step_requires_the_first_one(stranger):
    assert stranger.get("/signin/code").location == "/signin"
    answer = stranger.post("/signin/code", data={"code": "123456"})
    assert answer.status_code == 410 and "Sign in again" in answer.text


@pytest.mark.parametrize("tab", [*TABS, "events"])
def test_account_pages_require_sign_in(alice, stranger, tab):
    assert stranger.get(f"/account/{tab}").location == f"/signin?next=/account/{tab}"
    page = alice.get(f"/account/{tab}")
    assert page.status_code == 200 and page.text.count("<h1") == 1
    assert page.headers["Cache-Control"] == "no-store"
    assert 'style="' not in page.text and " onclick" not in page.text


@pytest.mark.parametrize("path", [SECURITY, SESSIONS, TOKENS, DATA])
def test_form_sent_after_the_session_ended_leads_to_sign_in_and_back(alice, path):
    token = alice.form_token()
    alice.post("/signout")
    answer = alice.post(path, data={"csrf_token": token, "do": "password"})
    assert answer.location == f"/signin?next={path}"


@pytest.mark.parametrize("path", [SECURITY, SESSIONS, TOKENS, DATA])
@pytest.mark.parametrize("do", ["", "nothing", "__class__"])
def test_form_with_an_unknown_action_is_a_bad_request(alice, path, do):
    assert alice.post(path, data={"do": do}).status_code == 400


def test_password_change_ends_other_sessions_and_replaces_the_old_password(site, alice):
    other = site.program("alice")
    form = {"do": "password", "password": PASSWORD, "new_password": "a much better phrase"}
    old = alice.cookie
    answer = alice.post(SECURITY, data=form)
    assert answer.location == f"{SECURITY}?done=password" and alice.cookie != old
    assert "Password changed" in alice.get(answer.location).text
    assert other.get("/api/v1/me").status_code == 401 == site.visitor(old).get("/api/v1/me").status_code
    assert sign_in(site.visitor()).status_code == 401
    assert sign_in(site.visitor(), "a much better phrase").location == "/keys"


@pytest.mark.parametrize(
    ("form", "status", "field", "words"),
    [
        ({"do": "password", "password": "not this one"}, 401, "password-password", "not your password"),
        ({"do": "password", "password": PASSWORD, "new_password": "12345678"}, 422, "new_password", "easy to guess"),
        ({"do": "codes", "password": "not this one"}, 401, "codes-password", "not your password"),
        ({"do": "two_step", "password": "not this one"}, 401, "two_step-password", "not your password"),
        ({"do": "confirm", "code": "000000"}, 401, "code", "not valid now"),
    ],
)
def test_security_form_errors_are_shown_beside_their_field(alice, form, status, field, words):
    page = alice.post(SECURITY, data=form)
    assert page.status_code == status and words in page.text and is_told_at(page, field)
    assert "not this one" not in page.text and PASSWORD not in page.text


def test_the_qr_code_and_the_secret_are_shown_once(alice):
    page = alice.post(SECURITY, data={"do": "two_step", "password": PASSWORD})
    secret = "".join(texts(page, "secret"))
    assert "<svg" in page.text and 'style="' not in page.text
    wrong = alice.post(SECURITY, data={"do": "confirm", "code": "000000"})
    assert wrong.status_code == 401 and secret not in wrong.text.replace(" ", "")
    answer = alice.post(SECURITY, data={"do": "confirm", "code": pyotp.TOTP(secret).now()})
    assert answer.location == f"{SECURITY}?done=two_step_on"
    assert "Switch it off" in alice.get(SECURITY).text
    assert alice.post(SECURITY, data={"do": "two_step_off", "password": PASSWORD}).status_code == 303
    assert "Set it up" in alice.get(SECURITY).text


def test_new_recovery_codes_replace_the_old_ones(site, alice):
    old, new = codes_of(alice), codes_of(alice)
    form = {"username": "alice", "new_password": "another fine phrase"}
    assert site.visitor().post("/recover/code", data=form | {"code": old[0]}).status_code == 401
    assert site.visitor().post("/recover/code", data=form | {"code": new[0]}).status_code == 303


def test_one_session_or_all_others_can_be_ended_from_the_list(site, alice):
    phone, tablet = site.program("alice"), site.program("alice")
    page = alice.get(SESSIONS)
    ids = re.findall(r'name="id" value="([^"]+)"', page.text)
    assert len(ids) == 2 and page.text.count("this one") == 1
    assert alice.post(SESSIONS, data={"do": "end", "id": ids[0]}).location == f"{SESSIONS}?done=session"
    assert sorted(visitor.get("/api/v1/me").status_code for visitor in (phone, tablet)) == [200, 401]
    gone = alice.post(SESSIONS, data={"do": "end", "id": ids[0]})
    assert gone.status_code == 404 and "may have ended already" in gone.text
    assert alice.post(SESSIONS, data={"do": "end_others"}).location == f"{SESSIONS}?done=sessions"
    assert [visitor.get("/api/v1/me").status_code for visitor in (phone, tablet, alice)] == [401, 401, 200]


def test_sessions_of_another_user_cannot_be_ended(site, alice, charlie):
    site.program("alice")
    (other, *_) = re.findall(r'name="id" value="([^"]+)"', alice.get(SESSIONS).text)
    assert charlie.post(SESSIONS, data={"do": "end", "id": other}).status_code == 404
    assert len(re.findall(r'name="id" value="([^"]+)"', alice.get(SESSIONS).text)) == 1


def test_new_token_is_shown_once_has_its_scope_and_can_be_revoked(site, alice):
    form = {"do": "create", "name": "weather <b>station</b>", "scope": "read", "prefix": "app/ü&", "days": "30"}
    page = alice.post(TOKENS, data=form)
    (token,) = texts(page, "token")
    program = site.visitor(token)
    assert "list?prefix=app%2F%C3%BC%26" in page.text and "<b>station" not in page.text
    assert program.get("/api/v1/list", query_string={"prefix": "app/ü&"}).status_code == 200
    assert program.call("set", key="app/ü&x", value=1).status_code == 403
    listed = alice.get(TOKENS).text
    assert token not in listed and "weather &lt;b&gt;station" in listed
    (public,) = re.findall(r'name="id" value="([^"]+)"', listed)
    assert alice.post(TOKENS, data={"do": "revoke", "id": public}).location == f"{TOKENS}?done=token"
    assert program.get("/api/v1/me").status_code == 401
    assert "No tokens yet" in alice.get(TOKENS).text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"name": " "}, "name"), ({"name": "a\tb"}, "name"), ({"prefix": "a\nb"}, "prefix"), ({"days": "1e9"}, "days")],
)
def test_invalid_token_form_shows_its_error_beside_the_field_and_keeps_input(alice, wrong, field):
    form = {"do": "create", "name": "a name", "scope": "write", "prefix": "app/", "days": "7"} | wrong
    page = alice.post(TOKENS, data=form)
    assert page.status_code in {400, 422} and re.search(rf'id="{field}"[^>]*aria-invalid="true"', page.text)
    assert 'value="write" checked' in page.text


def test_account_events_are_listed_page_by_page(alice):
    for _ in range(30):
        token = re.findall(r'name="id" value="([^"]+)"', make_token(alice).text + alice.get(TOKENS).text)[-1]
        alice.post(TOKENS, data={"do": "revoke", "id": token})
    first = alice.get("/account/events")
    assert "API token created" in first.text and "Signed up" not in first.text
    older = re.search(r'href="(/account/events\?before=\d+)"', first.text)[1]
    second = alice.get(older)
    assert "Signed up" in second.text and "?before" not in second.text
    for before in ("x", "-1", "9" * 40, "٣"):
        assert alice.get("/account/events", query_string={"before": before}).status_code == 200


def test_account_is_deleted_by_name_and_password_and_restored_by_sign_in(site, alice):
    alice.call("set", key="a", value=1)
    other, form = site.program("alice"), {"do": "delete", "username": "Alice", "password": PASSWORD}
    nameless = alice.post(DATA, data=form | {"username": "Alicia"})
    assert nameless.status_code == 400 and is_told_at(nameless, "username")
    unproved = alice.post(DATA, data=form | {"password": "not this one"})
    assert unproved.status_code == 401 and is_told_at(unproved, "delete-password")
    answer = alice.post(DATA, data=form)
    assert answer.location == "/signin?done=deleted" and alice.cookie is None
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert other.get("/api/v1/me").status_code == 401
    assert sign_in(alice).location == "/keys"
    assert alice.call("get", key="a").json["entry"]["value"] == 1


def test_sign_out_clears_the_cache_and_storage_of_the_browser(alice):
    assert alice.post("/signout").headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "Clear-Site-Data" not in alice.get("/signin").headers


def test_done_parameter_cannot_inject_text_into_a_page(alice):
    page = alice.get(f"{SECURITY}?done=<script>alert(1)</script>")
    assert page.status_code == 200 and "alert(1)" not in page.text


def test_only_a_superuser_sees_the_link_to_the_admin_pages(site, alice):
    assert 'href="/admin"' not in alice.get("/keys").text
    site.app.extensions["realtime_kv"].store.writer.run_in_transaction(
        lambda db: db.exec_driver_sql("UPDATE users SET is_admin = 1")
    )
    assert 'href="/admin"' in alice.get("/keys").text
