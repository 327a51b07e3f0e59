"""The superuser's pages: access, re-authentication, the audit log, and data that no page shows."""

import csv
import io
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from realtime_kv.accounts.admin.audit_queries import EVERYTHING, Filters
from realtime_kv.accounts.audit_log import CLI
from realtime_kv.clock import now_ms
from realtime_kv.web.admin import audit_log, user_actions

PASSWORD = "correct horse battery"


class Desk:
    """A superuser with a browser, and the application's services."""

    def __init__(self, site):
        self.site = site
        self.services = site.app.extensions["realtime_kv"]
        self.parts = self.services.accounts.administration
        self.wait(self.parts.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
        self.visitor = site.visitor()
        assert self.visitor.call("sign_in", username="Root", password=PASSWORD).status_code == 200

    def wait(self, future):
        return self.services.runtime.wait(future)

    def get(self, path):
        return self.visitor.get(path)

    def post(self, path, **fields):
        return self.visitor.post(path, data=fields)

    def user(self, name):
        return self.wait(self.parts.user(name))

    def path(self, name, rest=""):
        return f"/admin/users/{self.user(name).id}{rest}"

    def log(self, **filters):
        return [event.action for event in self.wait(self.parts.events(Filters(**filters))).events]


@pytest.fixture
def desk(site):
    return Desk(site)


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


# access

PAGES = [
    "/admin",
    "/admin/users",
    "/admin/users/new",
    "/admin/users/1",
    "/admin/users/1/entries",
    "/admin/users/1/reveal?key=a",
    "/admin/users/1/delete",
    "/admin/diagnostics",
    "/admin/diagnostics.json",
    "/admin/diagnostics/confirm-time",
    "/admin/audit",
    "/admin/audit.csv",
    "/admin/audit.ndjson",
    "/admin/backup",
    "/admin/invitations",
    "/admin/nothing/of/that/kind",
]
DANGEROUS = ["link", "password", "end-two-step", "sessions", "quota", "make-admin", "unmake-admin", "disable", "delete"]
ACTS = [*DANGEROUS, "enable", "restore"]
FORMS = [
    "/admin/users/new",
    "/admin/backup",
    "/admin/users/1/reveal",
    "/admin/invitations/1/revoke",
    *(f"/admin/users/1/{act}" for act in ACTS),
]


def test_every_admin_route_is_listed_in_this_file(site):
    rules = {(rule.rule, method) for rule in site.app.url_map.iter_rules() for method in rule.methods}
    under = {(rule, method) for rule, method in rules if rule.startswith("/admin") and method in {"GET", "POST"}}
    known = {re.sub(r"<[^>]*>", "1", rule) for rule, _ in under}
    listed = {path.split("?")[0] for path in (*PAGES, *FORMS)}
    shown = {path for path in listed if path not in {f"/admin/users/1/{act}" for act in ACTS}}
    assert known - {"/admin/1", "/admin/users/1/1"} == shown - {"/admin/nothing/of/that/kind"}


@pytest.mark.parametrize("path", PAGES)
def test_admin_pages_redirect_unauthenticated_clients_to_sign_in(desk, stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 303 and answer.location.startswith("/signin?next=/admin")


@pytest.mark.parametrize("path", PAGES)
def test_admin_pages_refuse_ordinary_users_and_reveal_nothing(desk, alice, path):
    answer = alice.get(path)
    assert answer.status_code == 403
    assert "Root" not in answer.text and "/admin" not in answer.text


@pytest.mark.parametrize("path", FORMS)
def test_admin_forms_do_nothing_for_ordinary_users_and_unauthenticated_clients(desk, alice, stranger, path):
    fields = {"username": "eve", "password": PASSWORD, "name": "Root", "key": "a"}
    before = desk.wait(desk.parts.events(EVERYTHING)).events
    assert alice.post(path, data=fields).status_code == 403
    assert stranger.post(path, data=fields).status_code == 303
    assert desk.wait(desk.parts.events(EVERYTHING)).events == before
    assert desk.user("Root").status == "active" and desk.wait(desk.parts.users(search="eve")).found == 0


@pytest.mark.parametrize("path", PAGES)
def test_a_superusers_token_opens_no_admin_page_as_a_header_or_as_a_cookie(desk, site, path):
    bearer = site.program("Root").token
    made = desk.visitor.call("create_token", name="script")
    assert made.status_code == 201
    token = made.json["token"]
    smugglers = [site.visitor(), site.visitor()]
    for smuggler, smuggled in zip(smugglers, (token, bearer), strict=True):
        smuggler.client.set_cookie("rkv_session", smuggled)
    for visitor in (site.visitor(bearer), site.visitor(token), *smugglers):
        answer = visitor.get(path)
        assert answer.status_code == 303 and answer.location.startswith("/signin")


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_a_forged_csrf_token_does_nothing(desk, path):
    answer = desk.visitor.post(path, data={"csrf_token": "forged", "password": PASSWORD, "name": "Root"})
    assert answer.status_code == 403 and "out of date" in answer.text
    assert desk.user("Root").status == "active"


@pytest.mark.parametrize("path", [path for path in PAGES if "audit." not in path and "json" not in path][1:-1])
def test_admin_pages_open_for_a_superuser_and_all_forms_have_a_csrf_token(desk, path):
    answer = desk.get(path)
    assert answer.status_code == 200 and "Admin" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    forms = re.findall(r'<form[^>]*method="post".*?</form>', answer.text, re.DOTALL)
    assert forms and all('name="csrf_token"' in form for form in forms)


def test_the_navigation_bar_links_to_admin_for_superusers_only(desk, alice):
    assert 'href="/admin"' in desk.get("/keys").text
    assert 'href="/admin"' not in alice.get("/keys").text


@pytest.mark.parametrize("path", ["/admin/nothing", "/admin/users/99", "/admin/users/x", "/admin/users/99/delete"])
def test_unknown_admin_pages_and_users_are_not_found(desk, path):
    assert desk.get(path).status_code == 404
    assert desk.get("/admin/users/999999999999999999999999999/entries").status_code == 404


def test_required_two_step_sign_in_locks_out_superusers_without_it(open_site):
    desk = Desk(open_site(admin_two_step=True))
    for path in PAGES:
        answer = desk.get(path)
        assert answer.status_code == 403 and 'href="/account/security"' in answer.text
    assert desk.post("/admin/users/new", username="eve").status_code == 403
    assert desk.wait(desk.parts.users(search="eve")).found == 0


# users


def test_the_user_list_is_searched_and_sorted_by_query_parameters(desk, site, alice):
    site.browser("Bob").call("set", key="a", value="x" * 100)
    answer = desk.get("/admin/users?sort=bytes")
    assert answer.text.index(">Bob<") < answer.text.index(">Alice<")
    assert "3 users · 1 entry" in text_of(answer)
    answer = desk.get("/admin/users?search=ALI&sort=nonsense&page=77")
    assert ">Alice<" in answer.text and ">Bob<" not in answer.text
    answer = desk.get("/admin/users?search=%3Cscript%3E")
    assert "<script>" not in answer.text.split("<main")[1] and "&lt;script&gt;" in answer.text


def test_a_new_user_gets_a_temporary_password_or_a_link(desk, stranger):
    answer = desk.post("/admin/users/new", username="Grace", how="password")
    secret = re.search(r'id="secret"[^>]*>([^<]+)<', answer.text).group(1)
    refused = stranger.call("sign_in", username="grace", password=secret)
    assert refused.json["code"] == "password_change_needed"
    answer = desk.post("/admin/users/new", username="Hedy", how="link")
    assert re.search(r'id="secret"[^>]*>http://localhost/recover/[\w-]{43}<', answer.text)
    assert desk.log(user="hedy") == ["recovery_link_made", "user_created"]


def test_an_invalid_or_taken_username_is_reported_in_the_form(desk, alice):
    answer = desk.post("/admin/users/new", username="alice")
    assert answer.status_code == 409 and "is taken" in answer.text and 'value="alice"' in answer.text
    assert desk.post("/admin/users/new", username="<b>").status_code == 422


def test_every_admin_action_is_listed_in_this_file():
    assert set(user_actions.ACTS) == set(ACTS)
    assert {name for name, act in user_actions.ACTS.items() if act.asks} == set(DANGEROUS)


@pytest.mark.parametrize("act", DANGEROUS)
def test_dangerous_actions_require_re_authentication(desk, alice, act):
    path = desk.path("alice", f"/{act}")
    assert 'type="password"' in desk.get(path).text
    before = desk.wait(desk.parts.events(EVERYTHING)).events
    for wrong in ({}, {"password": "wrong wrong"}):
        answer = desk.post(path, name="Alice", **wrong)
        assert answer.status_code == 401 and "That is not your password" in answer.text
    after = desk.wait(desk.parts.events(EVERYTHING)).events
    assert after[1:] == before and after[0].action == "password_refused"
    assert alice.get("/keys").status_code == 200


def test_password_guesses_at_re_authentication_are_rate_limited(desk, alice):
    path = desk.path("alice", "/disable")
    answers = [desk.post(path, password="wrong wrong") for _ in range(11)]
    assert answers[-1].status_code == 429 and int(answers[-1].headers["Retry-After"]) > 0
    assert desk.post(path, password=PASSWORD).status_code == 429


def test_disabling_a_user_ends_access_at_once_and_enabling_restores_it(desk, alice):
    answer = desk.post(desk.path("alice", "/disable"), password=PASSWORD)
    assert (answer.status_code, answer.location) == (303, desk.path("alice", "?done=disable"))
    assert "Alice is disabled." in desk.get(answer.location).text
    assert alice.get("/keys").status_code == 303
    assert alice.call("sign_in", username="Alice", password=PASSWORD).status_code == 401
    assert desk.post(desk.path("alice", "/enable")).status_code == 303
    assert alice.call("sign_in", username="Alice", password=PASSWORD).status_code == 200
    assert desk.log(user="alice", actor="admin") == ["user_enabled", "user_disabled"]


def test_deletion_shows_what_it_removes_and_requires_the_typed_username(desk, alice):
    alice.call("set", key="a", value=1)
    page = text_of(desk.get(desk.path("alice", "/delete")))
    assert "Deletes Alice, 1 entry, 1 session, 0 tokens. For 14 days it can be restored here" in page
    answer = desk.post(desk.path("alice", "/delete"), password=PASSWORD, name="alice")
    assert answer.status_code == 400 and "Type Alice" in answer.text
    assert alice.get("/keys").status_code == 200
    assert desk.post(desk.path("alice", "/delete"), password=PASSWORD, name="Alice").status_code == 303
    assert alice.get("/keys").status_code == 303
    page = desk.get(desk.path("alice"))
    assert "Restore" in page.text and "Deleted by a superuser" in text_of(page)
    assert desk.post(desk.path("alice", "/restore")).status_code == 303
    assert alice.call("sign_in", username="Alice", password=PASSWORD).status_code == 200


@pytest.mark.parametrize("act", ["disable", "delete", "unmake-admin"])
def test_the_last_superuser_cannot_be_disabled_deleted_or_demoted(desk, act):
    answer = desk.post(desk.path("root", f"/{act}"), password=PASSWORD, name="Root")
    assert answer.status_code == 403 and "only superuser" in answer.text
    assert desk.get("/admin/users").status_code == 200


def test_a_temporary_password_and_a_link_are_shown_once(desk, alice, stranger):
    answer = desk.post(desk.path("alice", "/password"), password=PASSWORD)
    secret = re.search(r'id="secret"[^>]*>([^<]+)<', answer.text).group(1)
    assert alice.get("/keys").status_code == 303
    assert stranger.call("sign_in", username="alice", password=PASSWORD).json["code"] == "invalid_credentials"
    assert stranger.call("sign_in", username="alice", password=secret).json["code"] == "password_change_needed"
    answer = desk.post(desk.path("alice", "/link"), password=PASSWORD)
    link = re.search(r"http://localhost(/recover/[\w-]{43})", answer.text).group(1)
    assert link.split("/")[2] not in desk.get("/admin/audit").text
    assert desk.log(user="alice", actor="admin") == ["recovery_link_made", "temporary_password"]


def test_a_quota_must_be_a_non_negative_integer_or_empty(desk, alice):
    path = desk.path("alice", "/quota")
    for wrong in ("-1", "1.5", "many", "9" * 40, "١"):
        answer = desk.post(path, password=PASSWORD, keys=wrong)
        assert answer.status_code == 400, wrong
    assert desk.post(path, password=PASSWORD, keys="1,000", bytes="").status_code == 303
    assert (desk.user("alice").quota_keys, desk.user("alice").quota_bytes) == (1000, None)
    assert 'value="1000"' in desk.get(path).text
    desk.post(path, password=PASSWORD, keys="0")
    assert alice.call("set", key="a", value=1).status_code == 507


def test_superuser_rights_are_granted_and_revoked_at_the_next_sign_in(desk, alice):
    assert desk.post(desk.path("alice", "/make-admin"), password=PASSWORD).status_code == 303
    assert alice.get("/admin/users").status_code == 303, "who was signed in before has to sign in anew"
    alice.call("sign_in", username="alice", password=PASSWORD)
    assert alice.get("/admin/users").status_code == 200
    desk.post(desk.path("alice", "/unmake-admin"), password=PASSWORD)
    alice.call("sign_in", username="alice", password=PASSWORD)
    assert alice.get("/admin/users").status_code == 403


def test_ending_the_sessions_of_a_user_signs_the_user_out(desk, alice):
    assert desk.post(desk.path("alice", "/sessions"), password=PASSWORD).status_code == 303
    assert alice.get("/keys").status_code == 303
    assert desk.user("alice").sessions == 0


# entries


def test_the_key_list_shows_keys_and_no_values(desk, alice):
    alice.call("set", key="app/<b>", value="the-secret")
    alice.call("set", key="gone", value="old")
    alice.call("delete", key="gone")
    answer = desk.get(desk.path("alice", "/entries"))
    assert "app/&lt;b&gt;" in answer.text and "the-secret" not in answer.text
    assert "in the trash" in answer.text
    only = desk.get(desk.path("alice", "/entries?prefix=app/"))
    assert "app/&lt;b&gt;" in only.text and ">gone<" not in only.text
    assert desk.log(user="alice").count("entries_viewed") == 1


def test_the_key_list_is_paginated(desk, alice):
    alice.call("batch", ops=[{"op": "set", "key": f"k{n:03}", "value": n} for n in range(120)])
    first = desk.get(desk.path("alice", "/entries"))
    assert ">k099<" in first.text and ">k100<" not in first.text
    further = re.search(r'href="([^"]+)">Next<', first.text).group(1).replace("&amp;", "&")
    second = desk.get(further)
    assert ">k100<" in second.text and ">k099<" not in second.text and ">Next<" not in second.text


def test_revealing_a_value_requires_the_password_and_is_logged_for_its_owner(desk, alice):
    alice.call("set", key="diary/1", value={"dear": "<script>me</script>"})
    path = desk.path("alice", "/reveal")
    asked = desk.get(f"{path}?key=diary%2F1")
    assert "diary/1" in asked.text and "dear" not in asked.text.replace("dear me", "")
    refused = desk.post(path, key="diary/1", password="wrong wrong")
    assert refused.status_code == 401 and "&lt;script&gt;" not in refused.text
    assert "value_revealed" not in desk.log(user="alice")
    shown = desk.post(path, key="diary/1", password=PASSWORD)
    assert "{\n  &#34;dear&#34;: &#34;&lt;script&gt;me&lt;/script&gt;&#34;\n}" in shown.text
    event = desk.wait(desk.parts.events(Filters(user="alice", action="value_revealed"))).events[0]
    assert event.detail == {"key": "diary/1"} and event.actor_name == "Root"
    assert desk.post(path, key="nothing", password=PASSWORD).status_code == 404


# the audit log


def test_the_audit_log_is_filtered_by_query_parameters(desk, alice):
    desk.post(desk.path("alice", "/disable"), password=PASSWORD)
    everything = text_of(desk.get("/admin/audit"))
    assert "User disabled" in everything and "Signed up" in everything
    some = text_of(desk.get("/admin/audit?user=alice&actor=root"))
    table = some.split("Details")[1]
    assert "User disabled" in table and "Signed up" not in table
    for nonsense in ("user=%00", "actor=%27", "action=nope", "since=yesterday", "until=9999-99-99", "before=x"):
        assert desk.get(f"/admin/audit?{nonsense}").status_code == 200
    assert "Nothing of that kind" in desk.get("/admin/audit?since=2999-01-01").text
    assert "Nothing of that kind" in desk.get("/admin/audit?until=1999-01-01").text


def test_the_audit_log_export_is_complete_and_in_order(desk, alice, monkeypatch):
    monkeypatch.setattr(audit_log, "CHUNK", 3)
    alice.call("set", key="=cmd", value=1)
    desk.post(desk.path("alice", "/reveal"), key="=cmd", password=PASSWORD)
    expected = desk.wait(desk.parts.events(EVERYTHING)).events
    answer = desk.get("/admin/audit.ndjson")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.ndjson"'
    lines = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    # the export includes its own audit entry
    assert lines[0]["action"] == "audit_exported" and lines[0]["actor"] == "admin"
    assert [line["id"] for line in lines[1:]] == [event.id for event in expected]
    assert lines[1]["action"] == "value_revealed" and lines[1]["detail"] == {"key": "=cmd"}
    answer = desk.get("/admin/audit.csv?user=alice")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action"] for row in rows] == desk.log(user="alice")
    assert rows[0]["username"] == "Alice" and msgspec.json.decode(rows[0]["detail"]) == {"key": "=cmd"}


def test_the_csv_export_contains_no_formula(desk):
    desk.post("/admin/users/new", username="-2-3")
    rows = list(csv.DictReader(io.StringIO(desk.get("/admin/audit.csv").text)))
    assert [row["username"] for row in rows if row["action"] == "user_created"][:1] == ["'-2-3"]


# diagnostics


def test_a_clock_jump_is_shown_and_confirmed_with_the_password(open_site):
    ahead = 0
    desk = Desk(open_site(clock=lambda: now_ms() + ahead))
    assert desk.get("/admin/diagnostics.json").json["facts"]["Upkeep"]["System clock"] == "no jump"
    assert "nothing to confirm" in text_of(desk.get("/admin/diagnostics/confirm-time"))
    ahead = 2 * 60 * 60 * 1000
    page = text_of(desk.get("/admin/diagnostics"))
    assert "The system clock jumped forward by 2 h" in page and "Confirm the time…" in page
    assert "Confirm the time" in text_of(desk.get("/admin/diagnostics/confirm-time"))
    assert desk.post("/admin/diagnostics/confirm-time", password="wrong").status_code == 401
    assert desk.services.clock_guard.jump() is not None
    assert desk.post("/admin/diagnostics/confirm-time", password=PASSWORD).status_code == 303
    assert desk.services.clock_guard.jump() is None
    assert "jumped" not in text_of(desk.get("/admin/diagnostics"))
    assert desk.log(action="time_confirmed") == ["time_confirmed"]


def test_diagnostics_show_the_state_of_the_server(desk, alice):
    alice.call("set", key="a", value=1)
    desk.services.metrics_history.sample()
    desk.services.metrics_history.sample()
    page = text_of(desk.get("/admin/diagnostics"))
    for label in ("Open tabs", "Operations per second", "Latency", "Writes waiting", "Memory", "Database", "Version"):
        assert label in page
    state = desk.get("/admin/diagnostics.json").json
    assert state["facts"]["Work"]["Operations since the start"] == "1"
    assert state["facts"]["Work"]["Latency, median"].endswith(" ms")
    assert state["charts"]["memory"]["paths"]["memory_bytes"].startswith("M")
    assert "at most" in state["charts"]["rate"]["words"]


def test_diagnostics_list_reached_limits_with_the_account_or_network(desk, alice):
    assert "No limit was reached" in text_of(desk.get("/admin/diagnostics"))
    assert desk.get("/admin/diagnostics.json").json["limits"] == []
    limits = desk.services.limit_log
    limits.record("verbs_per_token", account=2, credential="tok-1")
    limits.record("sign_in_attempts", network="192.0.2.7")
    limits.record("sign_in_attempts", network="192.0.2.7")
    limits.record("something_new", account=77)
    newest, attempts, token = desk.get("/admin/diagnostics.json").json["limits"]
    assert (newest["limit"], newest["account"]) == ("Something new", {"id": 77, "name": "user 77"})
    assert (attempts["limit"], attempts["network"], attempts["count"]) == ("Sign-in attempts", "192.0.2.7", "2")
    assert token["account"]["id"] == 2 and token["account"]["name"] != "user 2"
    assert token["credential"] == "tok-1"
    page = desk.get("/admin/diagnostics").text
    assert '<a href="/admin/users/2">' in page and "192.0.2.7" in page


# backups


def test_a_backup_download_is_complete_needs_the_password_and_is_logged_for_all(desk, alice, tmp_path):
    alice.call("set", key="a", value="kept")
    before = desk.post("/admin/backup", password="wrong wrong")
    assert before.status_code == 401 and "backup_downloaded" not in desk.log()
    answer = desk.post("/admin/backup", password=PASSWORD)
    assert answer.status_code == 200 and answer.headers["Content-Disposition"].startswith("attachment")
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    file = tmp_path / "downloaded.db"
    file.write_bytes(answer.data)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert "kept" in db.execute("SELECT frame FROM log").fetchone()[0]
    assert list(desk.services.operations.backups.folder.iterdir()) == [], "no copy stays"
    own = desk.wait(desk.services.accounts.own.events(caller_of(desk, alice)))
    assert own[0].action == "backup_downloaded" and own[0].actor == "admin"


def caller_of(desk, visitor):
    return desk.wait(desk.services.accounts.caller(visitor.cookie, "http", presented="cookie"))


def test_the_backup_page_lists_the_existing_backups(desk):
    assert "No automatic backups" in desk.get("/admin/backup").text
    made = desk.wait(desk.services.operations.backup())
    assert Path(made.file).name in desk.get("/admin/backup").text
    facts = desk.get("/admin/diagnostics.json").json["facts"]["Upkeep"]
    assert facts["Last purge"] == "not yet" and facts["Last backup on the server"].endswith(" ago")
    desk.wait(desk.services.operations.purge())
    assert desk.get("/admin/diagnostics.json").json["facts"]["Upkeep"]["Last purge"].endswith(" ago")


# the first superuser


def test_the_setup_secret_leaves_the_url_at_once_and_creates_one_superuser(site):
    services = site.app.extensions["realtime_kv"]
    parts = services.accounts.administration
    secret = services.runtime.wait(parts.setup_link()).secret
    visitor, other = site.visitor(), site.visitor()
    arrived = visitor.get(f"/setup/{secret}")
    assert (arrived.status_code, arrived.location) == (303, "/setup")
    assert "HttpOnly" in arrived.headers["Set-Cookie"] and "SameSite=Lax" in arrived.headers["Set-Cookie"]
    other.get(f"/setup/{secret}")
    assert "first superuser" in visitor.get("/setup").text
    assert visitor.post("/setup", data={"username": "Root", "password": "password1"}).status_code == 422
    assert visitor.post("/setup", data={"username": "x", "password": PASSWORD}).status_code == 422
    made = visitor.post("/setup", data={"username": "Root", "password": PASSWORD})
    assert made.status_code == 200 and "recovery codes" in made.text
    assert visitor.get("/admin/users").status_code == 200
    for late in (visitor, other):
        assert late.get("/setup").status_code == 410
        assert late.post("/setup", data={"username": "Eve", "password": PASSWORD}).status_code == 410
    assert services.runtime.wait(parts.users(search="eve")).found == 0


@pytest.mark.parametrize("secret", ["nonsense", "x" * 43, "%00", "%F0%9F%92%A9", "x" * 4000])
def test_an_invalid_setup_link_creates_no_superuser(site, secret):
    visitor = site.visitor()
    assert visitor.get("/setup").status_code == 410
    assert visitor.get(f"/setup/{secret}").status_code == 303
    assert visitor.get("/setup").status_code == 410
    assert visitor.post("/setup", data={"username": "Eve", "password": PASSWORD}).status_code == 410


def test_options_requests_get_the_same_answer_everywhere_under_admin(stranger, alice):
    for visitor in (stranger, alice):
        for path in ("/admin/users", "/admin/audit", "/admin/nothing"):
            answer = visitor.ask(path, "OPTIONS")
            assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
