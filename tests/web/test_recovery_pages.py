"""Account recovery by plain forms: no secret stays in a URL, and no answer reveals whether a name is known."""

import re
from html import unescape

import pytest

from realtime_kv.accounts.audit_log import CLI

PASSWORD, NEW = "correct horse battery", "another fine phrase"


@pytest.fixture
def sent():
    """Return the list that collects outgoing mails."""
    return []


@pytest.fixture
def mailed(open_site, sent):
    """A site that can send mail."""
    return open_site(send=sent.append)


def path_in(mail):
    """Return the path of the link in the mail."""
    return re.search(r"http://[^/\s]+(/(?:recover|account)/\S+)", mail.get_content())[1]


def services(site):
    return site.app.extensions["realtime_kv"]


def a_code(site):
    page = site.visitor().post("/signup", data={"username": "Alice", "password": PASSWORD})
    return unescape(re.search(r'id="codes"[^>]*>([^<]*)<', page.text)[1]).split()[0]


def a_link(site, name="alice"):
    return services(site).accounts.administration.recovery_link(CLI, name).result().secret


def held(answer, name="rkv_recovery"):
    (header,) = (cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith(f"{name}="))
    return header


def without_tokens(page):
    return re.sub(r'name="csrf_token" value="[^"]*"', "", page.text)


def sign_in(site, password=NEW):
    visitor = site.visitor()
    return visitor, visitor.post("/signin", data={"username": "alice", "password": password})


def test_a_recovery_code_sets_a_password_once_and_ends_all_sessions(site):
    code = a_code(site)
    old = site.program("alice")
    form = {"username": "Alice", "code": code, "new_password": NEW}
    answer = site.visitor().post("/recover/code", data=form)
    assert answer.location == "/signin?done=password_set"
    assert "all other sessions are signed out" in site.visitor().get(answer.location).text
    assert old.get("/api/v1/me").status_code == 401
    assert site.visitor().post("/recover/code", data=form).status_code == 401
    assert sign_in(site)[1].location == "/keys"


def test_a_wrong_code_gets_the_same_answer_for_known_and_unknown_names(site):
    a_code(site)
    form = {"code": "AAAAAA-BBBBBB-CCCCCC-DDDDDD", "new_password": NEW}
    known, unknown = (site.visitor().post("/recover/code", data=form | {"username": n}) for n in ("alice", "nobod"))
    assert known.status_code == unknown.status_code == 401
    assert without_tokens(known).replace("alice", "nobod") == without_tokens(unknown)
    assert 'id="code-problem"' in known.text and form["code"] not in known.text


def test_a_weak_password_keeps_the_recovery_code_valid_and_in_the_form(site):
    code = a_code(site)
    form = {"username": "alice", "code": code, "new_password": "12345678"}
    page = site.visitor().post("/recover/code", data=form)
    assert page.status_code == 422 and 'id="new_password-problem"' in page.text and f'value="{code}"' in page.text
    assert site.visitor().post("/recover/code", data=form | {"new_password": NEW}).status_code == 303


def test_a_recovery_link_moves_its_secret_from_the_url_to_a_cookie(site, alice):
    secret, visitor = a_link(site), site.visitor()
    answer = visitor.get(f"/recover/{secret}")
    assert (answer.status_code, answer.location) == (303, "/recover/password")
    cookie = held(answer)
    assert secret in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Max-Age=1800" in cookie
    assert secret not in answer.text
    page = visitor.get("/recover/password")
    assert "Alice" in page.text and secret not in page.text
    assert page.headers["Referrer-Policy"] == "same-origin" and page.headers["Cache-Control"] == "no-store"


def test_opening_a_recovery_link_does_not_use_it_up(site, alice):
    secret = a_link(site)
    for _ in range(3):
        scanner = site.visitor()
        scanner.get(f"/recover/{secret}")
        assert scanner.get("/recover/password").status_code == 200
    visitor = site.visitor()
    visitor.get(f"/recover/{secret}")
    weak = visitor.post("/recover/password", data={"new_password": "12345678"})
    assert weak.status_code == 422 and 'id="new_password-problem"' in weak.text
    answer = visitor.post("/recover/password", data={"new_password": NEW})
    assert answer.location == "/signin?done=password_set" and "Max-Age=0" in held(answer)
    assert alice.get("/keys").status_code == 303
    late = site.visitor()
    late.get(f"/recover/{secret}")
    assert late.get("/recover/password").status_code == 410
    assert late.post("/recover/password", data={"new_password": NEW}).status_code == 410


@pytest.mark.parametrize("secret", ["x", "%00", "é", "a" * 5000, "%3Cscript%3E", "a%3B%20Path=%2Fx", "%0D%0Aa:b"])
def test_an_unknown_link_is_answered_like_an_expired_one(stranger, secret):
    for link, page in (("/recover", "/recover/password"), ("/account/email", "/account/email")):
        answer = stranger.get(f"{link}/{secret}")
        if answer.status_code == 404:  # the secret contains a slash
            assert "%2F" in secret
            continue
        assert (answer.status_code, answer.location) == (303, page)
        assert stranger.post(page, data={"new_password": NEW}).status_code == 410


def test_a_temporary_password_only_allows_setting_a_new_one(site, alice):
    temporary = services(site).accounts.administration.temporary_password(CLI, "alice").result()
    visitor, answer = sign_in(site, temporary)
    assert answer.location == "/recover/password" and "rkv_session" not in str(answer.headers)
    assert visitor.get("/keys").status_code == 303
    assert "Alice" in visitor.get("/recover/password").text
    assert visitor.post("/recover/password", data={"new_password": NEW}).location == "/signin?done=password_set"
    assert sign_in(site, temporary)[1].status_code == 401
    assert sign_in(site)[1].location == "/keys"


def test_a_recovery_notice_is_shown_after_sign_in_until_dismissed(site):
    a_code(site)
    visitor = site.visitor()
    visitor.get(f"/recover/{a_link(site)}")
    visitor.post("/recover/password", data={"new_password": NEW})
    for _ in range(2):
        visitor, _ = sign_in(site)
        for path in ("/keys", "/account/profile"):
            page = visitor.get(path).text
            assert "Your password was set by a recovery link" in page and "If this was not you" in page
    answer = visitor.post("/account/notice", data={"next": "/keys?key=a"})
    assert answer.location == "/keys?key=a"
    assert "Your password was set" not in visitor.get("/keys").text
    assert visitor.post("/account/notice", data={"next": "//evil.example"}).location == "/keys"


def test_recovery_by_email_is_not_offered_without_a_mail_server(site, stranger):
    assert "/recover/mail" not in stranger.get("/recover").text
    assert "sends no email" in stranger.get("/recover/mail").text
    assert stranger.post("/recover/mail", data={"username": "alice"}).status_code == 404


def test_a_recovery_email_request_gets_the_same_answer_for_every_name(mailed):
    mailed.browser("Alice")
    assert "/recover/mail" in mailed.visitor().get("/recover").text
    answers = [mailed.visitor().post("/recover/mail", data={"username": name}) for name in ("alice", "nobody", "")]
    assert {answer.status_code for answer in answers} == {200}
    assert len({without_tokens(answer) for answer in answers}) == 1


def test_an_email_address_takes_effect_only_after_its_link_is_confirmed(mailed, sent):
    alice = mailed.browser("Alice")
    form = {"do": "email", "email": "ada@example.org", "password": "correct horse battery"}
    answer = alice.post("/account/security", data=form)
    assert answer.location == "/account/security?done=email_sent"
    to = sent[0]["To"]
    assert to == "ada@example.org" and to not in alice.get("/account/profile").text
    visitor = mailed.visitor()
    assert visitor.get(path_in(sent[0])).location == "/account/email"
    assert "Confirm this address" in visitor.get("/account/email").text
    assert visitor.post("/account/email").location == "/account/security?done=email"
    assert to in alice.get("/account/profile").text
    assert mailed.visitor().post("/recover/mail", data={"username": "alice"}).status_code == 200
    assert visitor.get(path_in(sent[1])).location == "/recover/password"
    assert visitor.post("/account/email").status_code == 410
    wrong = alice.post("/account/security", data=form | {"email": "no address"})
    assert wrong.status_code == 400 and 'id="email-problem"' in wrong.text
    assert alice.post("/account/security", data=form | {"do": "email_off"}).location.endswith("done=email_gone")
    assert to not in alice.get("/account/profile").text
