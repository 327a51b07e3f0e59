"""Superuser actions: each takes effect at once together with its audit entry, and one superuser always remains."""

import msgspec
import pyotp
import pytest
from sqlalchemy import update

from realtime_kv.accounts import users
from realtime_kv.accounts.admin.audit_queries import Filters
from realtime_kv.accounts.audit_log import CLI, Actor
from realtime_kv.accounts.credentials import one_time_tokens, totp
from realtime_kv.errors import (
    BadRequest,
    Forbidden,
    InvalidCredentials,
    InvalidName,
    InvalidPassword,
    LinkExpired,
    NameTaken,
    NotFound,
    PasswordChangeNeeded,
    QuotaExceeded,
    RateLimited,
    SecondStepNeeded,
    Unauthenticated,
)
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import User

PASSWORD = "correct horse battery"
MINUTE = 60 * 1000
HOUR = 60 * MINUTE


class AdminCommands:
    """The administration of the accounts, by a superuser called Root."""

    def __init__(self, harness):
        self.harness = harness
        self.parts = harness.accounts.administration
        created = harness.wait(self.parts.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
        self.id = created.user.id
        self.actor = Actor("admin", self.id, ClientInfo("Firefox on Linux", "10.0.0.1"))

    def __getattr__(self, name):
        method = getattr(self.parts, name)
        return lambda *args, **more: self.harness.wait(method(*args, **more))

    def act(self, name, *args, **more):
        return self.harness.wait(getattr(self.parts, name)(self.actor, *args, **more))

    def log(self, **filters):
        return [event.action for event in self.events(Filters(**filters)).events]


@pytest.fixture
def admin(harness):
    return AdminCommands(harness)


def put(harness, token, key, value):
    return harness.wait(harness.store.set(harness.caller(token), key, msgspec.json.encode(value)))


def api_token(harness, signed_in):
    caller = harness.caller(signed_in.token)
    return harness.wait(harness.accounts.tokens.create(caller, "script", "write", None, None, ClientInfo())).token


# users


def test_user_list_shows_usage_up_to_the_last_write(admin, harness):
    ada = harness.sign_up("Ada")
    harness.sign_up("bob")
    put(harness, ada.token, "a", 1)
    put(harness, ada.token, "b", "text")
    found = admin.users(tabs={ada.user.id: 3})
    assert [user.username for user in found.users] == ["Ada", "bob", "Root"]
    assert (found.all_users, found.all_entries, found.found, found.pages) == (3, 2, 3, 1)
    shown = found.users[0]
    assert (shown.entries, shown.bytes, shown.sessions, shown.tokens, shown.tabs) == (2, 9, 1, 0, 3)
    assert (shown.is_admin, shown.two_step, shown.status) == (False, False, "active")
    assert found.all_bytes == 9 and found.users[2].is_admin is True


def test_user_list_is_sorted_by_the_requested_column(admin, harness):
    bob, ada = harness.sign_up("bob"), harness.sign_up("ada")
    harness.clock.now += MINUTE
    put(harness, bob.token, "small", 1)
    put(harness, bob.token, "more", 2)
    put(harness, ada.token, "large", "x" * 100)
    late = harness.sign_up("late")
    tabs = {ada.user.id: 2, bob.user.id: 1}
    first = {sort: admin.users(sort=sort, tabs=tabs).users[0].username for sort in ("username", "entries", "bytes")}
    assert first == {"username": "ada", "entries": "bob", "bytes": "ada"}
    assert admin.users(sort="tabs", tabs=tabs).users[0].username == "ada"
    assert admin.users(sort="created").users[0].username == late.user.username
    assert admin.users(sort="seen").users[0].username == "late"


def test_user_search_matches_literal_text_and_page_numbers_are_clamped(admin, harness):
    harness.sign_up("a_b")
    harness.sign_up("axb")
    assert [user.username for user in admin.users(search="A_B").users] == ["a_b"]
    assert admin.users(search="%").found == 0
    assert admin.users(search="'; DROP TABLE users --").found == 0
    assert admin.users(page=99).page == 1 and admin.users(page=-5).page == 1
    for n in range(60):
        harness.write(lambda db, n=n: create(db, f"many{n:02}"))
    found = admin.users(search="many", page=2)
    assert (found.found, found.pages, len(found.users), found.users[0].username) == (60, 2, 10, "many50")


def create(db, name):
    return users.create(db, name, name, "x", 1)


def test_a_user_is_found_by_id_or_by_case_insensitive_name(admin, harness):
    ada = harness.sign_up("Ada")
    assert admin.user("aDA") == admin.user(ada.user.id)
    for nobody in ("nobody", 99, -1, 2**70, "", "ad a", "\ud800", "x" * 99):
        with pytest.raises(NotFound):
            admin.user(nobody)


# creating and helping users


def test_a_new_user_with_a_temporary_password_must_change_it(admin, harness):
    created = admin.act("create_user", "Grace")
    assert len(created.password) == 23 and created.link is None
    with pytest.raises(PasswordChangeNeeded):
        harness.sign_in("grace", created.password)
    assert admin.log(user="grace")[-1] == "user_created"
    event = admin.events(Filters(user="grace", action="user_created")).events[0]
    assert (event.actor, event.actor_name, event.address, event.label) == (
        "admin",
        "Root",
        "10.0.0.1",
        "Firefox on Linux",
    )


def test_a_new_user_with_a_recovery_link_gets_no_password(admin, harness):
    created = admin.act("create_user", "Grace", link=True)
    assert created.password is None and created.link.kind == "recovery"
    assert created.link.expires_at == harness.clock.now + 30 * MINUTE
    assert admin.log(user="grace") == ["recovery_link_made", "user_created"]


def test_user_creation_by_a_superuser_enforces_the_sign_up_rules(admin, harness):
    harness.sign_up("Ada")
    with pytest.raises(NameTaken):
        admin.act("create_user", "ADA")
    with pytest.raises(InvalidName):
        admin.act("create_user", "a b")
    with pytest.raises(InvalidPassword):
        admin.act("create_user", "Grace", password="password1")
    assert admin.users(search="grace").found == 0


def test_a_temporary_password_ends_all_sessions_and_replaces_the_old_password(admin, harness):
    ada = harness.sign_up("Ada")
    temporary = admin.act("temporary_password", "ada")
    assert [(end.user_id, end.reason) for end in harness.ended] == [(ada.user.id, "password_changed")]
    with pytest.raises(Unauthenticated):
        harness.caller(ada.token)
    with pytest.raises(InvalidCredentials):
        harness.sign_in("ada")
    with pytest.raises(PasswordChangeNeeded):
        harness.sign_in("ada", temporary)
    assert admin.log(user="ada")[:1] == ["sign_in_failed"] and "temporary_password" in admin.log(user="ada")


def test_a_recovery_link_is_logged_and_replaces_the_previous_one(admin, harness):

    ada = harness.sign_up("Ada")
    first, second = admin.act("recovery_link", "ada"), admin.act("recovery_link", ada.user.id)
    with pytest.raises(LinkExpired):
        harness.write(lambda db: one_time_tokens.find(db, first.secret, harness.clock.now, "recovery"))
    assert (
        harness.write(lambda db: one_time_tokens.find(db, second.secret, harness.clock.now, "recovery")).user_id
        == ada.user.id
    )
    assert admin.log(user="ada").count("recovery_link_made") == 2
    assert harness.caller(ada.token), "nothing ends before the link is used"


def test_disabled_and_deleted_users_get_no_recovery_link_or_password(admin, harness):
    harness.sign_up("Ada")
    for act, needs in (("disable", "enabled"), ("delete", "restored")):
        admin.act(act, "ada")
        for help in ("recovery_link", "temporary_password"):
            with pytest.raises(Forbidden) as refused:
                admin.act(help, "ada")
            assert refused.value.extra == {"needs": needs}


# disabling and deleting


@pytest.mark.parametrize(
    ("act", "undo", "reason", "noted"),
    [
        ("disable", "enable", "disabled", ("user_disabled", "user_enabled")),
        ("delete", "restore", "deleted", ("account_deleted", "account_restored")),
    ],
)
def test_disabling_or_deleting_a_user_blocks_all_access_until_it_is_undone(admin, harness, act, undo, reason, noted):
    ada = harness.sign_up("Ada")
    again = harness.sign_in("ada")
    caller = harness.caller(ada.token)
    put(harness, ada.token, "a", 1)
    link = admin.act("recovery_link", "ada")
    program = api_token(harness, ada)
    admin.act(act, "ada")
    assert [end.reason for end in harness.ended] == [reason] * 3
    assert (admin.user("ada").sessions, admin.user("ada").tokens) == (0, 0)
    for token in (ada.token, again.token, program):
        with pytest.raises(Unauthenticated):
            harness.caller(token)
    with pytest.raises(Unauthenticated):
        harness.wait(harness.store.set(caller, "b", b"2"))
    with pytest.raises(InvalidCredentials):
        harness.sign_in("ada")
    admin.act(act, "ada")
    assert admin.log(user="ada").count(noted[0]) == 1, "done once"
    admin.act(undo, "ada")
    admin.act(undo, "ada")
    assert admin.log(user="ada")[0] == noted[1] and admin.log(user="ada").count(noted[1]) == 1
    back = harness.sign_in("ada")
    assert harness.wait(harness.store.get(harness.caller(back.token), "a"))
    for token in (ada.token, program):
        with pytest.raises(Unauthenticated):
            harness.caller(token)
    with pytest.raises(LinkExpired):
        harness.write(lambda db: one_time_tokens.find(db, link.secret, harness.clock.now, "recovery"))


def test_deletion_by_a_superuser_overrides_self_deletion_and_blocks_sign_in(admin, harness):
    ada = harness.sign_up("Ada")

    harness.write(
        lambda db: db.execute(update(User).where(User.id == ada.user.id).values(deleted_at=1, deleted_by="self"))
    )
    admin.act("delete", "ada")
    with pytest.raises(InvalidCredentials):
        harness.sign_in("ada")
    assert admin.user("ada").status == "deleted" and admin.user("ada").deleted_by == "admin"


@pytest.mark.parametrize("act", ["disable", "delete", "unmake_admin"])
def test_the_last_superuser_cannot_be_disabled_deleted_or_demoted(admin, harness, act):
    with pytest.raises(Forbidden) as refused:
        admin.act(act, admin.id)
    assert refused.value.extra == {"needs": "another_superuser"}
    harness.sign_up("Ada")
    admin.act("make_admin", "ada")
    admin.act("disable", "ada")
    with pytest.raises(Forbidden):
        admin.act(act, admin.id)
    admin.act("enable", "ada")
    admin.act(act, admin.id)
    with pytest.raises(Forbidden):
        admin.act(act, "ada")


def test_promotion_to_superuser_ends_existing_sessions(admin, harness):
    ada = harness.sign_up("Ada")
    admin.act("make_admin", "ada")
    assert [(end.user_id, end.reason) for end in harness.ended] == [(ada.user.id, "ended")]
    assert harness.caller(harness.sign_in("ada").token).is_admin
    admin.act("unmake_admin", "ada")
    assert not harness.caller(harness.sign_in("ada").token).is_admin
    made = [action for action in admin.log(user="ada") if action.startswith("admin")]
    assert made == ["admin_unmade", "admin_made"]


def test_a_superuser_can_turn_off_the_second_step_of_a_user(admin, harness):
    ada = harness.sign_up("Ada")
    secret = pyotp.random_base32()
    harness.write(lambda db: totp.prepare(db, ada.user.id, secret))
    code = pyotp.TOTP(secret).at(harness.clock.now // 1000)
    assert harness.write(lambda db: totp.confirm(db, ada.user.id, code, harness.clock.now))
    with pytest.raises(SecondStepNeeded):
        harness.sign_in("ada")
    assert admin.user("ada").two_step is True
    admin.act("end_two_step", "ada")
    admin.act("end_two_step", "ada")
    assert harness.sign_in("ada") and admin.user("ada").two_step is False
    assert admin.log(user="ada").count("two_step_off") == 1


def test_ending_sessions_returns_the_count_and_keeps_tokens_unless_requested(admin, harness):
    harness.sign_up("Ada")
    harness.sign_in("ada")
    assert admin.act("end_sessions", "ada") == 2
    assert admin.act("end_sessions", "ada") == 0
    assert [end.reason for end in harness.ended] == ["ended", "ended"]
    program = api_token(harness, harness.sign_in("ada"))
    assert admin.act("end_sessions", "ada") == 1
    assert harness.caller(program).username == "Ada"
    assert admin.act("end_sessions", "ada", tokens=True) == 1
    with pytest.raises(Unauthenticated):
        harness.caller(program)
    assert harness.sign_in("ada")


def test_a_per_user_quota_applies_from_the_next_write(admin, harness):
    ada = harness.sign_up("Ada")
    put(harness, ada.token, "a", 1)
    admin.act("set_quota", "ada", 1, None)
    with pytest.raises(QuotaExceeded):
        put(harness, ada.token, "b", 1)
    admin.act("set_quota", "ada", None, None)
    put(harness, ada.token, "b", 1)
    details = [event.detail for event in admin.events(Filters(action="quota_changed")).events]
    assert details == [{"keys": None, "bytes": None}, {"keys": 1, "bytes": None}]
    for wrong in ((-1, None), (None, 2**60)):
        with pytest.raises(BadRequest):
            admin.act("set_quota", "ada", *wrong)


@pytest.mark.parametrize("end", ["disable", "delete", "unmake_admin"])
def test_former_superusers_cannot_act_even_with_a_request_in_flight(admin, harness, end):
    harness.sign_up("Victim")
    ada = harness.sign_up("Ada")
    admin.act("make_admin", "ada")
    actor = Actor("admin", ada.user.id, ClientInfo())
    admin.act(end, "ada")
    before = admin.events().events
    for act, *more in (
        ("disable", "victim"),
        ("delete", "victim"),
        ("make_admin", "victim"),
        ("temporary_password", "victim"),
        ("recovery_link", "victim"),
        ("end_sessions", "victim"),
        ("end_two_step", "victim"),
        ("note_download", 1),
        ("set_quota", "victim", 1, 1),
        ("reveal", "victim", "key"),
        ("entries", "victim"),
        ("create_user", "fresh"),
        ("enable", "ada"),
        ("restore", "ada"),
    ):
        with pytest.raises(Forbidden) as refused:
            harness.wait(getattr(admin.parts, act)(actor, *more))
        assert refused.value.extra == {"needs": "admin"}, act
    assert admin.events().events == before


# reading


def test_entry_list_shows_keys_and_sizes_including_trash_but_no_values(admin, harness):
    ada = harness.sign_up("Ada")
    put(harness, ada.token, "app/on", True)
    put(harness, ada.token, "app/ü", "secret-value")
    put(harness, ada.token, "z", 1)
    harness.wait(harness.store.delete(harness.caller(ada.token), "z"))
    found = admin.act("entries", "ada")
    assert [(entry.key, entry.bytes, entry.revision) for entry in found.entries] == [
        ("app/on", 10, 1),
        ("app/ü", 20, 2),
        ("z", 2, 4),
    ]
    assert found.next is None and found.entries[2].deleted_at and not found.entries[0].deleted_at
    assert "secret-value" not in repr(found)
    assert [entry.key for entry in admin.act("entries", "ada", prefix="app/").entries] == ["app/on", "app/ü"]
    page = admin.act("entries", "ada", limit=2)
    assert page.next == "app/ü"
    assert [entry.key for entry in admin.act("entries", "ada", after=page.next, limit=2).entries] == ["z"]


def test_listing_entries_is_logged_once_an_hour_per_superuser(admin, harness):
    harness.sign_up("Ada")
    admin.act("entries", "ada", after="x")
    admin.act("entries", "ada")
    assert admin.log(user="ada").count("entries_viewed") == 1
    harness.clock.now += HOUR + 1
    admin.act("entries", "ada")
    assert admin.log(user="ada").count("entries_viewed") == 2
    admin.act("make_admin", "ada")
    harness.wait(admin.parts.entries(Actor("admin", admin.user("ada").id, ClientInfo()), "ada"))
    assert admin.log(user="ada").count("entries_viewed") == 3


def test_revealing_a_value_is_logged_with_its_key(admin, harness):
    ada = harness.sign_up("Ada")
    put(harness, ada.token, "diary", {"dear": "me"})
    revealed = admin.act("reveal", "ada", "diary")
    assert (revealed.value, revealed.revision, revealed.deleted_at) == ('{"dear":"me"}', 1, None)
    event = admin.events(Filters(user="ada", action="value_revealed")).events[0]
    assert event.detail == {"key": "diary"} and event.actor_id == admin.id
    with pytest.raises(NotFound):
        admin.act("reveal", "ada", "nothing")
    assert admin.log(user="ada").count("value_revealed") == 1


def test_audit_log_is_filtered_by_actor_user_action_and_time_and_paged_by_id(admin, harness):
    ada = harness.sign_up("Ada")
    started = harness.clock.now
    harness.clock.now += HOUR
    admin.act("disable", "ada")
    admin.act("enable", "ada")
    assert admin.log(user="ada") == ["user_enabled", "user_disabled", "sign_up"]
    assert admin.log(user=str(ada.user.id)) == admin.log(user="ADA")
    assert admin.log(user="ada", actor="root") == ["user_enabled", "user_disabled"]
    assert admin.log(actor="cli") == ["admin_made", "user_created"]
    assert admin.log(action="user_disabled") == ["user_disabled"]
    assert admin.log(since=started + 1) == ["user_enabled", "user_disabled"]
    assert "sign_up" in admin.log(until=started + 1) and "user_enabled" not in admin.log(until=started + 1)
    assert admin.log(user="nobody-of-that-name") == [] and admin.log(user="' OR 1=1") == []
    pages, before = [], None
    while True:
        page = admin.events(before=before, limit=2)
        pages += [event.id for event in page.events]
        before = page.next
        if before is None:
            break
    assert pages == sorted(pages, reverse=True) and len(pages) == len(admin.log())


def test_a_backup_download_appears_in_the_events_of_every_existing_user(admin, harness):
    ada, bob = (harness.caller(harness.sign_up(name).token) for name in ("Ada", "Bob"))
    own = harness.accounts.own
    harness.clock.now += MINUTE
    harness.wait(admin.parts.note_download(admin.actor, 4096))
    harness.clock.now += MINUTE
    late = harness.caller(harness.sign_up("Late").token)
    for caller in (ada, bob):
        seen = harness.wait(own.events(caller))
        assert [event.action for event in seen] == ["backup_downloaded", "sign_up"]
        assert seen[0].detail == {"bytes": 4096}
        assert harness.wait(own.events(caller, seen[0].id))[0].action == "sign_up"
    assert [event.action for event in harness.wait(own.events(late))] == ["sign_up"]
    assert admin.log().count("backup_downloaded") == 1


# re-authentication


def test_reauthentication_needs_the_password_and_limits_wrong_guesses(admin, harness):
    ada = harness.sign_up("Ada")
    caller = harness.caller(ada.token)
    for _ in range(30):
        admin.confirm(caller, PASSWORD)
    for guess in ["wrong wrong wrong"] * 4 + ["x"]:
        with pytest.raises(InvalidCredentials):
            admin.confirm(caller, guess)
    with pytest.raises(RateLimited):
        admin.confirm(caller, PASSWORD)
    harness.clock.now += MINUTE
    admin.confirm(caller, PASSWORD)


# the first superuser


def test_a_setup_link_creates_the_first_superuser_once(harness):
    parts = harness.accounts.administration
    assert harness.wait(parts.has_superuser()) is False
    old, link = harness.wait(parts.setup_link()), harness.wait(parts.setup_link())
    for bad in (old.secret, "nonsense", "\ud800", ""):
        with pytest.raises(LinkExpired):
            harness.wait(parts.check_setup(bad))
        with pytest.raises(LinkExpired):
            harness.wait(parts.use_setup(bad, "Root", PASSWORD, ClientInfo()))
    harness.wait(parts.check_setup(link.secret))
    with pytest.raises(InvalidPassword):
        harness.wait(parts.use_setup(link.secret, "Root", "password1", ClientInfo()))
    begun = harness.wait(parts.use_setup(link.secret, "Root", PASSWORD, ClientInfo()))
    assert begun.user.is_admin and len(begun.codes) == 10 and harness.caller(begun.token).is_admin
    assert harness.wait(parts.has_superuser()) is True
    with pytest.raises(LinkExpired):
        harness.wait(parts.use_setup(link.secret, "Second", PASSWORD, ClientInfo()))
    with pytest.raises(LinkExpired):
        harness.write(lambda db: one_time_tokens.find(db, link.secret, harness.clock.now, "setup"))


def test_a_setup_link_expires_after_a_day_or_once_a_superuser_exists(harness):
    parts = harness.accounts.administration
    link = harness.wait(parts.setup_link())
    harness.clock.now += 24 * HOUR + 1
    with pytest.raises(LinkExpired):
        harness.wait(parts.check_setup(link.secret))
    link = harness.wait(parts.setup_link())
    harness.wait(parts.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
    with pytest.raises(LinkExpired):
        harness.wait(parts.use_setup(link.secret, "Second", PASSWORD, ClientInfo()))


def test_administration_works_with_real_threads(threaded_harness):
    admin = AdminCommands(threaded_harness)
    ada = threaded_harness.sign_up("Ada")
    put(threaded_harness, ada.token, "a", 1)
    assert admin.users().all_entries == 1
    assert [entry.key for entry in admin.act("entries", "ada").entries] == ["a"]
    admin.act("delete", "ada")
    assert [end.reason for end in threaded_harness.ended] == ["deleted"]
