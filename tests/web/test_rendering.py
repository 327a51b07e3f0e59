"""A session's token is accepted only in the way for which it was issued: as the cookie, or as a bearer token."""

import pytest
from sqlalchemy import text

from realtime_kv.extensions import socketio
from realtime_kv.request import cookies
from tests.web.conftest import PASSWORD


def problem(answer):
    return answer.status_code, answer.json["code"]


def with_cookie(site, token):
    visitor = site.visitor()
    visitor.client.set_cookie(cookies.cookie_name({}, visitor.config), token)
    return visitor


@pytest.fixture
def program(site, alice):
    return site.program("Alice")


def test_bearer_token_is_refused_as_a_cookie(site, program):
    thief = with_cookie(site, program.token)
    assert problem(thief.get("/api/v1/me")) == (401, "unauthenticated")
    for page in ("/", "/account/profile", "/admin"):
        assert "/signin" in thief.get(page).headers["Location"]
    assert not socketio.test_client(site.app, flask_test_client=thief.client).is_connected()
    # it is still valid in the way for which it was issued
    assert program.get("/api/v1/me").status_code == 200
    assert socketio.test_client(site.app, auth={"token": program.token}).is_connected()


def test_api_token_is_refused_as_a_cookie(site, alice):
    token = alice.call("create_token", name="t").json["token"]
    thief = with_cookie(site, token)
    assert problem(thief.get("/api/v1/me")) == (401, "unauthenticated")
    assert not socketio.test_client(site.app, flask_test_client=thief.client).is_connected()


def test_cookie_token_is_refused_as_a_bearer_token(site, alice):
    thief = site.visitor(alice.cookie)
    assert problem(thief.get("/api/v1/me")) == (401, "unauthenticated")
    assert not socketio.test_client(site.app, auth={"token": alice.cookie}).is_connected()
    assert alice.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("as_token", [False, True])
def test_renewed_token_is_accepted_only_in_the_way_it_was_issued(site, alice, as_token):
    new = "a-quite-different-passphrase"
    answer = alice.call("change_password", password=PASSWORD, new_password=new, token=as_token)
    assert answer.status_code == 200
    if as_token:
        token = answer.json["token"]
        assert site.visitor(token).get("/api/v1/me").status_code == 200
        assert with_cookie(site, token).get("/api/v1/me").status_code == 401
    else:
        assert alice.get("/api/v1/me").status_code == 200
        assert site.visitor(alice.cookie).get("/api/v1/me").status_code == 401


def test_bearer_session_stays_a_bearer_session_after_a_password_change(site, program):
    answer = program.call("change_password", password=PASSWORD, new_password="a-quite-different-passphrase")
    assert site.visitor(answer.json["token"]).get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("used_as", ["cookie", "bearer"])
def test_session_from_before_the_upgrade_is_bound_to_the_way_of_its_first_use(open_site, used_as):
    site = open_site()
    alice = site.browser("Alice")
    program = site.program("Alice")
    token = alice.cookie if used_as == "cookie" else program.token
    services = site.app.extensions["realtime_kv"]
    accounts = services.accounts

    def forget(connection):
        connection.execute(text("UPDATE sessions SET presented = NULL"))

    services.runtime.wait(accounts.context.write(forget), 10)
    ways = {"cookie": with_cookie(site, token), "bearer": site.visitor(token)}
    other = ways.pop("bearer" if used_as == "cookie" else "cookie")
    assert ways[used_as].get("/api/v1/me").status_code == 200
    assert other.get("/api/v1/me").status_code == 401
    assert ways[used_as].get("/api/v1/me").status_code == 200
    # and the database records that way
    found = services.runtime.wait(
        accounts.context.read(
            lambda db: db.execute(text("SELECT presented FROM sessions ORDER BY id")).scalars().all()
        ),
        10,
    )
    assert found == (["cookie", None] if used_as == "cookie" else [None, "bearer"])
