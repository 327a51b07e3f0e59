import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from realtime_kv.web.http import compression

SCRIPTS = Path(__file__).parent.parent.parent / "static" / "js"
QUOTED = re.compile("[\"'`]")
FILES = ["/static/css/base.css", "/static/js/vendor/lit-html/lit-html.js"]


@pytest.mark.parametrize("path", FILES)
def test_scripts_and_styles_are_served_compressed_without_loss(stranger, path):
    plain = stranger.get(path, headers={"Accept-Encoding": "identity"})
    packed = stranger.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data)


def test_own_scripts_are_served_without_comments_and_with_the_same_tokens(stranger):
    files = {str(file.relative_to(SCRIPTS)): file.read_text() for file in sorted(SCRIPTS.rglob("*.js"))}
    pairs = {name: [text, packed(stranger, f"/static/js/{name}")] for name, text in files.items()}
    comments = compared({name: pair for name, pair in pairs.items() if pair[1] is not None})
    assert len(comments) > 100
    left = [comment for several in comments.values() for comment in several]
    assert [comment for comment in left if not QUOTED.search(comment)] == [" global FILES, VERSION "]


def test_comment_markers_inside_strings_are_kept():
    text = """const a = "b // c" // d
const e = 'f // g', h = `i // j` // it's k
const l = a / 2 // "m"
"""
    assert (
        compression._COMMENTS.sub(b"", text.encode()).decode()
        == """const a = "b // c"
const e = 'f // g', h = `i // j`
const l = a / 2 // "m"
"""
    )


def packed(stranger, path):
    """Return the decompressed text, or None if the file is too small for compression."""
    answer = stranger.get(path, headers={"Accept-Encoding": "gzip"})
    return None if answer.content_encoding is None else gzip.decompress(answer.data).decode()


def compared(pairs):
    """Return by name the comments that the second text of each pair still has; check that both have the same tokens."""
    node = shutil.which("node")
    assert node, "Node.js is missing: `python3 run.py test` brings it along"
    script = str(Path(__file__).parent / "same_tokens.js")
    done = subprocess.run(
        [node, script], input=json.dumps(pairs), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_matching_etag_gets_a_304(stranger):
    first = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip"})
    again = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


def test_pages_and_the_api_are_never_compressed(stranger):
    for path in ("/signin", "/api/v1/me", "/metrics"):
        assert "Content-Encoding" not in stranger.get(path, headers={"Accept-Encoding": "gzip"}).headers


def test_equivalent_paths_share_one_compression_cache_entry(stranger):
    packed = {
        stranger.get(f"/static/{spelt}css/base.css", headers={"Accept-Encoding": "gzip"}).data
        for spelt in ("", *("./" * n for n in range(1, 6)), "js/../", ".//")
    }
    assert len(packed) == 1
    [content] = packed
    assert list(compression._kept.values()).count(content) == 1
