"""The code snippets of a key: shown, chosen and copied."""

from playwright.sync_api import expect

from tests.browser.test_accessibility import check

SHOW = """async (key) => {
  const modules = ["/static/js/dashboard/snippets/snippets-tab.js", "/static/js/vendor/lit-html/lit-html.js"]
  const [{ useItView }, { render }] = await Promise.all(modules.map((path) => import(path)))
  const place = document.createElement("section")
  // under a heading, as it stands beside a key
  const headings = ["h1", "h2"].map((name) => Object.assign(document.createElement(name), { textContent: key }))
  document.querySelector("#main").replaceChildren(...headings, place)
  window.show = (key, value) => render(useItView({ key, value }), place)
  show(key, 1)
}"""


def test_the_chosen_snippet_language_is_kept_across_keys_and_reloads(ada):
    page = ada.context.new_page()
    ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{ada.server.url}/api")
    page.evaluate(SHOW, "it's")
    expect(page.get_by_role("region", name="Read it, curl")).to_contain_text("?key=it%27s")
    check(page, "use it")
    page.get_by_role("radio", name="Python").check()
    page.evaluate('show("b", "x".repeat(1000))')
    expect(page.get_by_role("region", name="Read it, curl")).to_be_hidden()
    page.get_by_role("figure").filter(has_text="Write it").locator("visible=true").get_by_role("button").click()
    expect(page.locator(".use [role=status]")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'key = "b"' in copied and 'value = "a new value"' in copied
    page.reload()
    expect(page.get_by_role("radio", name="Python")).to_be_checked()
    page.evaluate(SHOW, "c")
    expect(page.get_by_role("radio", name="Python")).to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
