import pytest
from sqlalchemy import select, update

from realtime_kv.accounts import limits, sessions
from realtime_kv.accounts.visit import Visit
from realtime_kv.core.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidPassword,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from realtime_kv.core.models import User, UserSession

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


def test_sessions_are_shown_this_one_first_and_then_the_last_used(town, alice):
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


def test_sessions_that_are_over_and_those_of_others_are_not_shown(town, alice):
    town.sign_up("bob")
    town.sign_out(town.sign_in("alice").token)
    short = town.sign_in("alice", kept=False)
    assert len(alice.sessions()) == 2
    town.clock.now = short.expires_at
    assert [session.current for session in alice.sessions()] == [True]


def test_one_session_is_ended_and_told_and_nobody_elses_can_be(town, alice):
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


def test_all_other_sessions_end_but_api_tokens_do_not(town, alice):
    phone, desk = town.sign_in("alice"), town.sign_in("alice")
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, Visit()))
    assert alice.end_other_sessions() == 2
    for token in (phone.token, desk.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    assert town.caller(made.token).kind == "token"
    assert alice.end_other_sessions() == 0


def test_a_changed_password_gives_this_session_a_new_token_and_ends_every_other(town, alice):
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
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, Visit()))
    alice.change_password(PASSWORD, NEW)
    assert town.caller(made.token).kind == "token"


@pytest.mark.parametrize("kept", [True, False])
def test_the_new_session_is_kept_as_long_as_the_old_one_would_have_been(town, alice, kept):
    person = Person(town, town.sign_in("alice", kept=kept))
    begun = person.change_password(PASSWORD, NEW)
    assert begun.kept is kept
    assert begun.limit_at == town.clock.now + (30 * DAY if kept else DAY)


def test_a_new_password_has_to_be_a_good_one_and_a_wrong_one_changes_nothing(town, alice):
    for new in ["short", "password", "alicealice", "\ud800" * 8]:
        with pytest.raises(InvalidPassword):
            alice.change_password(PASSWORD, new)
    for wrong in ["wrong wrong wrong", "", "\ud800" * 8]:
        with pytest.raises(InvalidCredentials):
            alice.change_password(wrong, NEW)
    assert town.caller(alice.signed_in.token) and town.sign_in("alice")
    assert "password_refused" in actions(alice)


def test_guessing_at_the_password_from_an_open_session_is_slowed_down(town, alice):
    for _ in range(limits.FREE):
        with pytest.raises(InvalidCredentials):
            alice.delete_account("wrong wrong wrong")
    with pytest.raises(RateLimited):
        alice.change_password(PASSWORD, NEW)
    other = Person(town, town.sign_in("alice"))
    other.change_password(PASSWORD, NEW)


def test_changes_of_an_account_have_a_rate_of_their_own_for_each_user(town, alice):
    bob = Person(town, town.sign_up("Bob"))
    for _ in range(limits.CHANGE.burst):
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
    town.clock.now += limits.CHANGE.interval
    alice.end_other_sessions()


def test_the_only_superuser_cannot_go(town, alice):
    bob = Person(town, town.sign_up("Bob"))
    town.write(lambda db: db.execute(update(User).where(User.username == "Alice").values(is_admin=True)))
    with pytest.raises(Forbidden) as refused:
        alice.delete_account(PASSWORD)
    assert refused.value.extra == {"needs": "another_superuser"}
    bob.delete_account(PASSWORD)
    town.sign_up("Carol")
    town.write(lambda db: db.execute(update(User).where(User.username == "Carol").values(is_admin=True)))
    alice.delete_account(PASSWORD)


def test_a_session_that_has_ended_can_do_nothing_any_more_even_with_the_password(town, alice):
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


def test_an_api_token_manages_nothing(town, alice):
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "write", None, None, Visit()))
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


def test_deleting_the_account_ends_everything_at_once_and_signing_in_restores_it(town, alice):
    made = town.wait(town.accounts.tokens.create(alice.caller, "script", "read", None, None, Visit()))
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


def test_after_its_days_a_deleted_account_is_answered_like_one_that_never_was(town, alice):
    alice.delete_account(PASSWORD)
    town.clock.now += 14 * DAY
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice")


def test_what_a_superuser_has_deleted_is_not_restored_by_signing_in(town, alice):
    town.write(lambda db: db.execute(update(User).values(deleted_at=town.clock.now, deleted_by="admin")) and None)
    with pytest.raises(InvalidCredentials):
        town.sign_in("alice")


def test_a_wrong_password_deletes_nothing(town, alice):
    with pytest.raises(InvalidCredentials):
        alice.delete_account(NEW)
    assert town.caller(alice.signed_in.token)


def test_users_see_what_was_done_to_their_account_and_to_no_other_page_by_page(town, alice):
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


def test_the_profile_tells_what_there_is(town, alice):
    profile = alice.profile()
    assert (profile.username, profile.email, profile.two_step, profile.codes_left) == ("Alice", None, False, 10)
    assert profile.password_changed_at is None and profile.notice is None
    person = Person(town, alice.change_password(PASSWORD, NEW))
    assert person.profile().password_changed_at == town.clock.now


# lifetime of sessions


def test_a_session_that_is_used_goes_on_and_one_that_is_not_idles_out(found):
    town = found(session_idle_days=2, session_days=5)
    used, idle = town.sign_up("alice"), town.sign_in("alice")
    for _ in range(3):
        town.clock.now += DAY
        town.caller(used.token)
        town.wait(town.accounts.note_seen())
    assert town.caller(used.token)
    with pytest.raises(Unauthenticated):
        town.caller(idle.token)
    town.wait(town.accounts.end_expired())
    assert [end.reason for end in town.ended] == ["expired"]


def test_no_use_carries_a_session_beyond_its_limit(found):
    town = found(session_idle_days=2, session_days=5)
    signed_in = town.sign_up("alice")
    for _ in range(9):
        town.clock.now += DAY // 2
        town.caller(signed_in.token)
        town.wait(town.accounts.note_seen())
    town.clock.now += DAY // 2
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_a_session_that_has_run_out_is_not_brought_back_by_a_tab_that_is_still_there(found):
    town = found(session_idle_days=2)
    signed_in = town.sign_up("alice")
    session_id = town.caller(signed_in.token).session_id
    town.wait(town.accounts.note_seen())
    town.clock.now += 2 * DAY
    town.accounts.saw(session_id)
    town.wait(town.accounts.note_seen())
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_a_session_that_is_not_to_be_kept_lasts_a_day_however_much_it_is_used(town):
    town.sign_up("alice")
    signed_in = town.sign_in("alice", kept=False)
    town.clock.now += DAY - 1
    town.caller(signed_in.token)
    town.wait(town.accounts.note_seen())
    assert town.caller(signed_in.token)
    town.clock.now += 1
    with pytest.raises(Unauthenticated):
        town.caller(signed_in.token)


def test_who_was_seen_last_is_written_down_at_the_stop(town):
    signed_in = town.sign_up("alice")
    town.clock.now += 1000
    town.caller(signed_in.token)
    town.accounts.stop()
    assert town.write(lambda db: db.execute(select(UserSession.last_seen_at)).scalar_one()) == town.clock.now


def test_being_seen_without_an_address_keeps_the_one_that_was_there(town):
    signed_in = town.sign_up("alice", address="10.0.0.1")
    session_id = town.caller(signed_in.token).session_id
    town.wait(town.accounts.note_seen())
    town.accounts.saw(session_id, "10.0.0.2")
    town.accounts.saw(session_id)
    town.wait(town.accounts.note_seen())
    town.accounts.saw(session_id)
    town.wait(town.accounts.note_seen())
    assert town.write(lambda db: db.execute(select(UserSession.address)).scalar_one()) == "10.0.0.2"
