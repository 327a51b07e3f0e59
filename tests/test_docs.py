"""What the docs say, done."""

import re
import subprocess
from pathlib import Path

import pytest

from realtime_kv import verbs
from realtime_kv.core import errors
from tests.running import DEADLINE, ROOT, fresh_name

README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_curl_examples_work(server):
    name = fresh_name("ada")
    server.sign_up(name)
    (script,) = [block for block in blocks("sh") if "curl -s" in block]
    script = script.replace("http://127.0.0.1:5000", server.url).replace('"ada"', f'"{name}"')
    script = script.replace("correct horse battery", "a-rather-Long-passphrase")
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert '"revision":1' in done.stdout
    assert '"Back at noon"' in done.stdout


def test_the_curl_that_watches_works(alice):
    (script,) = [block for block in blocks("sh") if "curl -N" in block]
    alice.http("set", key="app/banner", value="Back at noon")
    script = f"TOKEN={alice.token}; {script.replace('http://127.0.0.1:5000', alice.server.url)}"
    with subprocess.Popen(["bash", "-euc", script], stdout=subprocess.PIPE) as process:
        lines = (line.decode() for line in process.stdout)
        assert "Back at noon" in next(line for line in lines if line.startswith("data:"))
        alice.http("set", key="app/banner", value="Back at one")
        assert "Back at one" in next(line for line in lines if line.startswith("data:"))
        alice.http("sign_out")
        assert any("signed_out" in line for line in lines)
        assert process.wait(DEADLINE) == 0


def test_the_python_example_works(alice, capsys):
    (script,) = blocks("python")
    exec(script.replace("http://127.0.0.1:5000", alice.server.url), {"token": alice.token})
    said = capsys.readouterr().out
    assert "now at revision 1" in said
    assert "Back at one" in said


def test_every_verb_and_every_code_is_described():
    for verb in verbs.VERBS:
        assert f"| `{verb}` |" in PROTOCOL
    codes = {
        refusal.code: refusal.status for refusal in _family(errors.Refusal) if refusal is not errors.MethodNotAllowed
    }
    for code, status in codes.items():
        assert re.search(rf"`{code}`[^|]*\| {status} \|", PROTOCOL), code


@pytest.mark.parametrize("document", [Path("README.md"), *[p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md")]])
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / document).parent.joinpath(target).exists(), target


def _family(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _family(child)
