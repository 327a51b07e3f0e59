"""Account recovery over HTTP; no answer reveals whether a name is known."""

import re

import pytest
from sqlalchemy import update

from realtime_kv.storage.models import User

PASSWORD = "correct horse battery"
NEW = "another good password"
CODE = "AAAAAA-AAAAAA-AAAAAA-AAAAAA"


def accounts(site):
    return site.app.extensions["realtime_kv"].accounts


def everything(answer):
    """Return the answer without the parts that are new in each: the date and the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"Date", "X-Request-Id"}}
    return answer.status_code, headers, re.sub(rb'"request_id":"[0-9a-f]+"', b"", answer.data)


def recover(visitor, **given):
    return visitor.call("recover", **{"new_password": NEW, **given})


@pytest.fixture
def mails():
    return []


@pytest.fixture
def mailing(open_site, mails):
    return open_site(smtp_url="smtp://localhost", send=mails.append)


def secret_in(mail, path):
    return re.search(rf"{path}/(\S+)", mail.get_content())[1]


def test_recovery_code_sets_a_password_and_the_next_sign_in_reports_it(site, stranger):
    codes = stranger.call("sign_up", username="Alice", password=PASSWORD).json["recovery_codes"]
    answer = recover(site.visitor(), username="alice", code=codes[0])
    assert (answer.status_code, answer.data) == (204, b"")
    assert stranger.get("/api/v1/me").status_code == 401
    assert recover(site.visitor(), username="alice", code=codes[0]).json["code"] == "invalid_code"
    visitor = site.visitor()
    told = visitor.call("sign_in", username="alice", password=NEW).json["recovered"]
    assert told["how"] == "code" and told["at"].endswith("Z")
    assert visitor.get("/api/v1/account").json["recovered"] == told
    assert visitor.call("dismiss_notice").status_code == 204
    assert "recovered" not in site.visitor().call("sign_in", username="alice", password=NEW).json


def test_forced_password_change_uses_the_ticket_from_sign_in(site, alice):
    writer = site.app.extensions["realtime_kv"].store.writer
    writer.run_in_transaction(lambda db: db.execute(update(User).values(must_change_password=True)) and None)
    owed = site.visitor().call("sign_in", username="alice", password=PASSWORD)
    assert (owed.status_code, owed.json["code"]) == (401, "password_change_needed")
    assert recover(site.visitor(), ticket=owed.json["ticket"]).status_code == 204
    assert recover(site.visitor(), ticket=owed.json["ticket"]).json["code"] == "link_expired"
    assert site.visitor().call("sign_in", username="alice", password=NEW).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"username": "alice"},
        {"code": CODE},
        {"ticket": "x", "code": CODE},
        {"ticket": "x", "username": "alice", "code": CODE},
        {"ticket": 1},
        {"ticket": None},
        {"username": "alice", "code": CODE, "new_password": None},
        {"username": "alice", "code": CODE, "token": True},
    ],
)
def test_malformed_recovery_request_is_a_bad_request(stranger, given):
    answer = recover(stranger, **given)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


def test_recovery_mail_allows_setting_a_new_password(mailing, mails):
    alice = mailing.browser("Alice")
    assert alice.call("set_email", password=PASSWORD, email="alice@example.org").status_code == 204
    ticket = secret_in(mails[-1], "/account/email")
    assert mailing.visitor().call("confirm_email", ticket=ticket).status_code == 204
    assert alice.get("/api/v1/account").json["email"] == "alice@example.org"
    assert mailing.visitor().call("ask_recovery_mail", username="alice").status_code == 204
    assert recover(mailing.visitor(), ticket=secret_in(mails[-1], "/recover")).status_code == 204
    signed_in = mailing.visitor().call("sign_in", username="alice", password=NEW)
    assert signed_in.json["recovered"]["how"] == "mail"


def test_invalid_email_address_is_a_bad_request(mailing):
    answer = mailing.browser("Alice").call("set_email", password=PASSWORD, email="a@b.c\r\nBcc: x@y.z")
    assert (answer.status_code, answer.json["field"]) == (400, "email")


def test_unavailable_mail_is_reported_alike_for_known_and_unknown_names(site, alice):
    answers = [site.visitor().call("ask_recovery_mail", username=name) for name in ("alice", "nobody")]
    assert everything(answers[0]) == everything(answers[1])
    assert answers[0].json["code"] == "not_found"


@pytest.mark.parametrize("call", ["recover", "ask_recovery_mail", "confirm_email"])
def test_cross_origin_page_cannot_use_account_recovery(stranger, call):
    answer = stranger.post(f"/api/v1/{call}", json={}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("sign_in", {"password": "wrong wrong wrong"}),
        ("sign_in", {"password": "short"}),
        ("sign_in", {"password": "wrong wrong wrong", "token": True}),
        ("recover", {"code": CODE, "new_password": NEW}),
        ("recover", {"code": "nonsense", "new_password": NEW}),
        ("recover", {"code": CODE, "new_password": "short"}),
        ("recover", {"code": CODE, "new_password": "password"}),
        ("ask_recovery_mail", {}),
    ],
)
def test_known_and_unknown_names_get_the_same_bytes(mailing, mails, call, given):
    """Compare names with and without mail, disabled and deleted, up to and including the rate limiter's refusal."""
    alice = mailing.browser("mailed")
    alice.call("set_email", password=PASSWORD, email="alice@example.org")
    mailing.visitor().call("confirm_email", ticket=secret_in(mails[-1], "/account/email"))
    for name in ("plain", "gone", "barred"):
        mailing.browser(name)
    writer = mailing.app.extensions["realtime_kv"].store.writer
    for name, change in (("gone", {"deleted_at": 1, "deleted_by": "admin"}), ("barred", {"disabled_at": 1})):
        writer.run_in_transaction(
            lambda db, n=name, c=change: db.execute(update(User).where(User.folded == n).values(c)) and None
        )
    seen = {}
    for name in ("mailed", "plain", "gone", "barred", "nobody", "not a name"):
        address = {"REMOTE_ADDR": f"10.0.0.{len(seen) + 1}"}
        visitor = mailing.visitor()
        seen[name] = [
            everything(visitor.post(f"/api/v1/{call}", json={"username": name, **given}, environ_base=address))
            for _ in range(7)
        ]
    not_a_name = seen.pop("not a name")
    assert all(answers == seen["nobody"] for answers in seen.values())
    # no user can have it, so it is not counted as a name
    assert not_a_name[0] == seen["nobody"][0]
    assert seen["nobody"][-1][0] == 429
