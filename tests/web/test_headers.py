"""The headers of every answer."""

import base64
import hashlib
import json
import re

import pytest

from realtime_kv import static_assets

POLL = "/socket.io/?EIO=4&transport=polling"
PATHS = ["/signin", "/signup", "/keys", "/nothing", "/api/v1/me", "/api/v1/nope", "/healthz", "/rkv.js", POLL]


@pytest.mark.parametrize("path", PATHS)
def test_every_response_carries_the_security_headers(alice, path):
    headers = alice.get(path).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy)
    scripts = next(rule for rule in policy if rule.startswith("script-src "))
    assert re.fullmatch(
        r"script-src 'self'( 'sha256-[\w+/]{43}=')?" if path == "/keys" else "script-src 'self'", scripts
    )
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if path == "/rkv.js" else "same-origin")
    assert {"camera=()", "microphone=()", "geolocation=()"} <= set(headers["Permissions-Policy"].split(", "))
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    "path", ["/static/js/rkv.js", "/static/css/base.css", "/static/js/vendor/fonts/geist-mono.woff2"]
)
def test_static_files_carry_only_the_security_headers_they_need(stranger, path):
    headers = stranger.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if ".css" not in path else "same-origin")
    assert not {"Content-Security-Policy", "Permissions-Policy", "Cross-Origin-Opener-Policy"} & set(headers.keys())


@pytest.mark.parametrize("path", ["/static/icon.svg", "/static/js/nothing.js", "/sw.js"])
def test_svg_service_worker_and_missing_file_responses_have_a_csp(stranger, path):
    assert "default-src 'none'" in stranger.get(path).headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/keys", "/activity", "/trash"])
def test_import_map_is_allowed_by_its_csp_hash_and_lists_only_served_files(alice, path):
    answer = alice.get(path)
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'; " in answer.headers["Content-Security-Policy"]
    # a browser applies an import map only to modules that it has not begun to load
    assert answer.text.index("importmap") < answer.text.index("modulepreload")
    served = {f"/static/js/vendor/{name}" for name in static_assets.VENDOR}
    assert set(json.loads(inline)["imports"].values()) <= served


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/rkv.js"])
def test_pages_and_api_responses_are_never_cached(alice, path):
    assert alice.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_hsts_is_sent_under_tls(open_site, path):
    visitor = open_site(public_url="https://kv.example.org").visitor()
    assert visitor.get(path).headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_no_header_comes_twice(alice):
    for path in PATHS:
        names = [name.lower() for name, _ in alice.get(path).headers if name.lower() not in {"set-cookie", "vary"}]
        assert len(names) == len(set(names))


def test_cors_never_allows_credentials(open_site):
    partner = "https://app.example.com"
    visitor = open_site(origins=(partner,)).visitor()
    for path in ["/api/v1/me", POLL]:
        headers = visitor.get(path, headers={"Origin": partner}).headers
        assert headers["Access-Control-Allow-Origin"] == partner
        assert "Access-Control-Allow-Credentials" not in headers


def test_trace_requests_are_refused(alice):
    assert alice.ask("/signin", "TRACE").status_code == 405


def test_client_script_allows_any_origin_and_is_revalidated(stranger):
    for path in ("/rkv.js", "/static/js/rkv.js"):
        answer = stranger.get(path)
        assert answer.status_code == 200 and "javascript" in answer.mimetype
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-cache"
        again = stranger.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304 and again.data == b""


def test_pages_and_api_do_not_allow_any_origin(alice):
    for path in ("/keys", "/api/v1/me", "/signin", "/healthz"):
        assert "Access-Control-Allow-Origin" not in alice.get(path).headers


@pytest.mark.parametrize(
    "name", ["package.json", "..", "..%2f..%2fREADME.md", "%2e%2e/rkv.js", "socket.io.esm.min.js.map", ""]
)
def test_only_listed_browser_files_are_served_from_node_modules(stranger, name):
    assert stranger.get(f"/static/js/vendor/{name}").status_code in {404, 308}


@pytest.mark.parametrize("name", list(static_assets.VENDOR))
def test_the_listed_browser_files_are_served(stranger, name):
    if name in static_assets.missing():
        pytest.skip("the browser libraries are not installed")
    answer = stranger.get(f"/static/js/vendor/{name}")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["ETag"]
    answer.close()
