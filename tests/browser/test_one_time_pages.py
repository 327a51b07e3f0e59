"""Pages that show a secret once, in a real browser: reload, "back" and a double click perform the action only once."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Held, Person
from tests.browser.test_accessibility import check
from tests.live_server import PASSWORD


def sign_up(page: Page, person: Person) -> None:
    page.goto(person.server.url + "/signup")
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#codes")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_reloading_shown_recovery_codes_redirects_to_the_security_page(make_person, scripts):
    person = make_person(signed_up=False, java_script_enabled=scripts)
    page = person.new_page()
    sign_up(page, person)
    page.reload()
    expect(page).to_have_url(re.compile("/account/security"))
    expect(page.get_by_role("status").first).to_contain_text("make new codes below")
    page.locator("#codes-password").fill(PASSWORD)
    page.get_by_role("button", name="Create new codes").click()
    codes = page.locator("#codes").inner_text()
    page.reload()
    expect(page.get_by_role("status").first).to_contain_text("make new codes below")
    # the codes shown last still count
    answer = person.context.request.post(
        f"{person.server.url}/api/v1/recover",
        data={"username": person.username, "code": codes.split()[0], "new_password": PASSWORD + "!"},
    )
    assert answer.ok, answer.text()


def test_a_double_click_makes_one_token_and_shows_it(make_person):
    person = make_person()
    page = person.new_page()
    page.goto(person.server.url + "/account/tokens")
    page.get_by_label("Name").fill("a program")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    answer = Held(page, "**/account/tokens")
    page.get_by_role("button", name="Create token").evaluate(
        "(create) => new Promise((done) => { create.click(); setTimeout(() => done(create.click()), 50) })"
    )
    answer.release()
    expect(page.locator("#token")).to_be_visible()
    assert len(sent) == 1
    page.reload()
    expect(page.get_by_role("status").first).to_contain_text("create another one")
    expect(page.locator("tbody tr")).to_have_count(1)
    # "back" may show the form again as it was sent
    page.go_back()
    page.goto(person.server.url + "/account/tokens")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_the_two_step_page_passes_axe_after_a_reload(make_person):
    person = make_person()
    page = person.new_page()
    page.goto(person.server.url + "/account/security")
    page.locator("#two_step-password").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator("#secret")).to_be_visible()
    page.reload()
    expect(page.get_by_role("status").first).to_contain_text("were shown once")
    expect(page.get_by_label("Code", exact=True)).to_be_visible()
    check(page, "two steps, shown before")
