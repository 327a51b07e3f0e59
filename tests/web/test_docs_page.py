"""The API page, and its equivalent for programs."""

import re

import pytest

from realtime_kv import errors
from realtime_kv.verbs import registry as verbs


def test_api_page_shows_every_verb_and_every_error(stranger):
    page = stranger.get("/api").text
    for verb in verbs.VERBS:
        assert f'<h3 id="{verb}">' in page
    for refusal in _family(errors.Refusal):
        assert f"<code>{refusal.code}</code>" in page, refusal.code


def test_api_page_is_public_and_reveals_no_user_data(site, stranger):
    assert "dora" in site.browser("dora").get("/api").text
    theirs = stranger.get("/api")
    assert theirs.status_code == 200
    assert "dora" not in theirs.text and '<nav aria-label="Primary">' not in theirs.text


def test_openapi_document_lists_every_verb_and_its_references_resolve(stranger):
    text = stranger.get("/api/v1/openapi.json").text
    document = stranger.get("/api/v1/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {f"/api/v1/{name}" for name in [*verbs.VERBS, "stream"]}
    assert {path for path in document["paths"] if "get" in document["paths"][path]} == {
        f"/api/v1/{name}" for name in [*verbs.READING, "stream"]
    }
    for target in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert target in document["components"]["schemas"]


@pytest.mark.parametrize("verb", list(verbs.VERBS))
def test_every_response_matches_its_openapi_schema(alice, verb):
    for value in ("Back at noon", "Back at one"):
        alice.call("set", key="app/banner", value=value)
    document = alice.get("/api/v1/openapi.json").json
    answer = alice.call(verb, **verbs.VERBS[verb].example)
    assert answer.status_code == 200, answer.text
    said = document["paths"][f"/api/v1/{verb}"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][said["$ref"].rsplit("/", 1)[1]]
    assert set(schema.get("required", ())) <= set(answer.json) <= set(schema["properties"])


def _family(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _family(child)
