"""Every verb over HTTP: the same payload, answer and errors as on a socket."""

import io
import json

import pytest

MIB = 1024 * 1024


def problem(answer):
    assert answer.mimetype == "application/problem+json"
    body = answer.json
    assert {"type", "title", "status", "detail", "code", "request_id"} <= body.keys()
    assert body["status"] == answer.status_code
    return answer.status_code, body["code"]


def test_entries_are_set_read_listed_synced_and_deleted(alice):
    assert alice.call("set", key="a//b/../é", value={"n": [1, 2.5, None]}).json == {
        "ok": True,
        "revision": 1,
        "version": 1,
    }
    entry = alice.call("get", key="a//b/../é").json["entry"]
    assert (entry["key"], entry["value"], entry["revision"]) == ("a//b/../é", {"n": [1, 2.5, None]}, 1)
    assert alice.call("list").json["entries"] == [entry]
    assert alice.call("sync").json["revision"] == 1
    batch = alice.call("batch", ops=[{"op": "set", "key": "x", "value": 1}, {"op": "delete", "key": "nope"}]).json
    assert batch["results"] == [{"version": 1}, {"existed": False}]
    assert alice.call("delete", key="x").json == {"ok": True, "revision": 3, "existed": True}


def test_reading_verbs_accept_a_query_string(alice):
    alice.call("set", key="a b&c=é", value="red")
    alice.call("set", key="other", value="blue")
    assert alice.get("/api/v1/get?key=a+b%26c%3D%C3%A9").json == alice.call("get", key="a b&c=é").json
    assert alice.get("/api/v1/get", query_string={"key": "a b&c=é"}).json["entry"]["value"] == "red"
    listed = alice.get("/api/v1/list?prefix=a&limit=10&values=false").json
    assert listed["entries"] == alice.call("list", prefix="a", limit=10, values=False).json["entries"]
    assert "value" not in listed["entries"][0]
    epoch = alice.call("sync").json["epoch"]
    assert alice.get(f"/api/v1/sync?epoch={epoch}&since=1").json["from"] == 1
    assert alice.ask("/api/v1/list", "HEAD").status_code == 200


def test_history_trash_undo_and_restore_work_over_http(alice):
    for value in (1, 2):
        alice.call("set", key="k/é", value=value)
    alice.call("delete", key="k/é")
    assert alice.get("/api/v1/history?key=k%2F%C3%A9&before=3&limit=1").json["writes"][0]["revision"] == 2
    assert alice.get("/api/v1/history").json == alice.call("history").json
    assert [write["revision"] for write in alice.call("history", before=3).json["writes"]] == [2, 1]
    trash = alice.get("/api/v1/trash?prefix=k/&limit=5").json
    assert [(entry["key"], entry["value"]) for entry in trash["entries"]] == [("k/é", 2)]
    assert alice.call("undo", revision=3, dry_run=True).json == {"ok": True, "revision": 3, "count": 1}
    assert alice.call("undo", revision=3, op_id="u").json == {"ok": True, "revision": 4, "count": 1}
    assert alice.call("restore", key="k/é", revision=1, if_revision=4).json == {"ok": True, "revision": 5, "version": 4}
    refused = alice.call("undo", revision=2)
    assert problem(refused) == (409, "conflict")
    assert (refused.json["key"], refused.json["entry"]["revision"]) == ("k/é", 5)
    assert problem(alice.call("undo", revision=99)) == (404, "not_found")
    assert problem(alice.call("restore", key="never")) == (404, "not_found")
    assert problem(alice.call("restore", key="k/é")) == (400, "bad_request")
    assert alice.get("/api/v1/undo?revision=1").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "history?before=-1",
        "history?before=x",
        "history?limit=0",
        "trash?limit=1001",
        "trash?values=true",
        "get",
        "get?key=a&key=b",
        "get?key=a&key=a",
        "get?key=%FF",
        "get?key=%C3",
        "get?key=%ED%A0%80",
        "get?%FF=a&key=a",
        "get?key=a&verbose=1",
        "get?Key=a",
        "list?limit=ten",
        "list?limit=",
        "list?limit=1.5",
        "list?limit=0",
        "list?limit=1001",
        "list?limit=" + "9" * 400,
        "list?values=yes",
        "list?values=True",
        "sync?since=-1&epoch=x",
        "sync?next=garbage",
    ],
)
def test_an_invalid_query_string_is_a_bad_request(alice, path):
    alice.call("set", key="a", value=1)
    assert problem(alice.get(f"/api/v1/{path}")) == (400, "bad_request")


@pytest.mark.parametrize("verb", ["get", "set", "delete", "list", "batch", "sync"])
def test_a_body_that_does_not_match_the_verb_is_a_bad_request(alice, verb):
    for body in (b"", b"null", b"[]", b'"x"', b"{", b'{"key":"a"}}', b'{"surprise":1}', b"\xff", b'{"key":NaN}'):
        answer = alice.post(f"/api/v1/{verb}", data=body, content_type="application/json")
        assert problem(answer) == (400, "bad_request"), body


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"key": "", "value": 1}, (422, "invalid_key")),
        ({"key": "x" * 513, "value": 1}, (422, "invalid_key")),
        ({"key": "a\u0000", "value": 1}, (422, "invalid_key")),
        ({"key": "a", "value": 2**53}, (422, "invalid_value")),
        ({"key": "a", "value": "x" * 65_535}, (413, "too_large")),
        ({"key": "a"}, (400, "bad_request")),
        ({"key": 1, "value": 1}, (400, "bad_request")),
        ({"key": "a", "value": 1, "if_revision": -1}, (400, "bad_request")),
        ({"key": "a", "value": 1, "op_id": None}, (400, "bad_request")),
        ({"key": "a", "value": 1, "if_revision": 7}, (409, "conflict")),
    ],
)
def test_store_errors_are_returned_as_problem_details(alice, payload, expected):
    assert problem(alice.call("set", **payload)) == expected


@pytest.mark.parametrize("value", ["1e400", "[" * 100_000, '{"a":' * 100_000, "[" * 65 + "]" * 65])
def test_numbers_and_nesting_beyond_the_parser_limits_are_refused(alice, value):
    body = f'{{"key":"a","value":{value}}}'
    answer = alice.post("/api/v1/set", data=body, content_type="application/json")
    status, code = problem(answer)
    assert (status, code) in {(422, "invalid_value"), (400, "bad_request")}


def test_a_conflict_contains_the_current_entry(alice):
    alice.call("set", key="a", value="first")
    answer = alice.call("set", key="a", value="second", if_revision=0)
    assert problem(answer) == (409, "conflict")
    assert answer.json["entry"] == alice.call("get", key="a").json["entry"]
    assert alice.call("set", key="b", value=1, if_revision=3).json["entry"] is None


def test_a_missing_key_is_not_found(alice):
    assert problem(alice.get("/api/v1/get?key=nope")) == (404, "not_found")


def test_a_retry_with_the_same_op_id_writes_nothing(alice):
    first = alice.call("set", key="a", value=1, op_id="once").json
    assert alice.call("set", key="a", value=1, op_id="once").json == first | {"replayed": True}
    assert problem(alice.call("set", key="a", value=2, op_id="once")) == (422, "op_id_reused")


def test_a_user_cannot_read_or_change_the_entries_of_another(alice, charlie):
    alice.call("set", key="secret", value="treasure")
    for answer in (
        charlie.call("get", key="secret"),
        charlie.get("/api/v1/get?key=secret"),
        charlie.call("list"),
        charlie.call("sync"),
        charlie.call("set", key="secret", value="mine", if_revision=1),
        charlie.call("delete", key="secret", if_revision=1),
        charlie.call("delete", key="secret"),
        charlie.call("batch", ops=[{"op": "set", "key": "secret", "value": 1, "if_revision": 1}]),
        charlie.get("/api/v1/me"),
    ):
        assert b"treasure" not in answer.data
    assert charlie.call("set", key="secret", value="mine", if_revision=0).status_code == 200
    assert alice.call("get", key="secret").json["entry"]["value"] == "treasure"
    assert alice.call("sync").json["revision"] == 1


@pytest.mark.parametrize("verb", ["get", "set", "delete", "list", "batch", "sync"])
def test_every_verb_refuses_unauthenticated_clients(stranger, verb):
    # for any other error in the request
    for body in (b"{}", b"garbage", b""):
        answer = stranger.post(f"/api/v1/{verb}", data=body, content_type="application/json")
        assert problem(answer) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert stranger.get("/api/v1/list").status_code == 401


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "json"],
)
def test_a_post_requires_a_json_content_type(alice, content_type):
    for path in ("set", "sign_in"):
        answer = alice.post(f"/api/v1/{path}", data=b'{"key":"a","value":1}', content_type=content_type)
        assert problem(answer) == (400, "bad_request")


def test_a_charset_in_the_content_type_is_accepted(alice):
    body = b'{"key":"a","value":1}'
    answer = alice.post("/api/v1/set", data=body, content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_too_large(alice):
    filler = b'{"key":"a","value":1' + b" " * MIB
    exact, more = filler[: MIB - 1] + b"}", filler[:MIB] + b"}"
    assert len(exact) == MIB
    assert alice.post("/api/v1/set", data=exact, content_type="application/json").status_code == 200
    answer = alice.post("/api/v1/set", data=more, content_type="application/json")
    assert problem(answer) == (413, "too_large")
    assert answer.json["limit"] == MIB


def test_a_chunked_body_is_read_under_the_same_size_limit(alice):
    def send(body):
        return alice.post(
            "/api/v1/set",
            input_stream=io.BytesIO(body),
            content_type="application/json",
            headers={"Transfer-Encoding": "chunked"},
        )

    assert send(b'{"key":"a","value":1}').status_code == 200
    assert send(b'{"key":"a","value":1'.ljust(MIB - 1) + b"}").status_code == 200
    assert problem(send(b'{"key":"a","value":1' + b" " * MIB + b"}")) == (413, "too_large")


def test_a_body_shorter_than_its_content_length_is_a_bad_request(alice):
    answer = alice.post(
        "/api/v1/set",
        input_stream=io.BytesIO(b'{"key"'),
        content_type="application/json",
        headers={"Content-Length": "100"},
    )
    assert problem(answer) == (400, "bad_request")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_under_api_is_not_found(alice, method):
    paths = ["/", "/v1", "/v1/", "/v1/nope", "/v2/get", "/v1/get/", "/v1//get", "/v1/GET", "/v1/streams", "/v1/%FF"]
    for path in (*(f"/api{path}" for path in paths), "/api//v1/get"):
        assert problem(alice.ask(path, method)) == (404, "not_found"), path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "set", "POST"),
        ("GET", "delete", "POST"),
        ("GET", "batch", "POST"),
        ("PUT", "set", "POST"),
        ("DELETE", "get", "GET"),
        ("PATCH", "list", "POST"),
        ("TRACE", "sync", "GET"),
        ("BREW", "get", "GET"),
        ("GET", "sign_in", "POST"),
        ("GET", "sign_out", "POST"),
        ("POST", "me", "GET"),
    ],
)
def test_a_wrong_method_is_refused_with_the_allowed_methods(alice, method, path, allowed):
    answer = alice.ask(f"/api/v1/{path}", method)
    assert problem(answer) == (405, "bad_request")
    assert allowed in answer.headers["Allow"]


def test_an_internal_error_is_logged_by_request_id_and_reveals_nothing(site, alice, caplog):
    # a real bug: a missing table
    store = site.app.extensions["realtime_kv"].store
    store.writer.run_in_transaction(lambda db: db.exec_driver_sql("DROP TABLE entries") and None)
    answer = alice.call("get", key="a")
    assert problem(answer) == (500, "internal")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert answer.json["request_id"] in caplog.text and "no such table" in caplog.text
    assert "entries" not in json.dumps(answer.json)


def test_an_internal_error_is_logged_with_the_route_and_not_the_url(site, stranger, caplog):
    site.app.add_url_rule("/breaks/<secret>", view_func=lambda secret: 1 / 0)
    assert stranger.get("/breaks/one-time?key=telling").status_code == 500
    assert "GET /breaks/<secret> failed" in caplog.text
    assert "one-time" not in caplog.text and "telling" not in caplog.text


def test_an_internal_error_is_logged_without_sql_parameters(site, stranger, caplog):
    site.app.extensions["realtime_kv"].store.writer.run_in_transaction(
        lambda db: db.exec_driver_sql("DROP TABLE users") and None
    )
    answer = stranger.call("sign_in", username="somebodys.name", password="correct horse battery")
    assert problem(answer) == (500, "internal")
    assert "no such table" in caplog.text and "somebodys.name" not in caplog.text


def test_an_unauthenticated_error_names_the_kind_of_token_received(stranger):
    for header, words in (
        (None, "Sign in first"),
        ("Bearer rkv_" + "A" * 43, "API token is unknown, has expired or was revoked"),
        ("Bearer rks_" + "A" * 43, "session is unknown, has expired or was ended"),
        ("Bearer secret", "no token of this server"),
    ):
        answer = stranger.get("/api/v1/me", headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401 and words in answer.json["detail"]
        assert "secret" not in answer.text


def test_a_misspelt_call_gets_a_suggestion_and_the_path_of_the_api_page(alice):
    for name, meant in (("gett", "get"), ("signin", "sign_in"), ("export_", "export")):
        answer = alice.call(name)
        assert answer.status_code == 404
        assert (
            answer.json["detail"]
            == f"There is no call '{name}'. Did you mean {meant}? The page /api lists all of them."
        )
    assert alice.call("x" * 5000).json["detail"] == f"There is no call '{'x' * 64}'. The page /api lists all of them."


def test_a_byte_order_mark_before_a_body_is_ignored(alice):
    body = b'\xef\xbb\xbf{"key": "a", "value": 1}'
    assert alice.post("/api/v1/set", data=body, content_type="application/json").status_code == 200
    body = b'\xef\xbb\xbf{"username": "alice", "password": "wrong password"}'
    answer = alice.post("/api/v1/sign_in", data=body, content_type="application/json")
    assert answer.json["code"] == "invalid_credentials"
