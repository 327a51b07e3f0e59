"""A user's own account, over HTTP: sessions, password, second step, deletion."""

import pyotp
import pytest
from flask import request, request_finished

from realtime_kv.request.authentication import ACCOUNT_CHANGE

PASSWORD = "correct horse battery"
NEW = "another good password"

CALLS = {
    "end_session": {"id": "x"},
    "end_other_sessions": {},
    "change_password": {"password": PASSWORD, "new_password": NEW},
    "delete_account": {"password": PASSWORD},
    "dismiss_notice": {},
    "recovery_codes": {"password": PASSWORD},
    "set_email": {"password": PASSWORD, "email": ""},
    "two_step_begin": {"password": PASSWORD},
    "two_step_confirm": {"code": "123456"},
    "two_step_end": {"password": PASSWORD},
    "two_step_reset": {"password": PASSWORD},
}
LISTS = ["account", "sessions", "events"]


@pytest.mark.parametrize("call", [*CALLS, *LISTS])
def test_every_call_requires_a_session_and_refuses_api_tokens(site, alice, call):
    token = alice.call("create_token", name="script").json["token"]
    for visitor, status, code in [(site.visitor(), 401, "unauthenticated"), (site.visitor(token), 403, "forbidden")]:
        answer = visitor.get(f"/api/v1/{call}") if call in LISTS else visitor.call(call, **CALLS[call])
        assert (answer.status_code, answer.json["code"]) == (status, code)
        assert status == 401 or answer.json["needs"] == "session"
    assert alice.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"unknown":1}', b'{"password":1}', b'{"id":null}'])
def test_malformed_body_is_a_bad_request(alice, call, body):
    answer = alice.post(f"/api/v1/{call}", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert alice.post(f"/api/v1/{call}", data="password=x").status_code == 400


@pytest.mark.parametrize("call", [*CALLS, *LISTS])
def test_a_page_of_another_origin_cannot_use_the_cookie(alice, call):
    headers = {"Origin": "https://evil.example"}
    if call in LISTS:
        answer = alice.get(f"/api/v1/{call}", headers=headers)
    else:
        answer = alice.post(f"/api/v1/{call}", json=CALLS[call], headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_sessions_are_listed_and_ended_one_by_one_or_all_others_at_once(site, alice):
    program, other = site.program("Alice"), site.program("Alice")
    listed = alice.get("/api/v1/sessions").json["sessions"]
    assert [session["current"] for session in listed] == [True, False, False]
    assert listed[0].keys() == {"id", "label", "created_at", "last_seen_at", "expires_at", "address", "current"}
    assert listed[0]["address"] == "127.0.0.1"
    theirs = program.get("/api/v1/me").json["session"]["id"]
    assert alice.call("end_session", id=theirs).status_code == 204
    assert program.get("/api/v1/me").status_code == 401
    assert alice.call("end_session", id=theirs).json["code"] == "not_found"
    assert alice.call("end_other_sessions").json == {"ok": True, "ended": 1}
    assert other.get("/api/v1/me").status_code == 401


def test_ending_the_current_session_signs_the_user_out(alice):
    own = alice.get("/api/v1/me").json["session"]["id"]
    assert alice.call("end_session", id=own).status_code == 204
    assert alice.cookie is None
    assert alice.get("/api/v1/me").status_code == 401


def test_password_change_replaces_the_cookie_and_ends_all_old_sessions(site, alice):
    program, old = site.program("Alice"), alice.cookie
    answer = alice.call("change_password", password=PASSWORD, new_password=NEW)
    assert (answer.status_code, answer.json["user"]["username"]) == (200, "Alice")
    assert "token" not in answer.json
    assert alice.cookie != old and alice.get("/api/v1/me").status_code == 200
    assert program.get("/api/v1/me").status_code == 401
    assert site.visitor(old).get("/api/v1/me").status_code == 401


def test_password_change_gives_a_bearer_session_a_new_token_and_no_cookie(site, alice):
    program = site.program("Alice")
    answer = program.call("change_password", password=PASSWORD, new_password=NEW)
    assert program.cookie is None
    assert site.visitor(answer.json["token"]).get("/api/v1/me").status_code == 200
    assert alice.get("/api/v1/me").status_code == 401


def test_password_change_refuses_wrong_and_weak_passwords_and_limits_attempts(alice):
    wrong = alice.call("change_password", password="wrong wrong wrong", new_password=NEW)
    assert (wrong.status_code, wrong.json["code"]) == (401, "invalid_credentials")
    weak = alice.call("change_password", password=PASSWORD, new_password="password")
    assert (weak.status_code, weak.json["code"]) == (422, "invalid_password")
    for _ in range(3):
        alice.call("change_password", password="wrong wrong wrong", new_password=NEW)
    answers = [alice.call("change_password", password="wrong wrong wrong", new_password=NEW) for _ in range(3)]
    assert answers[-1].json["code"] == "rate_limited" and answers[-1].headers["Retry-After"]


def test_account_deletion_removes_the_cookie_and_sign_in_restores_the_account(site, alice):
    assert alice.call("delete_account", password="wrong wrong wrong").status_code == 401
    assert alice.call("delete_account", password=PASSWORD).status_code == 204
    assert alice.cookie is None
    assert site.browser_of("Alice").get("/api/v1/me").json["user"]["username"] == "Alice"


def test_account_call_returns_all_account_fields(alice):
    answer = alice.get("/api/v1/account").json
    assert answer.pop("created_at").endswith("Z")
    assert answer == {
        "ok": True,
        "username": "Alice",
        "is_admin": False,
        "password_changed_at": None,
        "email": None,
        "two_step": False,
        "recovery_codes_left": 10,
        "wrong_codes": 0,
        "recovered": None,
    }


def test_events_are_paged(site, alice):
    for _ in range(3):
        site.program("Alice")
    first = alice.get("/api/v1/events?limit=2").json
    assert [event["action"] for event in first["events"]] == ["sign_in", "sign_in"]
    assert first["events"][0].keys() == {
        "id", "at", "action", "title", "actor", "ok", "address", "label", "detail"
    }  # fmt: skip
    second = alice.get(f"/api/v1/events?limit=2&before={first['next']}").json
    assert [event["action"] for event in second["events"]] == ["sign_in", "sign_up"]
    last = alice.get(f"/api/v1/events?before={second['next']}").json
    assert last["events"] == [] and last["next"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=", "limit=-1", "before=1e9", "before=" + "9" * 30, "after=1",
              "limit=1&limit=2", "limit=%ff", "limit=²"],
)  # fmt: skip
def test_invalid_query_is_a_bad_request(alice, query):
    answer = alice.get(f"/api/v1/events?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


def test_second_step_can_be_enabled_used_at_sign_in_and_disabled(site, alice):
    begun = alice.call("two_step_begin", password=PASSWORD).json
    assert begun.keys() == {"ok", "secret", "uri", "qr_svg"}
    assert alice.call("two_step_confirm", code="000000").json["code"] == "invalid_code"
    old, totp = alice.cookie, pyotp.TOTP(begun["secret"])
    assert alice.call("two_step_confirm", code=totp.now()).status_code == 200
    assert alice.cookie != old and alice.get("/api/v1/account").json["two_step"] is True

    visitor = site.visitor()
    owed = visitor.call("sign_in", username="alice", password=PASSWORD)
    assert (owed.status_code, owed.json["code"]) == (401, "second_step_needed")
    assert visitor.cookie is None and owed.json["expires_at"].endswith("Z")
    wrong = visitor.call("second_step", ticket=owed.json["ticket"], code="000000")
    assert (wrong.status_code, wrong.json["code"]) == (401, "invalid_code")
    gone = visitor.call("second_step", ticket="x" * 43, code="000000")
    assert (gone.status_code, gone.json["code"]) == (410, "link_expired")
    code = alice.call("recovery_codes", password=PASSWORD).json["recovery_codes"][0]
    answer = visitor.call("second_step", ticket=owed.json["ticket"], code=code, token=True)
    assert site.visitor(answer.json["token"]).get("/api/v1/me").status_code == 200

    assert alice.call("two_step_end", password=PASSWORD).status_code == 200
    assert site.visitor().call("sign_in", username="alice", password=PASSWORD).status_code == 200


@pytest.mark.parametrize("keep", [True, False])
def test_cookie_has_an_expiry_only_if_the_browser_stays_signed_in(site, alice, keep):
    answer = site.visitor().call("sign_in", username="alice", password=PASSWORD, keep=keep)
    assert ("Expires=" in answer.headers["Set-Cookie"]) is keep


def is_marked(visitor, path, **sent):
    """Return whether the request was marked as a change of the account."""
    seen = []

    def look(_app, **_):
        seen.append(ACCOUNT_CHANGE in request.environ)

    with request_finished.connected_to(look, visitor.client.application):
        visitor.post(path, **sent)
    return seen[-1]


@pytest.mark.parametrize("call", CALLS)
def test_calls_that_change_the_account_are_marked_and_endings_of_sessions_are_not(alice, call):
    marked = is_marked(alice, f"/api/v1/{call}", json=CALLS[call])
    assert marked == (call not in {"end_session", "end_other_sessions"})


@pytest.mark.parametrize(
    ("form", "marked"), [("security", True), ("tokens", True), ("notice", True), ("sessions", False)]
)
def test_forms_that_change_the_account_are_marked_and_endings_of_sessions_are_not(alice, form, marked):
    sent = {"csrf_token": alice.form_token(), "do": "nothing"}
    assert is_marked(alice, f"/account/{form}", data=sent) == marked
