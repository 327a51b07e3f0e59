"""The page about the API, and its JavaScript run in a page."""

import html
import re

import pytest
from playwright.sync_api import expect

from realtime_kv.verbs import registry as verbs
from tests.browser.browsing import resize
from tests.browser.test_accessibility import check
from tests.test_snippets import KEYS, VALUE, snippets_of

# the output of a watcher, once there is any
TOLD = "async () => { while (!said.length) await new Promise((go) => setTimeout(go, 5)); return said }"


def run(page, script):
    """Return the console output of a module; its import is rewritten for a script."""
    body = re.sub(r'import \{ connect \} from (".*?")', r"const { connect } = await import(\1)", script)
    told = "async () => { const said = []; const console = { log: (...what) => said.push(...what) }\n"
    return page.evaluate(f"{told}{body}\nwindow.said = said; return JSON.stringify(said) }}")


def test_page_is_accessible_and_fits_narrow_screens(make_person):
    person = make_person(signed_up=False)
    page = person.context.new_page()
    page.goto(f"{person.server.url}/api")
    check(page, "api")
    for width in (1280, 390, 320):
        resize(page, width, 800)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_selected_language_is_shown_remembered_and_copied(ada):
    page = ada.context.new_page()
    ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{ada.server.url}/api")
    expect(page.get_by_role("region", name="Example: get, curl")).to_be_visible()
    page.get_by_role("radio", name="Python").check()
    expect(page.get_by_role("region", name="Example: get, curl")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("radio", name="Python")).to_be_checked()
    page.get_by_role("button", name=re.compile("Example: get, Python")).click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == 'print(call("get", {"key": "app/banner"}))'


def test_page_is_readable_without_javascript(make_person):
    person = make_person(java_script_enabled=False, signed_up=False)
    page = person.context.new_page()
    page.goto(f"{person.server.url}/api")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("radio", name="Python").check()
    expect(page.get_by_role("region", name="Example: get, Python")).to_be_visible()


def test_javascript_snippets_of_a_key_work_for_that_key(ada):
    page = ada.open_tab().page
    for key in KEYS:
        said = snippets_of(ada.server.url, key, VALUE)["javascript"]
        run(page, said["set"])
        assert ada.get(key) == VALUE
        assert run(page, said["get"]) != "[null]"
        run(page, said["watch"])
        ada.set(f"{key}other", "not this")
        ada.set(key, "told")
        assert page.evaluate(
            "async () => { while (!said.length) await new Promise((go) => setTimeout(go, 5)); return said }"
        ) == ["told"]


@pytest.mark.parametrize("verb", list(verbs.VERBS))
def test_javascript_example_of_each_verb_works(ada, verb):
    page = ada.context.new_page()
    page.goto(f"{ada.server.url}/api")
    for value in ("Back at noon", "Back at one"):
        ada.set("app/banner", value)
    samples = {}
    for title in ("Once", f"Example: {verb}"):
        samples[title] = html.unescape(page.locator(f'[aria-label="{title}, JavaScript"]').text_content())
    said = run(page, samples["Once"] + "\n" + samples[f"Example: {verb}"])
    assert said != "[null]" and said != "[]"
