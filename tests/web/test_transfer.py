"""Export and import over HTTP: an import restores exactly the exported data, and writes nothing unchecked."""

import csv
import gzip
import io
import json

import pytest

from tests.web.conftest import PASSWORD

LONGEST = "k" * 512
HOSTILE = {
    "__proto__": {"__proto__": [], "constructor": None},
    "format": "realtime_kv",
    "entries": {"a": 1},
    "complete": True,
    '"quoted" \\ and, comma': 'a "value" with \\ and , and \n a line and \r\n another',
    "=1+1": "=cmd|' /C calc'!A0",
    "+1": "-1",
    "-1": -1,
    "@sum": "@",
    "＝1": "full width",
    " =1": "a space in front",
    "a//b": "",
    ".": ".",
    "a%b_c": None,
    "é": "é",
    "e\u0301": "decomposed",
    "👩‍👩‍👧‍👦/\U0010ffff": "emoji 👩‍👩‍👧‍👦 \u2028 \U0001f600",
    "\u2028": "\u2029",
    "\ufeff": "a mark",
    LONGEST: "longest",
    "é" * 256: 1,
    "large": "x" * 65_534,
    "numbers": [0, -0.0, 1.5, 1e15, 5e-324, 2**53 - 1, -(2**53) + 1, 0.1, 9e15, 123456789.123],
    "deep": json.loads("[" * 63 + "]" * 63),
    "object": {"b": 1, "a": {"": [True, False, None]}},
    "empty": {},
}


@pytest.fixture
def filled(alice):
    answer = alice.call("batch", ops=[{"op": "set", "key": key, "value": value} for key, value in HOSTILE.items()])
    assert answer.status_code == 200, answer.text
    return alice


def export(visitor, format="json", **query):
    answer = visitor.get("/api/v1/export", query_string={"format": format, **query})
    assert answer.status_code == 200, answer.text
    assert answer.content_length == len(answer.data)
    return answer


def bring(visitor, body, format="json", **query):
    mimetype = {"json": "application/json", "ndjson": "application/x-ndjson"}[format]
    if isinstance(body, dict):
        body = json.dumps(body)
    return visitor.post("/api/v1/import", data=body, content_type=mimetype, query_string=query)


def entries(visitor):
    found = {}
    after = {}
    while True:
        page = visitor.get("/api/v1/list", query_string={"limit": 1000, **after}).json
        found.update({entry["key"]: entry["value"] for entry in page["entries"]})
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def counts(answer, *names):
    assert answer.status_code == 200, answer.text
    return [answer.json[name] for name in names or ("added", "changed", "removed", "unchanged")]


def lines(answer):
    return [json.loads(line) for line in answer.data.splitlines()]


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_import_of_an_export_restores_the_same_data(filled, charlie, format):
    out = export(filled, format)
    assert counts(bring(charlie, out.data, format)) == [len(HOSTILE), 0, 0, 0]
    again = export(charlie, format)
    if format == "json":
        # except for the first line, with the time and the user
        assert out.data.split(b"\n", 1)[1] == again.data.split(b"\n", 1)[1]
    else:
        assert [(line.get("key"), line.get("value")) for line in lines(out)] == [
            (line.get("key"), line.get("value")) for line in lines(again)
        ]
    assert counts(bring(charlie, out.data, format)) == [0, 0, 0, len(HOSTILE)]


def test_export_preserves_values_byte_for_byte_and_lists_keys_in_order(filled):
    out = export(filled).data
    for key in HOSTILE:
        stored = filled.get("/api/v1/get", query_string={"key": key}).data
        value = stored.split(b'"value":', 1)[1].rsplit(b',"revision":', 1)[0]
        assert b"\n" + json.dumps(key, ensure_ascii=False).encode() + b":" + value in out, key
    shown = json.loads(out)["entries"]
    assert list(shown) == sorted(HOSTILE, key=str.encode)
    assert list(shown) == [line["key"] for line in lines(export(filled, "ndjson"))[1:-1]]


def test_export_states_its_revision_and_ends_with_a_completeness_marker(filled):
    epoch = filled.get("/api/v1/sync").json["epoch"]
    told = json.loads(export(filled).data)
    head, *found, end = lines(export(filled, "ndjson"))
    for one in (told, head):
        assert (one["format"], one["version"], one["epoch"], one["revision"], one["prefix"]) == (
            "realtime_kv", 1, epoch, 1, "",
        )  # fmt: skip
    assert (told["count"], told["complete"]) == (len(HOSTILE), True)
    assert end == {"count": len(found), "complete": True}
    assert set(found[0]) == {
        "key", "value", "revision", "created_revision", "version", "created_at", "updated_at", "expires_at",
    }  # fmt: skip


def test_csv_export_contains_every_entry_and_no_formula(filled):
    answer = export(filled, "csv")
    assert answer.mimetype == "text/csv"
    head, *rows = csv.reader(io.StringIO(answer.data.decode(), newline=""))
    assert head == ["key", "value", "revision", "version", "created_at", "updated_at", "expires_at"]
    # a key that begins with a quotation mark is JSON
    keys = [json.loads(row[0]) if row[0].startswith('"') else row[0] for row in rows]
    assert keys == sorted(HOSTILE, key=str.encode)
    assert {key: json.loads(row[1]) for key, row in zip(keys, rows, strict=True)} == HOSTILE
    for row in rows:
        assert not row[0].lstrip().startswith(("=", "+", "-", "@", "＝", "\t", "\r"))
        # a number stays a number; text has its quotation marks
        assert not row[1].startswith(("=", "+", "@")) and (row[1][0] != "-" or float(row[1]) < 0)


def test_csv_export_begins_with_a_byte_order_mark_on_request(filled):
    plain, marked = export(filled, "csv"), export(filled, "csv", bom="true")
    assert marked.data == b"\xef\xbb\xbf" + plain.data
    assert marked.content_length == len(marked.data)
    assert export(filled, "csv", bom="false").data == plain.data
    for format, bom in (("json", "true"), ("ndjson", "true"), ("csv", "yes")):
        assert filled.get(f"/api/v1/export?format={format}&bom={bom}").json["field"] == "bom"


def test_export_file_name_states_the_user_revision_and_number_of_keys(filled):
    name = export(filled, "ndjson", prefix="").headers["Content-Disposition"]
    assert name.startswith('attachment; filename="realtime_kv-Alice-20')
    assert name.endswith(f'-r1-{len(HOSTILE)}-keys.ndjson"')
    assert '-a-b-"\r' not in export(filled, prefix='a//"\r\nb').headers["Content-Disposition"]


def test_empty_space_can_be_exported_and_imported(alice, charlie):
    for format in ("json", "ndjson"):
        out = export(alice, format).data
        assert counts(bring(charlie, out, format)) == [0, 0, 0, 0]
    assert export(alice, "csv").data.count(b"\r\n") == 1


def test_export_of_a_prefix_contains_only_keys_under_it(alice):
    for key in ("app/a", "app/b", "apq", "app", "b"):
        alice.call("set", key=key, value=key)
    assert list(json.loads(export(alice, prefix="app/").data)["entries"]) == ["app/a", "app/b"]


def test_large_import_is_split_into_several_writes(alice, charlie):
    many = {f"key/{n:05}": {"n": n} for n in range(2_500)}
    answer = bring(alice, many)
    assert counts(answer) == [2_500, 0, 0, 0]
    assert answer.json["revisions"] == [1, 2, 3] and answer.json["revision"] == 3
    assert json.loads(export(alice).data)["entries"] == many
    assert counts(bring(charlie, export(alice, "ndjson").data, "ndjson")) == [2_500, 0, 0, 0]


def test_merge_writes_new_and_changed_entries_and_keeps_the_rest(alice):
    bring(alice, {"same": 1, "other": 1, "mine": 1})
    before = alice.get("/api/v1/get?key=same").json["entry"]
    answer = bring(alice, {"same": 1.0, "other": 2, "new": 3})
    # 1.0 is a different text than 1, and counts as a change
    assert counts(answer) == [1, 2, 0, 0]
    assert entries(alice) == {"same": 1, "other": 2, "new": 3, "mine": 1}
    assert counts(bring(alice, '{ "same" :\n1.0 , "other": 2}')) == [0, 0, 0, 2]
    assert alice.get("/api/v1/get?key=same").json["entry"]["version"] == before["version"] + 1


def test_skip_writes_only_missing_keys(alice):
    bring(alice, {"same": 1, "other": 1})
    answer = bring(alice, {"same": 1, "other": 2, "new": 3}, mode="skip")
    assert counts(answer, "added", "changed", "removed", "unchanged", "skipped") == [1, 0, 0, 1, 1]
    assert entries(alice) == {"same": 1, "other": 1, "new": 3}


def test_replace_deletes_keys_under_the_prefix_that_the_file_lacks(alice):
    bring(alice, {"app/a": 1, "app/b": 2, "b": 3})
    answer = bring(alice, {"app/a": 9, "app/c": 4, "c": 5}, mode="replace", prefix="app/")
    assert counts(answer, "added", "changed", "removed", "unchanged", "outside") == [1, 1, 1, 0, 1]
    assert entries(alice) == {"app/a": 9, "app/c": 4, "b": 3}
    assert counts(bring(alice, {}, mode="replace")) == [0, 0, 3, 0]
    assert entries(alice) == {}


def test_dry_run_reports_the_same_result_and_writes_nothing(alice):
    bring(alice, {"same": 1, "other": 1, "mine": 1})
    for mode in ("merge", "skip", "replace"):
        tried = bring(alice, {"same": 1, "other": 2, "new": 3}, mode=mode, dry_run="true").json
        assert tried["dry_run"] and tried["revisions"] == [] and tried["revision"] == 1
        assert entries(alice) == {"same": 1, "other": 1, "mine": 1}
    done = bring(alice, {"same": 1, "other": 2, "new": 3}, mode="replace").json
    assert {**done, "dry_run": True, "revisions": [], "revision": 1} == tried


def test_import_can_be_undone_write_by_write_newest_first(alice):
    before = {f"old/{n:04}": n for n in range(1_200)} | {"both": "mine"}
    bring(alice, before)
    done = bring(alice, {f"new/{n:04}": n for n in range(1_200)} | {"both": "theirs"}, mode="replace").json
    assert (done["added"], done["changed"], done["removed"]) == (1_200, 1, 1_200)
    assert "both" in entries(alice) and len(done["revisions"]) == 3
    for revision in reversed(done["revisions"]):
        assert alice.call("undo", revision=revision).status_code == 200
    assert entries(alice) == before


def test_import_is_recorded_in_the_origin_of_its_writes(alice):
    bring(alice, {"a": 1})
    (write,) = alice.get("/api/v1/sync").json["writes"]
    assert write["origin"]["via"] == "import"
    assert write["origin"]["label"] and write["origin"]["session"]


# invalid files, each with its error code and the line that the error names
WRONG = [
    (b"", "json", "bad_request", 1),
    (b"", "ndjson", "bad_request", None),
    (b"[]", "json", "bad_request", 1),
    (b'{"a":1', "json", "bad_request", 1),
    (b'{"a":1,}', "json", "bad_request", 1),
    (b'{"a":1}x', "json", "bad_request", 1),
    (b'{\n"a":1,\n"b":tru}', "json", "bad_request", 3),
    (b'{\n"a":1,\n"b":NaN}', "json", "bad_request", 3),
    (b'{\n"a":1,\n"b":Infinity}', "json", "bad_request", 3),
    (b'{"a":"\xff"}', "json", "bad_request", 1),
    (b'{"a":"\\ud800"}', "json", "bad_request", 1),
    (b'{"\\ud800":1}', "json", "bad_request", 1),
    (b'{"a":1e400}', "json", "invalid_value", 1),
    (b'{"a":9007199254740992}', "json", "invalid_value", 1),
    (b'{"a":' + b"9" * 6000 + b"}", "json", "invalid_value", 1),
    (b'{"ok":1,\n"a":' + b"[" * 65 + b"]" * 65 + b"}", "json", "invalid_value", 2),
    (b'{"a":' + b"[" * 500_000, "json", "invalid_value", 1),
    (b'{"":1}', "json", "invalid_key", 1),
    (b'{"a\\u0000":1}', "json", "invalid_key", 1),
    (b'{"' + b"k" * 513 + b'":1}', "json", "invalid_key", 1),
    (b'{"a":"' + b"x" * 65_535 + b'"}', "json", "too_large", 1),
    (b'{"a":"' + b"x" * 3_000_000 + b'"}', "json", "too_large", 1),
    (b'{"' + b"x" * 3_000_000 + b'":1}', "json", "too_large", 1),
    (b'{"a":1,\n"a":1}', "json", "bad_request", 2),
    (b'{"a":1,"format":"realtime_kv"}', "json", "bad_request", 1),
    (b'{"format":"realtime_kv","version":2,"entries":{},"count":0,"complete":true}', "json", "bad_request", None),
    (b'{"format":"realtime_kv","version":1,"entries":{"a":1}}', "json", "bad_request", None),
    (b'{"format":"realtime_kv","version":1,"entries":[],"count":0,"complete":true}', "json", "bad_request", 1),
    # members that are unknown, repeated or missing
    (b'{"format":"realtime_kv","version":1,\n"x":1,"entries":{},"count":0,"complete":true}', "json", "bad_request", 2),
    (
        b'{"format":"realtime_kv","version":1,"entries":{},\n"entries":{},"count":0,"complete":true}',
        "json",
        "bad_request",
        2,
    ),
    (
        b'{"format":"realtime_kv",\n"format":"x","version":1,"entries":{},"count":0,"complete":true}',
        "json",
        "bad_request",
        2,
    ),
    (b'{"format":"realtime_kv","version":1,"count":0,"complete":true}', "json", "bad_request", None),
    (b'{"key":"a","value":1}\n{"key":"b"}', "ndjson", "bad_request", 2),
    (b'{"key":"a","value":1}\n\n{"key":"b","value":1,"expire_at":null}', "ndjson", "bad_request", 3),
    (b'{"key":"a","value":1,"expires_at":"tomorrow"}', "ndjson", "bad_request", 1),
    (b'{"key":"a","value":1,"expires_at":"2190-01-01T00:00:00Z"}', "ndjson", "bad_request", 1),
    (b'{"key":"a","value":' + b"[" * 100_000, "ndjson", "invalid_value", 1),
    (b'{"key":"a","value":"' + b"x" * 1_100_000 + b'"}', "ndjson", "too_large", 1),
    (b'{"key":"a","value":1}\n{"key":"a","value":2}', "ndjson", "bad_request", 2),
    (b'{"format":"realtime_kv","version":1}\n{"key":"a","value":1}\n', "ndjson", "bad_request", 2),
    (b'{"format":"realtime_kv","version":1}\n{"count":1,"complete":true}\n', "ndjson", "bad_request", 2),
    (b'{"format":"realtime_kv","version":9}\n{"count":0,"complete":true}\n', "ndjson", "bad_request", None),
    (
        b'{"format":"realtime_kv","version":1}\n{"count":0,"complete":true}\n{"key":"a","value":1}',
        "ndjson",
        "bad_request",
        3,
    ),
]


def test_invalid_file_is_refused_with_its_line_number_and_writes_nothing(alice):
    for body, format, code, line in WRONG:
        answer = bring(alice, body, format)
        assert answer.status_code < 500 and answer.json["code"] == code, (body[:99], answer.text[:300])
        assert answer.json.get("line") == line, (body[:99], answer.text[:300])
    assert alice.get("/api/v1/list").json == {"ok": True, "entries": [], "next": None, "revision": 0}
    # and the next import does not have to wait
    assert counts(bring(alice, {"a": 1})) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-be"), "UTF-16"),
        ('{"key": "a", "value": 1}\n'.encode("utf-16-le"), "UTF-16"),
        (gzip.compress(b'{"a": 1}', mtime=0), "gzip"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x28\xb5\x2f\xfdrest", "Zstandard"),
    ],
)
def test_unsupported_encoding_is_refused_with_its_name_and_a_remedy(alice, body, words):
    for format in ("json", "ndjson"):
        answer = bring(alice, body, format)
        assert answer.status_code == 400 and words in answer.json["detail"] and "import" in answer.json["detail"]


def test_truncated_export_is_refused(filled, charlie):
    for format in ("json", "ndjson"):
        whole = export(filled, format).data
        for length in (len(whole) - 3, len(whole) - 30, len(whole) // 2, 200, 10):
            assert bring(charlie, whole[:length], format, mode="replace").status_code == 400, (format, length)
    assert entries(charlie) == {}


def test_quota_is_checked_before_the_first_write(open_site):
    site = open_site(quota_keys=1_500, quota_bytes=300_000)
    alice = site.browser("alice")
    refused = bring(alice, {f"k{n}": 1 for n in range(1_501)})
    assert (refused.status_code, refused.json["code"]) == (507, "quota_exceeded")
    refused = bring(alice, {f"k{n}": "x" * 60_000 for n in range(6)}, dry_run="true")
    assert refused.json["code"] == "quota_exceeded" and refused.json["limit"] == 300_000
    assert alice.get("/api/v1/me").json["usage"] == {"keys": 0, "bytes": 0}
    assert bring(alice, {f"k{n}": "x" * 48_000 for n in range(6)}).status_code == 200
    swapped = {f"k{n}": "z" * (48_000 if n < 3 else 10) for n in range(6)} | {"more": "m" * 60_000, "x": "m" * 60_000}
    assert counts(bring(alice, swapped)) == [2, 6, 0, 0]


def test_replace_frees_the_quota_of_deleted_keys_for_new_ones(open_site):
    alice = open_site(quota_keys=1_500).browser("alice")
    bring(alice, {f"a/{n:04}": 1 for n in range(1_500)})
    answer = bring(alice, {f"b/{n:04}": 1 for n in range(1_500)}, mode="replace")
    assert counts(answer) == [1_500, 0, 1_500, 0] and len(answer.json["revisions"]) == 3


def test_a_body_over_its_limit_is_refused(open_site):
    alice = open_site(quota_keys=10, quota_bytes=1_000).browser("alice")
    refused = bring(alice, b'{"a":' + b" " * 8_000 + b"1}")
    assert (refused.status_code, refused.json["code"], refused.json["limit"]) == (413, "too_large", 7_120)
    assert bring(alice, b'{"a":' + b" " * 7_000 + b"1}").status_code == 200


def test_key_written_during_an_import_is_not_overwritten(alice, site):
    keys = {f"key/{n:04}": n for n in range(1_500)}
    bring(alice, keys)
    services = site.app.extensions["realtime_kv"]
    other = site.browser_of("Alice")
    carry_in, parts = services.store.carry_in, []

    def meddling(caller, ops):
        parts.append(ops)
        if len(parts) == 2:
            other.call("set", key=ops[-1].key, value="somebody's")
        return carry_in(caller, ops)

    services.store.carry_in = meddling
    refused = bring(alice, dict.fromkeys(keys, "new"))
    services.store.carry_in = carry_in
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert refused.json["entry"]["value"] == "somebody's"
    assert refused.json["written"]["changed"] == 1_000 and len(refused.json["written"]["revisions"]) == 1
    found = entries(alice)
    assert sum(value == "new" for value in found.values()) == 1_000
    assert list(found.values()).count("somebody's") == 1


def test_concurrent_import_is_refused_and_progress_of_the_first_is_reported(alice, charlie, site):
    services = site.app.extensions["realtime_kv"]
    store, seen = services.store, []
    carry_in = store.carry_in

    def looking(caller, ops):
        store.carry_in = carry_in
        again = site.browser_of("Alice")
        seen.append(bring(again, {"b": 1}))
        seen.append(again.get("/api/v1/import"))
        seen.append(bring(charlie, {"b": 1}))
        return carry_in(caller, ops)

    store.carry_in = looking
    assert counts(bring(alice, {"a": 1})) == [1, 0, 0, 0]
    second, progress, others = seen
    assert (second.status_code, second.json["code"]) == (429, "rate_limited") and second.headers["Retry-After"]
    assert progress.json == {"ok": True, "import": {"phase": "writing", "done": 0, "total": 1}}
    assert others.status_code == 200
    assert alice.get("/api/v1/import").json == {"ok": True, "import": None}
    assert alice.get("/api/v1/import?mode=merge").json["field"] == "mode"


def test_concurrent_exports_are_limited_per_user(alice):
    on_their_way = [alice.client.get("/api/v1/export", buffered=False) for _ in range(2)]
    refused = alice.get("/api/v1/export")
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    on_their_way[0].close()
    assert export(alice).status_code == 200


def test_tokens_export_and_import_within_their_scope_and_prefix(alice, site):
    bring(alice, {"app/a": 1, "b": 2})
    reading = site.visitor(alice.call("create_token", name="r", scope="read").json["token"])
    app = site.visitor(alice.call("create_token", name="a", prefix="app/").json["token"])
    assert set(json.loads(export(reading).data)["entries"]) == {"app/a", "b"}
    assert set(json.loads(export(app).data)["entries"]) == {"app/a"}
    assert app.get("/api/v1/export?prefix=b").status_code == 403
    refused = bring(reading, {"c": 1})
    assert (refused.status_code, refused.json["needs"]) == (403, "write")
    refused = bring(app, {"app/b": 1, "b": 1})
    assert (refused.status_code, refused.json["key"]) == (403, "b")
    for prefix in ("", "ap", "b"):
        assert bring(app, {"app/b": 1}, mode="replace", prefix=prefix).status_code == 403
    assert entries(alice) == {"app/a": 1, "b": 2}
    assert counts(bring(app, {"app/b": 1}, mode="replace")) == [1, 0, 1, 0]
    assert entries(alice) == {"app/b": 1, "b": 2}


def test_cross_site_requests_and_plain_forms_are_refused(alice):
    body = b'{"a":1}'
    evil = {"Origin": "https://evil.example"}
    assert alice.post("/api/v1/import", data=body, content_type="application/json", headers=evil).status_code == 403
    for mimetype in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/csv", ""):
        answer = alice.post("/api/v1/import", data=body, content_type=mimetype)
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), mimetype
    assert alice.get("/api/v1/export", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert entries(alice) == {}


def test_unknown_and_invalid_query_parameters_are_refused(alice):
    for query in (
        "mode=all", "format=csv", "dry_run=1", "dry_run=", "modus=merge", "mode=merge&mode=skip", "prefix=%ff", "mode=",
    ):  # fmt: skip
        answer = alice.post(f"/api/v1/import?{query}", json={"a": 1})
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), query
    assert alice.get("/api/v1/export?format=xml").status_code == 400
    assert alice.get("/api/v1/export?limit=1").status_code == 400
    assert entries(alice) == {}


def test_export_and_import_require_authentication(stranger):
    assert stranger.get("/api/v1/export").status_code == 401
    assert bring(stranger, {"a": 1}).status_code == 401
    assert stranger.call("sign_in", username="x", password=PASSWORD).status_code == 401
