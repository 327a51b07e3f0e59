"""API tokens over HTTP: created, listed and revoked by people, used by programs."""

import pytest


@pytest.fixture
def create(alice):
    def create(**details):
        answer = alice.call("create_token", **{"name": "a program", **details})
        assert answer.status_code == 201, answer.text
        return answer.json

    return create


def test_a_token_is_shown_once_and_works_as_a_bearer_token(site, alice, create):
    made = create(name="Backup", scope="read", prefix="notes/", expires_at="2099-01-02T03:04:05.678Z")
    token = made.pop("token")
    assert token.startswith("rkv_")
    assert made.pop("ok")
    (shown,) = alice.get("/api/v1/tokens").json["tokens"]
    assert shown == made
    assert shown == {
        "id": made["id"],
        "name": "Backup",
        "scope": "read",
        "prefix": "notes/",
        "created_at": made["created_at"],
        "expires_at": "2099-01-02T03:04:05.678Z",
        "last_used_at": None,
    }
    me = site.visitor(token).get("/api/v1/me").json
    assert me["user"]["username"] == "Alice"
    assert me["session"] == {
        "id": made["id"],
        "label": "Backup",
        "kind": "token",
        "scope": "read",
        "prefix": "notes/",
    }


def test_a_token_has_full_access_to_keys_and_no_expiry_by_default(site, create):
    made = create()
    assert (made["scope"], made["prefix"], made["expires_at"]) == ("write", None, None)
    program = site.visitor(made["token"])
    assert program.call("set", key="k", value=1).json["ok"]
    assert program.call("list").json["entries"][0]["key"] == "k"


def test_me_describes_the_session(alice):
    assert (
        alice.get("/api/v1/me").json["session"] | {"kind": "session", "scope": "write", "prefix": None}
        == (alice.get("/api/v1/me").json["session"])
    )


def test_a_revoked_token_is_unauthenticated(site, alice, create):
    made = create()
    assert alice.call("revoke_token", id=made["id"]).status_code == 204
    answer = site.visitor(made["token"]).call("list")
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert alice.get("/api/v1/tokens").json["tokens"] == []
    assert alice.call("revoke_token", id=made["id"]).json["code"] == "not_found"


def test_a_token_cannot_manage_tokens(site, alice, create):
    program = site.visitor(create()["token"])
    for answer in (
        program.get("/api/v1/tokens"),
        program.call("create_token", name="another"),
        program.call("revoke_token", id="any"),
    ):
        assert (answer.status_code, answer.json["code"], answer.json["needs"]) == (403, "forbidden", "session")
    assert len(alice.get("/api/v1/tokens").json["tokens"]) == 1


def test_signing_out_with_a_token_does_not_end_it(site, create):
    program = site.visitor(create()["token"])
    assert program.post("/api/v1/sign_out").status_code == 204
    assert program.get("/api/v1/me").status_code == 200


def test_tokens_of_other_users_are_not_found(alice, charlie, create):
    made = create()
    assert charlie.get("/api/v1/tokens").json["tokens"] == []
    assert charlie.call("revoke_token", id=made["id"]).json["code"] == "not_found"


def test_unauthenticated_clients_cannot_manage_tokens(stranger):
    assert stranger.get("/api/v1/tokens").json["code"] == "unauthenticated"
    assert stranger.call("create_token", name="x").json["code"] == "unauthenticated"
    assert stranger.call("revoke_token", id="x").json["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("details", "code", "field"),
    [
        ({}, "bad_request", None),
        ({"name": ""}, "bad_request", "name"),
        ({"name": "a\nb"}, "bad_request", "name"),
        ({"name": "x" * 65}, "bad_request", "name"),
        ({"name": None}, "bad_request", "name"),
        ({"name": "n", "scope": "admin"}, "bad_request", "scope"),
        ({"name": "n", "scope": None}, "bad_request", "scope"),
        ({"name": "n", "prefix": ""}, "invalid_key", "prefix"),
        ({"name": "n", "prefix": "a\n"}, "invalid_key", "prefix"),
        ({"name": "n", "prefix": None}, "bad_request", "prefix"),
        ({"name": "n", "expires_at": "2001-01-01T00:00:00Z"}, "bad_request", "expires_at"),
        ({"name": "n", "expires_at": "2099-01-01T00:00:00"}, "bad_request", "expires_at"),
        ({"name": "n", "expires_at": "9999-12-31T23:59:59-23:00"}, "bad_request", "expires_at"),
        ({"name": "n", "expires_at": "0001-01-01T00:00:00+23:00"}, "bad_request", "expires_at"),
        ({"name": "n", "expires_at": 5}, "bad_request", "expires_at"),
        ({"name": "n", "expires_at": None}, "bad_request", "expires_at"),
        ({"name": "n", "color": "red"}, "bad_request", None),
    ],
)
def test_an_invalid_token_request_is_refused_with_the_reason(alice, details, code, field):
    answer = alice.call("create_token", **details)
    assert answer.json["code"] == code
    assert answer.json.get("field") == field
    assert alice.get("/api/v1/tokens").json["tokens"] == []
