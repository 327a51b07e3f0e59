"""External monitoring: health, readiness and metrics."""

import json
import re
import tomllib
from pathlib import Path

from realtime_kv.version import VERSION


def test_a_running_server_is_alive_and_ready(stranger):
    assert (stranger.get("/healthz").status_code, stranger.get("/healthz").data) == (200, b"ok\n")
    assert (stranger.get("/readyz").status_code, stranger.get("/readyz").data) == (200, b"ready\n")


def test_a_server_that_cannot_write_is_alive_and_not_ready(site, stranger):
    site.app.extensions["realtime_kv"].store.writer.stop()
    assert stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").status_code == 503


def test_a_server_that_cannot_look_up_sessions_is_alive_and_not_ready(site, stranger):
    site.app.extensions["realtime_kv"].store.identity.stop()
    assert stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").status_code == 503


def test_limit_metrics_are_counted_by_name_without_account_or_network(site, stranger):
    limits = site.app.extensions["realtime_kv"].limit_log
    limits.record("sign_in_attempts", network="192.0.2.7")
    limits.record("sign_in_attempts", account=4711)
    text = stranger.get("/metrics").text
    assert 'rkv_limits_reached_total{limit="sign_in_attempts"} 2.0' in text
    assert "192.0.2.7" not in text and "4711" not in text


def test_metrics_are_prometheus_text_without_a_user_or_a_key(alice):
    alice.call("set", key="my-secret-key", value="treasure")
    answer = alice.get("/metrics")
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    lines = answer.text.splitlines()
    figures = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    assert figures and all(name.startswith("rkv_") for name in figures)
    for word in ("Alice", "my-secret-key", "treasure"):
        assert word not in answer.text


def test_the_version_stands_in_one_place():
    root = Path(__file__).parents[2]
    pyproject = tomllib.loads((root / "pyproject.toml").read_text())
    assert "version" not in pyproject["project"] and "version" in pyproject["project"]["dynamic"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "realtime_kv.version.VERSION"}
    assert "version" not in json.loads((root / "package.json").read_text())


def test_the_changelog_has_the_changes_of_this_version():
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert released[0] == VERSION
