"""The instructions and examples of the docs, executed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from realtime_kv import errors, static_assets
from realtime_kv.verbs import registry as verbs
from tests.live_server import DEADLINE, ROOT, Server

README = (ROOT / "README.md").read_text()
DEFAULT = "http://127.0.0.1:5000"
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
PAGES = [page.relative_to(ROOT) for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]]


# the README's user
USER, SECRET = "ada", "correct horse battery"
# run by hand or by a test of its own: test_setup, test_demo, test_addresses
COMMANDS = ["python3 run.py", "python3 run.py demo", "python3 run.py test", "RKV_HOST=0.0.0.0 python3 run.py"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def block(language: str, words: str) -> str:
    (found,) = [text for text in blocks(language) if words in text]
    return found


@pytest.fixture(scope="module")
def readers_server(tmp_path_factory):
    """Start the server of a reader of the README: it has their user, and allows the page's origin."""
    server = Server(tmp_path_factory.mktemp("readme") / "data").start()
    answer = requests.post(
        f"{server.url}/api/v1/sign_up", json={"username": USER, "password": SECRET}, timeout=DEADLINE
    )
    assert answer.status_code == 201
    yield server
    server.close()


@pytest.fixture
def paste(readers_server, tmp_path):
    """Run the text that a reader pastes into one shell; only the server's address differs."""

    def start(*scripts):
        text = "\n".join(scripts).replace(DEFAULT, readers_server.url)
        environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environ
        )

    return start


def test_every_sample_of_the_readme_is_tested():
    alone = [text.strip() for text in blocks("sh") if "curl" not in text and "8000" not in text]
    assert alone == COMMANDS
    assert sum("curl" in text for text in blocks("sh")) == 3
    assert len(blocks("python")) == len(blocks("html")) == 1


def test_the_curl_and_python_samples_run_as_pasted(paste, tmp_path):
    python = f"python - <<'END'\n{block('python', 'socketio')}END"
    said, _ = paste(block("sh", "sign_in"), python, block("sh", "curl -OJ")).communicate(timeout=DEADLINE)
    assert '"revision":1' in said
    assert '"Back at noon"' in said
    # each answer is on a line of its own, and none precedes the prompt
    assert all(line.startswith("{") == line.endswith("}") for line in said.splitlines())
    assert "now at revision 2" in said
    assert "Back at one" in said
    (exported,) = tmp_path.glob("*.json")
    assert "Back at one" in exported.read_text()


def test_the_curl_stream_sample_runs_as_pasted(paste, readers_server):
    with paste(block("sh", "sign_in"), block("sh", "curl -N")) as process:
        said = next(line for line in process.stdout if line.startswith("data:"))
        assert "Back at noon" in said
        process.kill()


def test_every_verb_and_error_code_is_documented():
    for verb in verbs.VERBS:
        assert f"| `{verb}` |" in PROTOCOL
    codes = {
        refusal.code: refusal.status for refusal in _family(errors.Refusal) if refusal is not errors.MethodNotAllowed
    }
    for code, status in codes.items():
        assert re.search(rf"`{code}`[^|]*\| {status} \|", PROTOCOL), code


def test_every_vendored_browser_library_is_in_the_notices():
    notices = (ROOT / "NOTICES.md").read_text()
    for file in static_assets.VENDOR.values():
        scope, _, rest = file.partition("/")
        name = f"{scope}/{rest.partition('/')[0]}" if scope.startswith("@") else scope
        # packages of one scope share a row
        named = name in notices or (scope in notices and f" {rest.partition('/')[0]}" in notices)
        assert named, name


def test_every_documentation_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([a-z-]+\.md)\)", index))


@pytest.mark.parametrize("document", PAGES, ids=str)
def test_relative_links_point_to_existing_files(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / document).parent.joinpath(target).exists(), target


def _family(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _family(child)


def test_the_example_of_adding_a_verb_shows_the_code():
    diff = (ROOT / "docs" / "development.md").read_text().split("```diff\n")[1].split("```")[0]
    files = diff.split("--- ")[1:]
    assert len(files) == 5
    for part in files:
        head, _, added = part.partition("\n")
        code = "".join(f"{line[1:]}\n" for line in added.splitlines())
        assert code in (ROOT / head.split(":")[0]).read_text(), head
