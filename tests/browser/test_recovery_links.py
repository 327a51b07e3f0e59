"""The target pages of links, in a real browser: the secret leaves the address at once, and axe finds nothing."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.accounts.credentials import one_time_tokens
from realtime_kv.app import create_app
from realtime_kv.config import Config
from tests.browser.test_accessibility import check
from tests.running import PASSWORD, Server


@pytest.fixture
def post(tmp_path: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with mail configured, and the secrets of links under way."""
    services = create_app(Config(data_dir=tmp_path)).extensions["realtime_kv"]
    services.runtime.wait(services.accounts.administration.create_user(CLI, "ada", password=PASSWORD))

    def make(connection):
        now = time.time_ns() // 1_000_000
        kinds = {"recovery": None, "email": "ada@example.org"}
        return {
            kind: one_time_tokens.make(connection, kind, 1, now, secrets.token_urlsafe, detail).secret
            for kind, detail in kinds.items()
        }

    made = services.runtime.wait(services.store.writer.run_in_transaction(make))
    services.stop()
    # nothing listens on this port: no mail is sent in these tests
    server = Server(tmp_path, RKV_SMTP_URL="smtp://127.0.0.1:1", RKV_MAIL_FROM="kv@example.org").start()
    # the start has made an address for the first superuser
    while not (address := next((line for line in server.output if "/setup/" in line), None)):
        time.sleep(0.01)
    made["setup"] = address.rsplit("/", 1)[1].split()[0]
    yield server, made
    server.close()


def test_link_pages_pass_axe_and_remove_the_secret_from_the_url(make_person, post):
    server, made = post
    page = make_person(signed_up=False, server=server).new_page()
    for path, heading in (
        (f"/recover/{made['recovery']}", "password"),
        (f"/account/email/{made['email']}", "address"),
        (f"/setup/{made['setup']}", "superuser"),
    ):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading, ignore_case=True)
        assert path.rsplit("/", 1)[1] not in page.url
        check(page, path)
    page.goto(server.url + "/recover/mail")
    page.get_by_label("Username").fill("nobody")
    page.locator("main form button[type=submit]").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    check(page, "mail sent")


def test_unsaved_changes_dialog_at_sign_out_passes_axe(make_person):
    tab = make_person().open_tab()
    tab.create("a", "1")
    tab.open("a")
    tab.type_value('"not saved yet"')
    tab.sign_out()
    expect(tab.page.get_by_role("dialog")).to_contain_text("not saved yet")
    check(tab.page, "unsaved")
