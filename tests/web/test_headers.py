"""The headers of every answer."""

import base64
import hashlib
import json
import re

import pytest

from realtime_kv import browser_files

POLL = "/socket.io/?EIO=4&transport=polling"
PATHS = ["/signin", "/signup", "/keys", "/nothing", "/api/v1/me", "/api/v1/nope", "/healthz", "/rkv.js", POLL]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_says_what_a_browser_may_make_of_it(alice, path):
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
def test_what_a_page_is_made_of_carries_no_more_than_it_needs(stranger, path):
    headers = stranger.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if ".css" not in path else "same-origin")
    assert not {"Content-Security-Policy", "Permissions-Policy", "Cross-Origin-Opener-Policy"} & set(headers.keys())


@pytest.mark.parametrize("path", ["/static/icon.svg", "/static/js/nothing.js", "/sw.js"])
def test_what_could_run_scripts_by_itself_has_its_policy(stranger, path):
    assert "default-src 'none'" in stranger.get(path).headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/keys", "/activity", "/trash"])
def test_the_dashboard_s_import_map_is_allowed_by_its_hash_and_says_what_we_serve(alice, path):
    answer = alice.get(path)
    (inline,) = re.findall(r'<script type="importmap">(.*?)</script>', answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'; " in answer.headers["Content-Security-Policy"]
    # a browser applies an import map only to modules that it has not begun to load
    assert answer.text.index("importmap") < answer.text.index("modulepreload")
    served = {f"/static/js/vendor/{name}" for name in browser_files.VENDOR}
    assert set(json.loads(inline)["imports"].values()) <= served


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/rkv.js"])
def test_pages_and_answers_are_not_kept_by_anybody(alice, path):
    assert alice.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_under_tls_browsers_are_told_to_stay_there(open_site, path):
    visitor = open_site(public_url="https://kv.example.org").visitor()
    assert visitor.get(path).headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_no_header_comes_twice(alice):
    for path in PATHS:
        names = [name.lower() for name, _ in alice.get(path).headers if name.lower() not in {"set-cookie", "vary"}]
        assert len(names) == len(set(names))


def test_no_answer_lets_a_page_elsewhere_send_cookies(open_site):
    partner = "https://app.example.com"
    visitor = open_site(origins=(partner,)).visitor()
    for path in ["/api/v1/me", POLL]:
        headers = visitor.get(path, headers={"Origin": partner}).headers
        assert headers["Access-Control-Allow-Origin"] == partner
        assert "Access-Control-Allow-Credentials" not in headers


def test_a_request_is_not_sent_back_as_an_answer(alice):
    assert alice.ask("/signin", "TRACE").status_code == 405


def test_the_client_is_for_pages_of_any_origin_and_revalidated(stranger):
    for path in ("/rkv.js", "/static/js/rkv.js"):
        answer = stranger.get(path)
        assert answer.status_code == 200 and "javascript" in answer.mimetype
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-cache"
        again = stranger.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304 and again.data == b""


def test_no_other_path_is_for_any_origin(alice):
    for path in ("/keys", "/api/v1/me", "/signin", "/healthz"):
        assert "Access-Control-Allow-Origin" not in alice.get(path).headers


@pytest.mark.parametrize(
    "name", ["package.json", "..", "..%2f..%2fREADME.md", "%2e%2e/rkv.js", "socket.io.esm.min.js.map", ""]
)
def test_nothing_but_the_listed_browser_files_leaves_node_modules(stranger, name):
    assert stranger.get(f"/static/js/vendor/{name}").status_code in {404, 308}


@pytest.mark.parametrize("name", list(browser_files.VENDOR))
def test_the_listed_browser_files_are_served(stranger, name):
    if name in browser_files.missing():
        pytest.skip("the browser libraries are not installed")
    answer = stranger.get(f"/static/js/vendor/{name}")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["ETag"]
    answer.close()
