import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import check
from tests.live_server import ROOT

SECONDS = 12


@pytest.fixture
def demo():
    command = [sys.executable, "-m", "realtime_kv.cli", "demo", "--once", "--no-browser", f"--seconds={SECONDS}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def test_demo_devices_miss_no_change_despite_disconnects_and_server_kills(browser, demo):
    url = next(found[0] for line in demo.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    page.get_by_role("button", name="Kill the server").click()
    expect(page.locator(".server")).to_have_attribute("data-alive", "false")
    expect(page.locator(".server")).to_have_attribute("data-alive", "true", timeout=30_000)
    page.locator("[data-device='2']").get_by_role("button", name="Cut the connection").click()
    expect(page.locator("[data-device='2']")).to_have_attribute("data-state", "offline")
    # the second device's unsaved edit conflicts with the first one's
    page.locator("#merge").click(timeout=60_000)
    check(page, "the demonstration")
    said = demo.stdout.readline()
    found = re.fullmatch(
        r"([\d ]+) changes, 0 missed, digest equal on 4 devices \(server kills: (\d+), cut connections: (\d+)\)\n", said
    )
    assert found, said
    assert int(found[1].replace(" ", "")) > 100
    assert int(found[2]) >= 1
    assert int(found[3]) >= 2
    for editor in page.locator(".editor pre").all():
        assert '"Oslo"' in editor.text_content()
        assert "31" in editor.text_content()
    assert demo.wait(30) == 0
    assert problems == []
    page.close()
