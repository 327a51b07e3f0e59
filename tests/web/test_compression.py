import gzip

import pytest

FILES = ["/rkv.js", "/static/js/replica.js", "/static/css/base.css", "/static/js/vendor/lit-html/lit-html.js"]


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


def test_a_browser_that_has_the_file_gets_a_304(stranger):
    first = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip"})
    again = stranger.get("/rkv.js", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


def test_pages_and_the_api_are_never_compressed(stranger):
    for path in ("/signin", "/api/v1/me", "/metrics"):
        assert "Content-Encoding" not in stranger.get(path, headers={"Accept-Encoding": "gzip"}).headers
