"""Static files from memory: the same answers as Flask's, until a file changes."""

import shutil
from pathlib import Path

import pytest
from werkzeug.test import Client

from realtime_kv.config import Config
from realtime_kv.web.http.static_cache import from_memory

PATHS = ["/static/js/client/keys.js", "/rkv.js", "/static/icon.svg", "/static/js/vendor/fonts/instrument-sans.woff2"]


def seen(answer):
    """Return what a client sees, without the date."""
    return answer.status, {name: value for name, value in answer.headers if name != "Date"}, answer.data


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["gzip, deflate, br", "identity"])
def test_the_second_answer_is_the_first(stranger, path, coding):
    first, second = (stranger.get(path, headers={"Accept-Encoding": coding}) for _ in range(2))
    assert first.status_code == 200 and len(first.data) > 0
    assert seen(first) == seen(second)


@pytest.mark.parametrize("path", PATHS)
def test_a_known_version_is_answered_304_without_a_body(stranger, path):
    for _ in range(2):
        answer = stranger.get(path, headers={"Accept-Encoding": "gzip"})
        etag = answer.headers["ETag"]
        for sent in (etag, f'"x", {etag}'):
            again = stranger.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": sent})
            assert (again.status_code, again.data) == (304, b"")
            assert (again.headers["ETag"], again.headers["Cache-Control"]) == (etag, "no-cache")
            assert "Content-Encoding" not in again.headers
        assert stranger.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_parts_and_requests_by_date_are_answered_as_before(stranger):
    whole = stranger.get(PATHS[0], headers={"Accept-Encoding": "identity"})
    part = stranger.get(PATHS[0], headers={"Accept-Encoding": "identity", "Range": "bytes=0-9"})
    assert (part.status_code, part.data) == (206, whole.data[:10])
    since = stranger.get(PATHS[0], headers={"If-Modified-Since": whole.headers["Last-Modified"]})
    assert since.status_code == 304
    head = stranger.ask(PATHS[0], "HEAD", headers={"Accept-Encoding": "identity"})
    assert (head.data, head.headers["Content-Length"]) == (b"", whole.headers["Content-Length"])


def test_a_host_that_is_not_this_servers_gets_no_file(stranger):
    assert stranger.get(PATHS[0]).status_code == 200
    refused = stranger.get(PATHS[0], base_url="http://attacker.example")
    assert refused.status_code == 400
    assert b"compareKeys" not in refused.data


def test_a_changed_file_is_read_again_and_a_removed_one_is_gone(tmp_path):
    asked = []

    def flask(environ, start_response):
        asked.append(environ["PATH_INFO"])
        file = tmp_path / environ["PATH_INFO"].removeprefix("/static/")
        if not file.exists():
            start_response("404 NOT FOUND", [])
            return [b"gone"]
        start_response("200 OK", [("ETag", f'"{file.stat().st_mtime_ns}"'), ("Date", "now")])
        return [file.read_bytes()]

    (tmp_path / "js").mkdir()
    file = tmp_path / "js" / "a.js"
    file.write_text("one")
    client = Client(from_memory(flask, Config(data_dir=Path("unused")), tmp_path))
    assert [client.get("/static/js/a.js").data for _ in range(3)] == [b"one"] * 3
    assert len(asked) == 1
    file.write_text("two, longer")
    assert [client.get("/static/js/a.js").data for _ in range(3)] == [b"two, longer"] * 3
    assert len(asked) == 2
    shutil.rmtree(tmp_path / "js")
    assert client.get("/static/js/a.js").status_code == 404


@pytest.mark.parametrize(
    "unusual", ["gzip;q=1.0", "GZIP ;q=0.5", "*", "br;q=1.0, *;q=0.1", "gzip, gzip;q=0", "gzip;q=0"]
)
def test_unusual_requests_do_not_decide_what_others_get(site, unusual):
    for path in PATHS:
        asker, plain, packed = site.visitor(), site.visitor(), site.visitor()
        asker.get(path, headers={"Accept-Encoding": unusual})
        assert "Content-Encoding" not in plain.get(path, headers={"Accept-Encoding": "identity"}).headers
        coding = packed.get(path, headers={"Accept-Encoding": "gzip"}).headers.get("Content-Encoding")
        assert coding == (None if path.endswith("woff2") else "gzip")
