"""The page of the README, served from another port as the README says, in a real browser."""

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.browsing import Person
from tests.live_server import PASSWORD, ROOT, Server

README = (ROOT / "README.md").read_text()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def page_server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    (tmp_path / "page").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "page")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_page_sample_runs_as_pasted(
    page_server: ThreadingHTTPServer, tmp_path: Path, make_person: Callable[..., Person]
) -> None:
    page_url = f"http://127.0.0.1:{page_server.server_port}"
    (settings,) = re.findall(r"RKV_ORIGINS=(\S+) python3 run.py", README)
    server = Server(tmp_path / "data", RKV_ORIGINS=settings.replace("http://127.0.0.1:8000", page_url)).start()
    server.sign_up("ada")
    (sample,) = re.findall(r"```html\n(.*?)```", README, re.DOTALL)
    (tmp_path / "page" / "index.html").write_text(sample.replace("http://127.0.0.1:5000", server.url))
    # the browser requests an icon, which the page lacks
    (tmp_path / "page" / "favicon.ico").write_bytes(b"")
    page = make_person(signed_up=False, server=server, plain=False).new_page()
    page.on("dialog", lambda dialog: dialog.accept(PASSWORD))
    with page.expect_console_message(lambda message: "theme is now" in message.text) as heard:
        page.goto(page_url)
    assert heard.value.text == "theme is now {dark: true}"
    server.close()
