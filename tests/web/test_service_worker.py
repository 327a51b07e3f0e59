"""The service worker: every file that it caches exists, and a change to one of them gives a different worker."""

import json
import os
import re
import shutil
from pathlib import Path

from realtime_kv import static_assets
from realtime_kv.web.pages import dashboard

STATIC = Path(__file__).resolve().parents[2] / "static"


def files_of(script: str) -> list[str]:
    return json.loads(re.search(r"^const FILES = (.*)$", script, re.MULTILINE)[1])


def test_service_worker_caches_served_files_and_no_account_page(stranger):
    answer = stranger.get("/sw.js")
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "no-cache"
    files = files_of(answer.text)
    assert {stranger.get(name).status_code for name in files} == {200}
    assert "/static/js/dashboard/main.js" in files and "/static/js/client/offline/persistence.js" in files
    assert not [
        name
        for name in files
        if name.startswith(("/api", "/static/js/pages/admin", "/static/js/pages/import", "/static/js/client/auth"))
    ]


def test_service_worker_caches_every_module_of_the_initial_page_load():
    files = files_of(static_assets.worker(STATIC))
    loaded = static_assets.modules(STATIC / "js", "dashboard/main.js")
    assert {f"/static/js/{name}" for name in loaded} <= set(files)


def test_service_worker_changes_when_a_file_changes(tmp_path):
    folder = tmp_path / "static"
    shutil.copytree(STATIC, folder)
    before = static_assets.worker(folder)
    assert static_assets.worker(folder) == before
    os.utime(folder / "css" / "keys.css", (1, 1))
    assert static_assets.worker(folder) != before


def test_service_worker_script_is_built_once_and_not_for_each_request(stranger):
    first = stranger.get("/sw.js")
    looks = dashboard._worker.cache_info().misses
    assert stranger.get("/sw.js").data == first.data
    assert dashboard._worker.cache_info().misses == looks
