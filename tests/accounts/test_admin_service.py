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


class Office:
    """The administration of the accounts, by a superuser called Root."""

    def __init__(self, town):
        self.town = town
        self.parts = town.accounts.administration
        created = town.wait(self.parts.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
        self.id = created.user.id
        self.actor = Actor("admin", self.id, ClientInfo("Firefox on Linux", "10.0.0.1"))

    def __getattr__(self, name):
        method = getattr(self.parts, name)
        return lambda *args, **more: self.town.wait(method(*args, **more))

    def act(self, name, *args, **more):
        return self.town.wait(getattr(self.parts, name)(self.actor, *args, **more))

    def log(self, **filters):
        return [event.action for event in self.events(Filters(**filters)).events]


@pytest.fixture
def office(town):
    return Office(town)


def put(town, token, key, value):
    return town.wait(town.store.set(town.caller(token), key, msgspec.json.encode(value)))


def api_token(town, signed_in):
    caller = town.caller(signed_in.token)
    return town.wait(town.accounts.tokens.create(caller, "script", "write", None, None, ClientInfo())).token


# users


def test_user_list_shows_usage_up_to_the_last_write(office, town):
    ada = town.sign_up("Ada")
    town.sign_up("bob")
    put(town, ada.token, "a", 1)
    put(town, ada.token, "b", "text")
    found = office.users(tabs={ada.user.id: 3})
    assert [user.username for user in found.users] == ["Ada", "bob", "Root"]
    assert (found.all_users, found.all_entries, found.found, found.pages) == (3, 2, 3, 1)
    shown = found.users[0]
    assert (shown.entries, shown.bytes, shown.sessions, shown.tokens, shown.tabs) == (2, 9, 1, 0, 3)
    assert (shown.is_admin, shown.two_step, shown.status) == (False, False, "active")
    assert found.all_bytes == 9 and found.users[2].is_admin is True


def test_user_list_is_sorted_by_the_requested_column(office, town):
    bob, ada = town.sign_up("bob"), town.sign_up("ada")
    town.clock.now += MINUTE
    put(town, bob.token, "small", 1)
    put(town, bob.token, "more", 2)
    put(town, ada.token, "large", "x" * 100)
    late = town.sign_up("late")
    tabs = {ada.user.id: 2, bob.user.id: 1}
    first = {sort: office.users(sort=sort, tabs=tabs).users[0].username for sort in ("username", "entries", "bytes")}
    assert first == {"username": "ada", "entries": "bob", "bytes": "ada"}
    assert office.users(sort="tabs", tabs=tabs).users[0].username == "ada"
    assert office.users(sort="created").users[0].username == late.user.username
    assert office.users(sort="seen").users[0].username == "late"


def test_user_search_matches_literal_text_and_page_numbers_are_clamped(office, town):
    town.sign_up("a_b")
    town.sign_up("axb")
    assert [user.username for user in office.users(search="A_B").users] == ["a_b"]
    assert office.users(search="%").found == 0
    assert office.users(search="'; DROP TABLE users --").found == 0
    assert office.users(page=99).page == 1 and office.users(page=-5).page == 1
    for n in range(60):
        town.write(lambda db, n=n: create(db, f"many{n:02}"))
    found = office.users(search="many", page=2)
    assert (found.found, found.pages, len(found.users), found.users[0].username) == (60, 2, 10, "many50")


def create(db, name):
    return users.create(db, name, name, "x", 1)


def test_a_user_is_found_by_id_or_by_case_insensitive_name(office, town):
    ada = town.sign_up("Ada")
    assert office.user("aDA") == office.user(ada.user.id)
    for nobody in ("nobody", 99, -1, 2**70, "", "ad a", "\ud800", "x" * 99):
        with pytest.raises(NotFound):
            office.user(nobody)


# creating and helping users


def test_a_new_user_with_a_temporary_password_must_change_it(office, town):
    created = office.act("create_user", "Grace")
    assert len(created.password) == 23 and created.link is None
    with pytest.raises(PasswordChangeNeeded):
        town.sign_in("grace", created.password)
    assert office.log(user="grace")[-1] == "user_created"
    event = office.events(Filters(user="grace", action="user_created")).events[0]
    assert (event.actor, event.actor_name, event.address, event.label) == (
        "admin",
        "Root",
        "10.0.0.1",
        "Firefox on Linux",
    )


def test_a_new_user_with_a_recovery_link_gets_no_password(office, town):
    created = office.act("create_user", "Grace", link=True)
    assert created.password is None and created.link.kind == "recovery"
    assert created.link.expires_at == town.clock.now + 30 * MINUTE
    assert office.log(user="grace") == ["recovery_link_made", "user_created"]


def test_user_creation_by_a_superuser_enforces_the_sign_up_rules(office, town):
    town.sign_up("Ada")
    with pytest.raises(NameTaken):
        office.act("create_user", "ADA")
    with pytest.raises(InvalidName):
        office.act("create_user", "a b")
    with pytest.raises(InvalidPassword):
        office.act("create_user", "Grace", password="password1")
    assert office.users(search="grace").found == 0


def test_a_temporary_password_ends_all_sessions_and_replaces_the_old_password(office, town):
    ada = town.sign_up("Ada")
    temporary = office.act("temporary_password", "ada")
    assert [(end.user_id, end.reason) for end in town.ended] == [(ada.user.id, "password_changed")]
    with pytest.raises(Unauthenticated):
        town.caller(ada.token)
    with pytest.raises(InvalidCredentials):
        town.sign_in("ada")
    with pytest.raises(PasswordChangeNeeded):
        town.sign_in("ada", temporary)
    assert office.log(user="ada")[:1] == ["sign_in_failed"] and "temporary_password" in office.log(user="ada")


def test_a_recovery_link_is_logged_and_replaces_the_previous_one(office, town):

    ada = town.sign_up("Ada")
    first, second = office.act("recovery_link", "ada"), office.act("recovery_link", ada.user.id)
    with pytest.raises(LinkExpired):
        town.write(lambda db: one_time_tokens.find(db, first.secret, town.clock.now, "recovery"))
    assert (
        town.write(lambda db: one_time_tokens.find(db, second.secret, town.clock.now, "recovery")).user_id
        == ada.user.id
    )
    assert office.log(user="ada").count("recovery_link_made") == 2
    assert town.caller(ada.token), "nothing ends before the link is used"


def test_disabled_and_deleted_users_get_no_recovery_link_or_password(office, town):
    town.sign_up("Ada")
    for act, needs in (("disable", "enabled"), ("delete", "restored")):
        office.act(act, "ada")
        for help in ("recovery_link", "temporary_password"):
            with pytest.raises(Forbidden) as refused:
                office.act(help, "ada")
            assert refused.value.extra == {"needs": needs}


# disabling and deleting


@pytest.mark.parametrize(
    ("act", "undo", "reason", "noted"),
    [
        ("disable", "enable", "disabled", ("user_disabled", "user_enabled")),
        ("delete", "restore", "deleted", ("account_deleted", "account_restored")),
    ],
)
def test_disabling_or_deleting_a_user_blocks_all_access_until_it_is_undone(office, town, act, undo, reason, noted):
    ada = town.sign_up("Ada")
    again = town.sign_in("ada")
    caller = town.caller(ada.token)
    put(town, ada.token, "a", 1)
    link = office.act("recovery_link", "ada")
    program = api_token(town, ada)
    office.act(act, "ada")
    assert [end.reason for end in town.ended] == [reason] * 3
    assert (office.user("ada").sessions, office.user("ada").tokens) == (0, 0)
    for token in (ada.token, again.token, program):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    with pytest.raises(Unauthenticated):
        town.wait(town.store.set(caller, "b", b"2"))
    with pytest.raises(InvalidCredentials):
        town.sign_in("ada")
    office.act(act, "ada")
    assert office.log(user="ada").count(noted[0]) == 1, "done once"
    office.act(undo, "ada")
    office.act(undo, "ada")
    assert office.log(user="ada")[0] == noted[1] and office.log(user="ada").count(noted[1]) == 1
    back = town.sign_in("ada")
    assert town.wait(town.store.get(town.caller(back.token), "a"))
    for token in (ada.token, program):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    with pytest.raises(LinkExpired):
        town.write(lambda db: one_time_tokens.find(db, link.secret, town.clock.now, "recovery"))


def test_deletion_by_a_superuser_overrides_self_deletion_and_blocks_sign_in(office, town):
    ada = town.sign_up("Ada")

    town.write(
        lambda db: db.execute(update(User).where(User.id == ada.user.id).values(deleted_at=1, deleted_by="self"))
    )
    office.act("delete", "ada")
    with pytest.raises(InvalidCredentials):
        town.sign_in("ada")
    assert office.user("ada").status == "deleted" and office.user("ada").deleted_by == "admin"


@pytest.mark.parametrize("act", ["disable", "delete", "unmake_admin"])
def test_the_last_superuser_cannot_be_disabled_deleted_or_demoted(office, town, act):
    with pytest.raises(Forbidden) as refused:
        office.act(act, office.id)
    assert refused.value.extra == {"needs": "another_superuser"}
    town.sign_up("Ada")
    office.act("make_admin", "ada")
    office.act("disable", "ada")
    with pytest.raises(Forbidden):
        office.act(act, office.id)
    office.act("enable", "ada")
    office.act(act, office.id)
    with pytest.raises(Forbidden):
        office.act(act, "ada")


def test_promotion_to_superuser_ends_existing_sessions(office, town):
    ada = town.sign_up("Ada")
    office.act("make_admin", "ada")
    assert [(end.user_id, end.reason) for end in town.ended] == [(ada.user.id, "ended")]
    assert town.caller(town.sign_in("ada").token).is_admin
    office.act("unmake_admin", "ada")
    assert not town.caller(town.sign_in("ada").token).is_admin
    made = [action for action in office.log(user="ada") if action.startswith("admin")]
    assert made == ["admin_unmade", "admin_made"]


def test_a_superuser_can_turn_off_the_second_step_of_a_user(office, town):
    ada = town.sign_up("Ada")
    secret = pyotp.random_base32()
    town.write(lambda db: totp.prepare(db, ada.user.id, secret))
    code = pyotp.TOTP(secret).at(town.clock.now // 1000)
    assert town.write(lambda db: totp.confirm(db, ada.user.id, code, town.clock.now))
    with pytest.raises(SecondStepNeeded):
        town.sign_in("ada")
    assert office.user("ada").two_step is True
    office.act("end_two_step", "ada")
    office.act("end_two_step", "ada")
    assert town.sign_in("ada") and office.user("ada").two_step is False
    assert office.log(user="ada").count("two_step_off") == 1


def test_ending_sessions_returns_the_count_and_keeps_tokens_unless_requested(office, town):
    town.sign_up("Ada")
    town.sign_in("ada")
    assert office.act("end_sessions", "ada") == 2
    assert office.act("end_sessions", "ada") == 0
    assert [end.reason for end in town.ended] == ["ended", "ended"]
    program = api_token(town, town.sign_in("ada"))
    assert office.act("end_sessions", "ada") == 1
    assert town.caller(program).username == "Ada"
    assert office.act("end_sessions", "ada", tokens=True) == 1
    with pytest.raises(Unauthenticated):
        town.caller(program)
    assert town.sign_in("ada")


def test_a_per_user_quota_applies_from_the_next_write(office, town):
    ada = town.sign_up("Ada")
    put(town, ada.token, "a", 1)
    office.act("set_quota", "ada", 1, None)
    with pytest.raises(QuotaExceeded):
        put(town, ada.token, "b", 1)
    office.act("set_quota", "ada", None, None)
    put(town, ada.token, "b", 1)
    details = [event.detail for event in office.events(Filters(action="quota_changed")).events]
    assert details == [{"keys": None, "bytes": None}, {"keys": 1, "bytes": None}]
    for wrong in ((-1, None), (None, 2**60)):
        with pytest.raises(BadRequest):
            office.act("set_quota", "ada", *wrong)


@pytest.mark.parametrize("end", ["disable", "delete", "unmake_admin"])
def test_former_superusers_cannot_act_even_with_a_request_in_flight(office, town, end):
    town.sign_up("Victim")
    ada = town.sign_up("Ada")
    office.act("make_admin", "ada")
    actor = Actor("admin", ada.user.id, ClientInfo())
    office.act(end, "ada")
    before = office.events().events
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
            town.wait(getattr(office.parts, act)(actor, *more))
        assert refused.value.extra == {"needs": "admin"}, act
    assert office.events().events == before


# reading


def test_entry_list_shows_keys_and_sizes_including_trash_but_no_values(office, town):
    ada = town.sign_up("Ada")
    put(town, ada.token, "app/on", True)
    put(town, ada.token, "app/ü", "secret-value")
    put(town, ada.token, "z", 1)
    town.wait(town.store.delete(town.caller(ada.token), "z"))
    found = office.act("entries", "ada")
    assert [(entry.key, entry.bytes, entry.revision) for entry in found.entries] == [
        ("app/on", 10, 1),
        ("app/ü", 20, 2),
        ("z", 2, 4),
    ]
    assert found.next is None and found.entries[2].deleted_at and not found.entries[0].deleted_at
    assert "secret-value" not in repr(found)
    assert [entry.key for entry in office.act("entries", "ada", prefix="app/").entries] == ["app/on", "app/ü"]
    page = office.act("entries", "ada", limit=2)
    assert page.next == "app/ü"
    assert [entry.key for entry in office.act("entries", "ada", after=page.next, limit=2).entries] == ["z"]


def test_listing_entries_is_logged_once_an_hour_per_superuser(office, town):
    town.sign_up("Ada")
    office.act("entries", "ada", after="x")
    office.act("entries", "ada")
    assert office.log(user="ada").count("entries_viewed") == 1
    town.clock.now += HOUR + 1
    office.act("entries", "ada")
    assert office.log(user="ada").count("entries_viewed") == 2
    office.act("make_admin", "ada")
    town.wait(office.parts.entries(Actor("admin", office.user("ada").id, ClientInfo()), "ada"))
    assert office.log(user="ada").count("entries_viewed") == 3


def test_revealing_a_value_is_logged_with_its_key(office, town):
    ada = town.sign_up("Ada")
    put(town, ada.token, "diary", {"dear": "me"})
    revealed = office.act("reveal", "ada", "diary")
    assert (revealed.value, revealed.revision, revealed.deleted_at) == ('{"dear":"me"}', 1, None)
    event = office.events(Filters(user="ada", action="value_revealed")).events[0]
    assert event.detail == {"key": "diary"} and event.actor_id == office.id
    with pytest.raises(NotFound):
        office.act("reveal", "ada", "nothing")
    assert office.log(user="ada").count("value_revealed") == 1


def test_audit_log_is_filtered_by_actor_user_action_and_time_and_paged_by_id(office, town):
    ada = town.sign_up("Ada")
    started = town.clock.now
    town.clock.now += HOUR
    office.act("disable", "ada")
    office.act("enable", "ada")
    assert office.log(user="ada") == ["user_enabled", "user_disabled", "sign_up"]
    assert office.log(user=str(ada.user.id)) == office.log(user="ADA")
    assert office.log(user="ada", actor="root") == ["user_enabled", "user_disabled"]
    assert office.log(actor="cli") == ["admin_made", "user_created"]
    assert office.log(action="user_disabled") == ["user_disabled"]
    assert office.log(since=started + 1) == ["user_enabled", "user_disabled"]
    assert "sign_up" in office.log(until=started + 1) and "user_enabled" not in office.log(until=started + 1)
    assert office.log(user="nobody-of-that-name") == [] and office.log(user="' OR 1=1") == []
    pages, before = [], None
    while True:
        page = office.events(before=before, limit=2)
        pages += [event.id for event in page.events]
        before = page.next
        if before is None:
            break
    assert pages == sorted(pages, reverse=True) and len(pages) == len(office.log())


def test_a_backup_download_appears_in_the_events_of_every_existing_user(office, town):
    ada, bob = (town.caller(town.sign_up(name).token) for name in ("Ada", "Bob"))
    own = town.accounts.own
    town.clock.now += MINUTE
    town.wait(office.parts.note_download(office.actor, 4096))
    town.clock.now += MINUTE
    late = town.caller(town.sign_up("Late").token)
    for caller in (ada, bob):
        seen = town.wait(own.events(caller))
        assert [event.action for event in seen] == ["backup_downloaded", "sign_up"]
        assert seen[0].detail == {"bytes": 4096}
        assert town.wait(own.events(caller, seen[0].id))[0].action == "sign_up"
    assert [event.action for event in town.wait(own.events(late))] == ["sign_up"]
    assert office.log().count("backup_downloaded") == 1


# re-authentication


def test_reauthentication_needs_the_password_and_limits_wrong_guesses(office, town):
    ada = town.sign_up("Ada")
    caller = town.caller(ada.token)
    for _ in range(30):
        office.confirm(caller, PASSWORD)
    for guess in ["wrong wrong wrong"] * 4 + ["x"]:
        with pytest.raises(InvalidCredentials):
            office.confirm(caller, guess)
    with pytest.raises(RateLimited):
        office.confirm(caller, PASSWORD)
    town.clock.now += MINUTE
    office.confirm(caller, PASSWORD)


# the first superuser


def test_a_setup_link_creates_the_first_superuser_once(town):
    parts = town.accounts.administration
    assert town.wait(parts.has_superuser()) is False
    old, link = town.wait(parts.setup_link()), town.wait(parts.setup_link())
    for bad in (old.secret, "nonsense", "\ud800", ""):
        with pytest.raises(LinkExpired):
            town.wait(parts.check_setup(bad))
        with pytest.raises(LinkExpired):
            town.wait(parts.use_setup(bad, "Root", PASSWORD, ClientInfo()))
    town.wait(parts.check_setup(link.secret))
    with pytest.raises(InvalidPassword):
        town.wait(parts.use_setup(link.secret, "Root", "password1", ClientInfo()))
    begun = town.wait(parts.use_setup(link.secret, "Root", PASSWORD, ClientInfo()))
    assert begun.user.is_admin and len(begun.codes) == 10 and town.caller(begun.token).is_admin
    assert town.wait(parts.has_superuser()) is True
    with pytest.raises(LinkExpired):
        town.wait(parts.use_setup(link.secret, "Second", PASSWORD, ClientInfo()))
    with pytest.raises(LinkExpired):
        town.write(lambda db: one_time_tokens.find(db, link.secret, town.clock.now, "setup"))


def test_a_setup_link_expires_after_a_day_or_once_a_superuser_exists(town):
    parts = town.accounts.administration
    link = town.wait(parts.setup_link())
    town.clock.now += 24 * HOUR + 1
    with pytest.raises(LinkExpired):
        town.wait(parts.check_setup(link.secret))
    link = town.wait(parts.setup_link())
    town.wait(parts.create_user(CLI, "Root", password=PASSWORD, is_admin=True))
    with pytest.raises(LinkExpired):
        town.wait(parts.use_setup(link.secret, "Second", PASSWORD, ClientInfo()))


def test_administration_works_with_real_threads(busy_town):
    office = Office(busy_town)
    ada = busy_town.sign_up("Ada")
    put(busy_town, ada.token, "a", 1)
    assert office.users().all_entries == 1
    assert [entry.key for entry in office.act("entries", "ada").entries] == ["a"]
    office.act("delete", "ada")
    assert [end.reason for end in busy_town.ended] == ["deleted"]
