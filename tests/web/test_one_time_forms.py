"""One-time forms: a repeated request performs nothing again and leads to a page that says what to do next."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pyotp
import pytest
import requests
from flask import g

from realtime_kv import services
from realtime_kv.accounts.admin.audit_queries import Filters
from realtime_kv.accounts.audit_log import CLI
from realtime_kv.app import create_app
from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.config import Config
from realtime_kv.request import authentication, cookies
from realtime_kv.web.pages.one_time_forms import OneTimeForms
from tests.live_server import DEADLINE, fresh_name
from tests.web.conftest import PASSWORD, Site, Visitor

SECURITY, TOKENS = "/account/security", "/account/tokens"


class FormSite:
    """A site with a superuser, a user and a set-up link; each form has a visitor with the right to send it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.services = site.app.extensions["realtime_kv"]
        self.administration = self.services.accounts.administration
        self.wait = self.services.runtime.wait

    @property
    def stranger(self) -> Visitor:
        return self.site.visitor()

    @property
    def alice(self) -> Visitor:
        alice = self.site.browser("Alice")
        assert alice.call("set", key="a", value="s3cr3t-v4lue").status_code == 200
        return alice

    @property
    def root(self) -> Visitor:
        self.wait(self.administration.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
        return self.site.browser_of("Root")

    @property
    def at_setup(self) -> Visitor:
        ticket = self.wait(self.administration.setup_link())
        visitor = self.stranger
        assert visitor.get(f"/setup/{ticket.secret}").status_code == 303
        return visitor

    def path_of(self, name: str) -> str:
        return f"/admin/users/{self.wait(self.administration.user(name)).id}"

    def events(self) -> list[str]:
        """Return all audit events so far, newest first."""
        return [event.action for event in self.wait(self.administration.events(Filters())).events]


def sign_up(form_site):
    return form_site.stranger, "/signup", {"username": "Alice", "password": PASSWORD}


def set_up(form_site):
    return form_site.at_setup, "/setup", {"username": "Root", "password": PASSWORD}


def new_codes(form_site):
    return form_site.alice, SECURITY, {"do": "codes", "password": PASSWORD}


def begin_two_step(form_site):
    return form_site.alice, SECURITY, {"do": "two_step", "password": PASSWORD}


def confirm_two_step(form_site):
    # a user without recovery codes gets some with the second step
    form_site.wait(form_site.administration.create_user(CLI, "Hedy", password=PASSWORD))
    hedy = form_site.site.browser_of("Hedy")
    page = hedy.post(SECURITY, data={"do": "two_step", "password": PASSWORD})
    secret = unescape(re.search(r'id="secret"[^>]*>([^<]*)<', page.text)[1])
    return hedy, SECURITY, {"do": "confirm", "code": pyotp.TOTP(secret.replace(" ", "")).now()}


def new_token(form_site):
    return form_site.alice, TOKENS, {"do": "create", "name": "a program", "scope": "read", "days": "30"}


def new_user(form_site):
    return form_site.root, "/admin/users/new", {"username": "Grace", "how": "password"}


def new_user_with_a_link(form_site):
    return form_site.root, "/admin/users/new", {"username": "Grace", "how": "link"}


def recovery_link(form_site):
    assert form_site.alice
    return form_site.root, form_site.path_of("Alice") + "/link", {"password": PASSWORD}


def temporary_password(form_site):
    assert form_site.alice
    return form_site.root, form_site.path_of("Alice") + "/password", {"password": PASSWORD}


def reveal(form_site):
    assert form_site.alice
    return form_site.root, form_site.path_of("Alice") + "/reveal", {"key": "a", "password": PASSWORD}


def invitation(form_site):
    return form_site.root, "/admin/invitations", {"note": "For Dora", "days": "7"}


# for each: how it is sent, the part of the answer that is the secret, and the text of the page after a repetition
SECRETS = {
    sign_up: (r'id="codes"[^>]*>([^<]*)<', "make new codes below"),
    set_up: (r'id="codes"[^>]*>([^<]*)<', "make new codes below"),
    new_codes: (r'id="codes"[^>]*>([^<]*)<', "make new codes below"),
    begin_two_step: (r'id="secret"[^>]*>([^<]*)<', "start again"),
    confirm_two_step: (r'id="codes"[^>]*>([^<]*)<', "make new codes below"),
    new_token: (r'id="token"[^>]*>([^<]*)<', "revoke it and create another"),
    new_user: (r'id="secret"[^>]*>([^<]*)<', "set a new one"),
    new_user_with_a_link: (r'id="secret"[^>]*>([^<]*)<', "create a new one"),
    recovery_link: (r'id="secret"[^>]*>([^<]*)<', "create a new one"),
    temporary_password: (r'id="secret"[^>]*>([^<]*)<', "set a new one"),
    invitation: (r"(http[^<\s]*/invite/[\w-]+)", "revoke the invitation"),
    reveal: (r"(s3cr3t-v4lue)", "Your password"),
}
# forms answered with a page that shows no secret, with a file, or always by a redirect
WITHOUT_A_SECRET = {
    "/signin",
    "/signin/code",
    "/signout",
    "/recover/code",
    "/recover/mail",
    "/recover/password",
    "/account/email",
    "/account/sessions",
    "/account/data",
    "/account/notice",
    "/admin/backup",
    "/admin/diagnostics/confirm-time",
    "/admin/invitations/<int:id>/revoke",
    "/admin/<path:_rest>",
}


def hold_cookie(visitor: Visitor, value: str) -> None:
    """Set the session cookie as the browser that it is taken from would."""
    visitor.client.set_cookie(cookies.cookie_name({}, visitor.config), value)


@pytest.fixture
def form_site(site):
    return FormSite(site)


@pytest.fixture
def threaded_form_site(tmp_path):
    """A site with requests that wait for the store, as on a server; otherwise everything runs in the request."""
    runtime = ThreadedRuntime()
    app = create_app(Config(data_dir=tmp_path), runtime)
    yield FormSite(Site(app))
    app.extensions["realtime_kv"].stop()
    runtime.stop()


def test_every_form_is_either_guarded_or_listed_as_without_a_secret(form_site):
    rules = {rule.rule for rule in form_site.site.app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    pages = {re.sub(r"<int:user_id>/<any.*", "<act>", rule) for rule in rules if not rule.startswith("/api/")}
    guarded = {"/signup", "/setup", SECURITY, TOKENS, "/admin/users/new", "/admin/users/<int:user_id>/reveal"}
    guarded.add("/admin/invitations")
    assert pages == WITHOUT_A_SECRET | guarded | {"/admin/users/<act>"}


@pytest.mark.parametrize("action", SECRETS, ids=lambda action: action.__name__)
def test_a_repeated_request_does_nothing_and_says_what_to_do(form_site, action):
    pattern, advice = SECRETS[action]
    visitor, path, fields = action(form_site)
    form = fields | {"csrf_token": visitor.form_token()}
    first = visitor.post(path, data=form)
    assert first.status_code == 200
    secret = unescape(re.search(pattern, first.text)[1]).split()
    before = form_site.events()
    for _ in range(2):
        again = visitor.post(path, data=form)
        assert again.status_code == 303
        assert not any(word in again.location for word in secret)
        page = visitor.get(again.location)
        assert page.status_code == 200
        assert advice in unescape(page.text)
        assert not any(word in page.text for word in secret if len(word) > 4)
    assert form_site.events() == before


@pytest.mark.parametrize("action", [sign_up, new_token, invitation], ids=lambda action: action.__name__)
def test_an_action_is_not_performed_again_after_its_browser_disconnects(threaded_form_site, action, monkeypatch):
    """Send a form again while the server is slow: the browser closes the connection of the first request."""
    form_site, (_, advice) = threaded_form_site, SECRETS[action]
    visitor, path, fields = action(form_site)
    form = fields | {"csrf_token": visitor.form_token()}
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.0)
    gone = {authentication.HUNG_UP: lambda: g.get("form_claimed", False)}
    visitor.post(path, data=form, environ_overrides=gone)
    before = form_site.events()
    again = visitor.post(path, data=form, follow_redirects=True)
    assert advice in unescape(again.text)
    assert form_site.events() == before


def test_a_form_resent_with_different_fields_is_a_new_action(form_site):
    visitor, path, fields = new_token(form_site)
    form = fields | {"csrf_token": visitor.form_token()}
    assert visitor.post(path, data=form).status_code == 200
    assert visitor.post(path, data=form | {"name": "another program"}).status_code == 200
    assert visitor.post(path, data=form).status_code == 303


def test_a_refused_form_can_be_sent_again(form_site):
    visitor, path, fields = new_codes(form_site)
    form = fields | {"csrf_token": visitor.form_token()}
    assert visitor.post(path, data=form | {"password": "wrong wrong"}).status_code == 401
    assert visitor.post(path, data=form).status_code == 200


def test_concurrent_requests_with_the_same_form_perform_one_action(server):
    browser = requests.Session()
    name = fresh_name("alice")
    credentials = {"username": name, "password": PASSWORD}
    browser.post(f"{server.url}/api/v1/sign_up", json=credentials, timeout=DEADLINE)
    page = browser.get(server.url + TOKENS, timeout=DEADLINE).text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"do": "create", "name": "a program", "scope": "read", "days": "30", "csrf_token": token}
    at_once = threading.Barrier(8)

    def send(_):
        at_once.wait()
        more = {"allow_redirects": False, "timeout": DEADLINE, "cookies": browser.cookies}
        return requests.post(server.url + TOKENS, data=form, headers={"Origin": server.url}, **more).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(send, range(8)))
    assert statuses == [200] + [303] * 7
    listed = browser.get(f"{server.url}/api/v1/tokens", timeout=DEADLINE).json()["tokens"]
    assert len(listed) == 1


def test_a_form_that_is_older_than_the_process_is_refused(site, open_site):
    visitor = site.browser("Alice")
    form = {"do": "codes", "password": PASSWORD, "csrf_token": visitor.form_token()}
    cookie = visitor.cookie
    site.app.extensions["realtime_kv"].stop()
    later = open_site().visitor()
    hold_cookie(later, cookie)
    answer = later.post(SECURITY, data=form)
    assert answer.status_code == 403
    assert "Load the page again" in answer.text
    assert later.post(SECURITY, data={"do": "codes", "password": PASSWORD}).status_code == 200


def test_evicted_forms_are_refused_and_not_performed_again():
    ticks = iter(range(100))
    forms = OneTimeForms(clock=lambda: float(next(ticks)), max_remembered=2)
    ids = [forms.new_id() for _ in range(4)]
    for n in (1, 0, 2):
        forms.remember(bytes([n]), ids[n], "/next")
    # the form that was executed first was evicted
    assert [forms.next_page(bytes([n])) for n in range(3)] == ["/next", None, "/next"]
    assert [forms.is_remembered(form_id) for form_id in ids] == [False, False, True, True]
    assert not OneTimeForms().is_remembered(ids[3])
