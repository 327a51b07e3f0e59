import pytest
from sqlalchemy import select, update

from realtime_kv.accounts import rate_limits
from realtime_kv.accounts.credentials import sessions
from realtime_kv.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidPassword,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import User, UserSession

PASSWORD = "correct horse battery"
NEW = "another good password"
DAY = sessions.DAY


class Person:
    """A signed-in user and their calls."""

    def __init__(self, town, signed_in):
        self.town, self.signed_in = town, signed_in
        self.caller = town.caller(signed_in.token)

    def __getattr__(self, call):
        return lambda *args, **more: self.town.wait(getattr(self.town.accounts.own, call)(self.caller, *args, **more))


@pytest.fixture
def alice(town):
    return Person(town, town.sign_up("Alice", address="10.0.0.1"))


def actions(person, **more):
    return [event.action for event in person.events(**more)]


def test_session_list_starts_with_the_current_one_and_then_sorts_by_last_use(town, alice):
    town.clock.now += 1000
    phone = town.sign_in("alice", address="10.0.0.2")
    town.clock.now += 1000
    desk = town.sign_in("alice", address="10.0.0.3")
    shown = alice.sessions()
    assert [(session.id, session.current, session.address, session.label) for session in shown] == [
        (alice.signed_in.session, True, "10.0.0.1", "Firefox on Linux"),
        (desk.session, False, "10.0.0.3", "curl"),
        (phone.session, False, "10.0.0.2", "curl"),
    ]
    assert shown[2].created_at == shown[2].last_seen_at == town.clock.now - 1000


def test_session_list_omits_ended_sessions_and_those_of_other_users(town, alice):
    town.sign_up("bob")
    town.sign_out(town.sign_in("alice").token)
    short = town.sign_in("alice", kept=False)
    assert len(alice.sessions()) == 2
    town.clock.now = short.expires_at
    assert [session.current for session in alice.sessions()] == [True]


def test_end_session_publishes_the_end_and_rejects_sessions_of_other_users(town, alice):
    phone, bob = town.sign_in("alice"), town.sign_up("bob")
    for wrong in [bob.session, "nonsense", "", "\ud800"]:
        with pytest.raises(NotFound):
            alice.end_session(wrong)
    alice.end_session(phone.session)
    assert [end.reason for end in town.ended] == ["ended"]
    with pytest.raises(Unauthenticated):
        town.caller(phone.token)
    with pytest.raises(NotFound):
        alice.end_session(phone.session)
    assert town.caller(bob.token) and town.caller(alice.signed_in.token)


def test_end_other_sessions_keeps_the_current_one_and_api_tokens(town, alice):
    phone, desk = town.sign_in("alice"), town.sign_in("alice")
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, ClientInfo()))
    assert alice.end_other_sessions() == 2
    for token in (phone.token, desk.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    assert town.caller(made.token).kind == "token"
    assert alice.end_other_sessions() == 0


def test_password_change_renews_the_current_session_and_ends_every_other(town, alice):
    phone = town.sign_in("alice")
    begun = alice.change_password(PASSWORD, NEW)
    assert begun.token != alice.signed_in.token and begun.session != alice.signed_in.session
    assert sorted(end.reason for end in town.ended) == ["password_changed"] * 2
    for token in (phone.token, alice.signed_in.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    assert town.caller(begun.token).username == "Alice"
    assert town.sign_in("alice", NEW)
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice", PASSWORD)


def test_api_tokens_survive_a_changed_password(town, alice):
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, ClientInfo()))
    alice.change_password(PASSWORD, NEW)
    assert town.caller(made.token).kind == "token"


@pytest.mark.parametrize("kept", [True, False])
def test_password_change_preserves_whether_the_session_is_persistent(town, alice, kept):
    person = Person(town, town.sign_in("alice", kept=kept))
    begun = person.change_password(PASSWORD, NEW)
    assert begun.kept is kept
    assert begun.limit_at == town.clock.now + (30 * DAY if kept else DAY)


def test_password_change_requires_a_strong_password_and_the_current_one(town, alice):
    for new in ["short", "password", "alicealice", "\ud800" * 8]:
        with pytest.raises(InvalidPassword):
            alice.change_password(PASSWORD, new)
    for wrong in ["wrong wrong wrong", "", "\ud800" * 8]:
        with pytest.raises(InvalidCredentials):
            alice.change_password(wrong, NEW)
    assert town.caller(alice.signed_in.token) and town.sign_in("alice")
    assert "password_refused" in actions(alice)


def test_password_guessing_from_an_open_session_is_throttled(town, alice):
    for _ in range(rate_limits.FREE_ATTEMPTS):
        with pytest.raises(InvalidCredentials):
            alice.delete_account("wrong wrong wrong")
    with pytest.raises(RateLimited):
        alice.change_password(PASSWORD, NEW)
    other = Person(town, town.sign_in("alice"))
    other.change_password(PASSWORD, NEW)


def test_account_changes_are_rate_limited_per_user(town, alice):
    bob = Person(town, town.sign_up("Bob"))
    for _ in range(rate_limits.CHANGE.burst):
        alice.end_other_sessions()
    for call in [
        alice.end_other_sessions,
        alice.dismiss_notice,
        lambda: alice.end_session("x"),
        lambda: alice.change_password(PASSWORD, NEW),
        lambda: town.wait(town.accounts.tokens.create(alice.caller, "script")),
        lambda: town.wait(town.accounts.tokens.revoke(alice.caller, "x")),
    ]:
        with pytest.raises(RateLimited):
            call()
    bob.end_other_sessions()
    town.clock.now += rate_limits.CHANGE.interval
    alice.end_other_sessions()


def test_the_only_superuser_cannot_delete_their_account(town, alice):
    bob = Person(town, town.sign_up("Bob"))
    town.write(lambda db: db.execute(update(User).where(User.username == "Alice").values(is_admin=True)))
    with pytest.raises(Forbidden) as refused:
        alice.delete_account(PASSWORD)
    assert refused.value.extra == {"needs": "another_superuser"}
    bob.delete_account(PASSWORD)
    town.sign_up("Carol")
    town.write(lambda db: db.execute(update(User).where(User.username == "Carol").values(is_admin=True)))
    alice.delete_account(PASSWORD)


def test_ended_session_cannot_change_the_account_even_with_the_password(town, alice):
    town.sign_out(alice.signed_in.token)
    for call in [
        lambda: alice.change_password(PASSWORD, NEW),
        lambda: alice.delete_account(PASSWORD),
        lambda: alice.end_other_sessions(),
        lambda: alice.end_session("x"),
        lambda: alice.dismiss_notice(),
    ]:
        with pytest.raises(Unauthenticated):
            call()
    assert town.sign_in("alice")


def test_api_token_cannot_manage_the_account(town, alice):
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "write", None, None, ClientInfo()))
    alice.caller = town.caller(made.token)
    for call in [
        lambda: alice.sessions(),
        lambda: alice.profile(),
        lambda: alice.events(),
        lambda: alice.recovery_notice(),
        lambda: alice.dismiss_notice(),
        lambda: alice.end_session(alice.signed_in.session),
        lambda: alice.end_other_sessions(),
        lambda: alice.change_password(PASSWORD, NEW),
        lambda: alice.delete_account(PASSWORD),
    ]:
        with pytest.raises(Forbidden) as refused:
            call()
        assert refused.value.extra == {"needs": "session"}


def test_account_deletion_ends_sessions_and_tokens_and_sign_in_restores_it(town, alice):
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, ClientInfo()))
    alice.delete_account(PASSWORD)
    assert {end.reason for end in town.ended} == {"deleted"} and len(town.ended) == 2
    for token in (alice.signed_in.token, made.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    town.clock.now += 14 * DAY - 1
    restored = Person(town, town.sign_in("alice"))
    assert actions(restored)[:3] == ["sign_in", "account_restored", "account_deleted"]
    for token in (alice.signed_in.token, made.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)


def test_deleted_account_looks_like_an_unknown_one_after_the_grace_period(town, alice):
    alice.delete_account(PASSWORD)
    town.clock.now += 14 * DAY
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice")


def test_sign_in_does_not_restore_an_account_deleted_by_a_superuser(town, alice):
    town.write(lambda db: db.execute(update(User).values(deleted_at=town.clock.now, deleted_by="admin")) and None)
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice")


def test_a_wrong_password_deletes_nothing(town, alice):
    with pytest.raises(InvalidCredentials):
        alice.delete_account(NEW)
    assert town.caller(alice.signed_in.token)


def test_account_events_are_paginated_and_exclude_other_accounts(town, alice):
    town.sign_up("bob")
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice", "wrong wrong wrong", address="10.9.9.9")
    phone = town.sign_in("alice")
    alice.end_session(phone.session)
    events = alice.events()
    assert [event.action for event in events] == ["session_ended", "sign_in", "sign_in_failed", "sign_up"]
    assert (events[2].ok, events[2].actor, events[2].address) == (False, "nobody", "10.9.9.9")
    assert events[0].title == "Session ended"
    assert actions(alice, limit=2) == ["session_ended", "sign_in"]
    assert actions(alice, before=events[1].id) == ["sign_in_failed", "sign_up"]


def test_profile_shows_email_two_factor_state_and_last_password_change(town, alice):
    profile = alice.profile()
    assert (profile.username, profile.email, profile.two_step, profile.codes_left) == ("Alice", None, False, 10)
    assert profile.password_changed_at is None and profile.notice is None
    person = Person(town, alice.change_password(PASSWORD, NEW))
    assert person.profile().password_changed_at == town.clock.now


# lifetime of sessions


def test_active_session_is_extended_and_an_idle_one_expires(found):
    town = found(session_idle_days=2, session_days=5)
    used, idle = town.sign_up("alice"), town.sign_in("alice")
    for _ in range(3):
        town.clock.now += DAY
        town.caller(used.token)
        town.wait(town.accounts.flush_last_seen())
    assert town.caller(used.token)
    with pytest.raises(Unauthenticated):
        town.caller(idle.token)
    town.wait(town.accounts.end_expired())
    assert [end.reason for end in town.ended] == ["expired"]


def test_activity_does_not_extend_a_session_beyond_its_maximum_lifetime(found):
    town = found(session_idle_days=2, session_days=5)
    signed_in = town.sign_up("alice")
    for _ in range(9):
        town.clock.now += DAY // 2
        town.caller(signed_in.token)
        town.wait(town.accounts.flush_last_seen())
    town.clock.now += DAY // 2
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_open_tab_does_not_revive_an_expired_session(found):
    town = found(session_idle_days=2)
    signed_in = town.sign_up("alice")
    session_id = town.caller(signed_in.token).session_id
    town.wait(town.accounts.flush_last_seen())
    town.clock.now += 2 * DAY
    town.accounts.touch_session(session_id)
    town.wait(town.accounts.flush_last_seen())
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_non_persistent_session_expires_after_a_day_despite_activity(town):
    town.sign_up("alice")
    signed_in = town.sign_in("alice", kept=False)
    town.clock.now += DAY - 1
    town.caller(signed_in.token)
    town.wait(town.accounts.flush_last_seen())
    assert town.caller(signed_in.token)
    town.clock.now += 1
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_last_seen_times_are_saved_at_shutdown(town):
    signed_in = town.sign_up("alice")
    town.clock.now += 1000
    town.caller(signed_in.token)
    town.accounts.stop()
    assert town.write(lambda db: db.execute(select(UserSession.last_seen_at)).scalar_one()) == town.clock.now


def test_last_seen_update_without_an_address_keeps_the_known_address(town):
    signed_in = town.sign_up("alice", address="10.0.0.1")
    session_id = town.caller(signed_in.token).session_id
    town.wait(town.accounts.flush_last_seen())
    town.accounts.touch_session(session_id, "10.0.0.2")
    town.accounts.touch_session(session_id)
    town.wait(town.accounts.flush_last_seen())
    town.accounts.touch_session(session_id)
    town.wait(town.accounts.flush_last_seen())
    assert town.write(lambda db: db.execute(select(UserSession.address)).scalar_one()) == "10.0.0.2"
