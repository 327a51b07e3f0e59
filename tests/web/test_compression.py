import gzip
from pathlib import Path

import pytest

from realtime_kv.web import compression

SCRIPTS = Path(__file__).parent.parent.parent / "static" / "js"
FILES = ["/static/css/base.css", "/static/js/vendor/lit-html/lit-html.js"]


@pytest.mark.parametrize("path", FILES)
def test_scripts_and_styles_travel_compressed_and_arrive_whole(stranger, path):
    plain = stranger.get(path, headers={"Accept-Encoding": "identity"})
    packed = stranger.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data)


def test_our_scripts_travel_without_their_comments_and_are_otherwise_the_same(stranger):
    for file in sorted(SCRIPTS.rglob("*.js")):
        packed = stranger.get(f"/static/js/{file.relative_to(SCRIPTS)}", headers={"Accept-Encoding": "gzip"})
        text = packed.data if packed.content_encoding is None else gzip.decompress(packed.data)
        sent, kept = text.decode().splitlines(), file.read_text().splitlines()
        left_out = [line.strip() for line in difference(kept, sent)]
        assert all(line.startswith(("//", "/**", "*")) for line in left_out), file


def difference(kept: list[str], sent: list[str]) -> list[str]:
    """The lines of `kept` that `sent`, which adds none, leaves out."""
    left_out, at = [], 0
    for line in kept:
        if at < len(sent) and sent[at] == line:
            at += 1
        else:
            left_out.append(line)
    assert at == len(sent)
    return left_out


def test_a_browser_that_has_the_file_gets_a_304(stranger):
    first = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip"})
    again = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


def test_pages_and_the_api_are_never_compressed(stranger):
    for path in ("/signin", "/api/v1/me", "/metrics"):
        assert "Content-Encoding" not in stranger.get(path, headers={"Accept-Encoding": "gzip"}).headers


def test_however_an_address_is_spelt_a_file_is_kept_once(stranger):
    packed = {
        stranger.get(f"/static/{spelt}css/base.css", headers={"Accept-Encoding": "gzip"}).data
        for spelt in ("", *("./" * n for n in range(1, 6)), "js/../", ".//")
    }
    assert len(packed) == 1
    [content] = packed
    assert list(compression._kept.values()).count(content) == 1
