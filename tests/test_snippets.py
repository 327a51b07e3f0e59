"""The snippets of "Use it" and of the API page, run unchanged."""

import contextlib
import html
import io
import json
import re
import shutil
import subprocess
import sys
import threading

import pytest
import requests

from realtime_kv.verbs import registry as verbs
from tests.live_server import DEADLINE, ROOT, fresh_name

KEYS = [
    "app/banner", "it's", 'say "hi"', "100% $HOME `id` $(id) !!", "a\\b\\n", "😀/é + ~", "a&b=c#d?e;f", "__proto__",
    "--x", "a*",
]  # fmt: skip
VALUE = {"it's": ['"', "\n", None, True, False, 1.5, "\u2028", "$HOME"], "__proto__": {}}


def snippets_of(origin, key, value):
    node = shutil.which("node")
    assert node, "Node.js is missing: `python3 run.py test` brings it along"
    script = """
        import { snippets } from "./static/js/dashboard/snippets/snippets.js"
        console.log(JSON.stringify(snippets(JSON.parse(process.argv[1]))))
    """
    told = json.dumps({"origin": origin, "key": key, "value": value})
    command = [node, "--input-type=module", "-e", script, told]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=DEADLINE).stdout)


def in_shell(script, token):
    return subprocess.run(
        ["bash", "-euc", f"export TOKEN={token}\n{script.replace('curl ', 'curl -sS --fail-with-body ')}"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    ).stdout


def in_python(script, token, monkeypatch, start=""):
    monkeypatch.setenv("TOKEN", token)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(f"{start}\n{script}", {})
    return said.getvalue()


@pytest.mark.parametrize("key", KEYS)
def test_the_snippets_of_a_key_read_and_write_exactly_that_key(alice, monkeypatch, key):
    said = snippets_of(alice.server.url, key, VALUE)
    in_shell(said["curl"]["set"], alice.token)
    assert [entry["key"] for entry in alice.http("list").json()["entries"]] == [key]
    assert json.loads(in_shell(said["curl"]["get"], alice.token))["entry"]["value"] == VALUE
    assert in_python(said["python"]["set"], alice.token, monkeypatch).strip() == "2"
    assert in_python(said["python"]["get"], alice.token, monkeypatch).strip() == str(VALUE)


@pytest.mark.parametrize("language", ["curl", "python"])
def test_the_watch_snippet_of_a_key_reports_only_changes_of_that_key(alice, language):
    key, other = "it's 100%/é", "it's 100%/é/other"
    script = snippets_of(alice.server.url, key, 1)[language]["watch"]
    command = ["bash", "-euc", f"exec {script}"] if language == "curl" else [sys.executable, "-u", "-c", script]
    with subprocess.Popen(
        command, env={"TOKEN": alice.token, "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE
    ) as process:
        timer = threading.Timer(DEADLINE, process.kill)
        timer.start()
        writing = threading.Event()

        def write():
            # repeatedly: the watcher may not be connected yet
            n = 0
            while not writing.wait(0.05):
                alice.http("batch", ops=[{"op": "set", "key": k, "value": f"told {n}"} for k in (other, key)])
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        lines = (line.decode() for line in process.stdout)
        told = next(line for line in lines if "told" in line)
        again = next(line for line in lines if "told" in line)
        assert told != again
        assert language == "curl" or re.fullmatch(r"set told \d+\n", told)
        writing.set()
        writer.join()
        process.kill()
        timer.cancel()


@pytest.fixture(scope="module")
def samples(server):
    """Return {language: [(title, text)]} of the API page."""
    page = requests.get(f"{server.url}/api", timeout=DEADLINE).text
    found = {"curl": [], "javascript": [], "python": []}
    for language, title, text in re.findall(
        r'<div class="samples" data-language="(\w+)"><figure.*?<span>(.*?)</span>.*?<code>(.*?)</code>', page, re.DOTALL
    ):
        found[language].append((title, html.unescape(text)))
    return found


@pytest.mark.parametrize("verb", list(verbs.VERBS))
def test_the_samples_of_the_api_page_work(server, samples, monkeypatch, verb):
    for language in ("curl", "python"):
        account = server.sign_up(fresh_name("ada"))
        for value in ("Back at noon", "Back at one"):
            account.http("set", key="app/banner", value=value)
        sample = dict(samples[language])[f"Example: {verb}"]
        if language == "curl":
            assert json.loads(in_shell(sample, account.token))["ok"]
        else:
            start = dict(samples[language])["Once"]
            assert "'ok': True" in in_python(sample, account.token, monkeypatch, start)
