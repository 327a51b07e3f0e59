"""Lighthouse, as a phone would see the pages: accessibility and best practices.

Its performance score depends on how busy the machine is; `test_accessibility.py` judges the other pages.
"""

import json
import os
import subprocess

import pytest

from realtime_kv.bootstrap.chromium import find
from tests.live_server import ROOT

LIGHTHOUSE = ROOT / "node_modules" / "lighthouse" / "cli" / "index.js"


@pytest.mark.parametrize("path", ["/signin", "/keys"])
def test_lighthouse_finds_nothing_wrong(make_person, server, tmp_path, path):
    person = make_person(signed_up=path != "/signin")
    cookie = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in person.context.cookies())
    report = tmp_path / "report.json"
    command = [
        "node",
        str(LIGHTHOUSE),
        server.url + path,
        "--quiet",
        "--output=json",
        f"--output-path={report}",
        "--only-categories=accessibility,best-practices",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-background-networking --no-first-run",
        f"--extra-headers={json.dumps({'Cookie': cookie} if cookie else {})}",
    ]
    environment = {**os.environ, "CHROME_PATH": find() or ""}
    for _ in range(2):  # now and then its own Chromium does not come up
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    scores = {name: category["score"] for name, category in found["categories"].items()}
    print(f"{path}: {scores}")
    assert (scores["accessibility"], scores["best-practices"]) == (1, 1), [
        f"{audit['id']}: {audit['title']}" for audit in found["audits"].values() if audit["score"] not in (1, None)
    ]
