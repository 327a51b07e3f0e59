import pyotp
import pytest
from sqlalchemy import select, update

from realtime_kv.accounts import rate_limits
from realtime_kv.accounts.credentials import one_time_tokens, sessions, totp
from realtime_kv.errors import (
    BadRequest,
    Forbidden,
    InvalidCode,
    InvalidCredentials,
    LinkExpired,
    PasswordChangeNeeded,
    RateLimited,
    SecondStepNeeded,
    Unauthenticated,
)
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import User, UserSession

PASSWORD = "correct horse battery"
HERE = ClientInfo("curl", "10.0.0.1")


class Phone:
    """An authenticator app."""

    def __init__(self, town, secret):
        self.town, self.totp = town, pyotp.TOTP(secret)

    def code(self, steps=0):
        return self.totp.at(self.town.clock.now // 1000 + 30 * steps)

    def fresh_code(self):
        """Return the next code that was not shown before."""
        self.town.clock.now += totp.STEP
        return self.code()


def switch_on(town, signed_in):
    caller = town.caller(signed_in.token)
    phone = Phone(town, town.wait(town.accounts.two_step.begin(caller, PASSWORD)).secret)
    return phone, town.wait(town.accounts.two_step.confirm(caller, phone.code()))


def first_step(town, address="10.0.0.1"):
    with pytest.raises(SecondStepNeeded) as owed:
        town.sign_in("alice", address=address)
    return owed.value.extra["ticket"]


def second_step(town, ticket, code, visit=HERE):
    return town.wait(town.accounts.access.second_step(ticket, code, visit))


@pytest.fixture
def alice(town):
    return town.sign_up("alice")


@pytest.fixture
def phone(town, alice):
    return switch_on(town, alice)[0]


def test_two_step_sign_in_is_off_until_a_code_confirms_the_secret(town, alice):
    caller, two_step = town.caller(alice.token), town.accounts.two_step
    with pytest.raises(InvalidCode):
        town.wait(two_step.confirm(caller, "123456"))
    begun = town.wait(two_step.begin(caller, PASSWORD))
    assert begun.uri.startswith("otpauth://totp/realtime_kv:alice?secret=" + begun.secret)
    assert begun.qr_svg.startswith("<svg") and "style=" not in begun.qr_svg
    town.sign_in("alice")
    for wrong in ["", "123", "abcdef", "\ud800", Phone(town, begun.secret).code(50)]:
        with pytest.raises(InvalidCode):
            town.wait(two_step.confirm(caller, wrong))
    town.sign_in("alice")
    assert not town.wait(town.accounts.own.profile(caller)).two_step


def test_switching_on_or_off_renews_this_sessions_token_and_keeps_the_others(town, alice):
    other = town.sign_in("alice")
    _, on = switch_on(town, alice)
    off = town.wait(town.accounts.two_step.end(town.caller(on.token), PASSWORD))
    assert [end.reason for end in town.ended] == ["password_changed"] * 2
    for token in (alice.token, on.token):
        with pytest.raises(Unauthenticated):
            town.caller(token)
    assert town.caller(off.token) and town.caller(other.token)
    assert town.sign_in("alice")


def test_signing_in_takes_the_password_and_a_code(town, phone):
    ticket = first_step(town)
    assert second_step(town, ticket, phone.fresh_code()).user.username == "alice"
    with pytest.raises(LinkExpired):
        second_step(town, ticket, phone.fresh_code())


def test_a_code_is_accepted_once(town, phone):
    with pytest.raises(InvalidCode):
        second_step(town, first_step(town), phone.code())
    code = phone.fresh_code()
    second_step(town, first_step(town), code)
    with pytest.raises(InvalidCode):
        second_step(town, first_step(town), code)


def test_a_code_may_be_off_by_one_time_step_and_no_more(town, phone):
    town.clock.now += 10 * totp.STEP
    for steps in (-2, 2):
        with pytest.raises(InvalidCode):
            second_step(town, first_step(town), phone.code(steps))
    for steps in (-1, 1):
        second_step(town, first_step(town), phone.code(steps))


def test_a_recovery_code_is_accepted_once_as_the_second_step(town, alice, phone):
    assert second_step(town, first_step(town), alice.codes[0])
    with pytest.raises(InvalidCode):
        second_step(town, first_step(town), alice.codes[0])


def test_a_ticket_is_invalid_after_five_wrong_codes(town, phone):
    ticket = first_step(town)
    for n in range(one_time_tokens.MAX_TRIES):
        with pytest.raises(InvalidCode):
            second_step(town, ticket, "000000", ClientInfo("curl", f"10.4.0.{n}"))
    with pytest.raises(LinkExpired):
        second_step(town, ticket, phone.fresh_code())


def test_code_guesses_with_the_password_from_many_networks_are_rate_limited(town, alice, phone):
    for n in range(rate_limits.FREE_CODES):
        address = f"10.4.0.{n}"
        with pytest.raises(InvalidCode):
            second_step(town, first_step(town, address), "000000", ClientInfo("curl", address))
    ticket = first_step(town, "10.5.0.1")
    with pytest.raises(RateLimited):
        second_step(town, ticket, "0 0 0 0 0 0", ClientInfo("curl", "10.5.0.1"))
    assert second_step(town, ticket, alice.codes[0], ClientInfo("curl", "10.5.0.1"))


def test_tickets_without_a_completed_second_step_are_rate_limited(town, phone):
    for _ in range(rate_limits.FREE_ATTEMPTS):
        first_step(town)
    with pytest.raises(RateLimited):
        town.sign_in("alice", address="10.0.0.1")


def test_successful_sign_ins_are_never_rate_limited(town, phone):
    for _ in range(rate_limits.FREE_ATTEMPTS * 3):
        second_step(town, first_step(town), phone.fresh_code())


def test_a_ticket_expires_after_minutes_and_on_a_password_change(town, alice, phone):
    ticket = first_step(town)
    town.clock.now += one_time_tokens.LIFETIMES["second_step"]
    with pytest.raises(LinkExpired):
        second_step(town, ticket, phone.code())
    ticket = first_step(town)
    town.wait(town.accounts.recovery.by_code("alice", alice.codes[0], "another good password", HERE))
    with pytest.raises(LinkExpired):
        second_step(town, ticket, phone.fresh_code())


def test_sign_in_after_password_recovery_requires_the_second_step(town, alice, phone):
    town.wait(town.accounts.recovery.by_code("alice", alice.codes[0], "another good password", HERE))
    with pytest.raises(SecondStepNeeded):
        town.sign_in("alice", "another good password")


def test_a_temporary_password_requires_the_second_step_before_its_change(town, phone):
    town.write(lambda db: db.execute(update(User).values(must_change_password=True)) and None)
    ticket = first_step(town)
    with pytest.raises(PasswordChangeNeeded):
        second_step(town, ticket, phone.fresh_code())


def test_the_second_step_honours_the_requested_session_lifetime(town, phone):
    town.wait(town.accounts.access.second_step(first_step(town), phone.fresh_code(), HERE, kept=False))
    newest = select(UserSession.limit_at - UserSession.created_at).order_by(UserSession.id.desc()).limit(1)
    assert town.write(lambda db: db.execute(newest).scalar_one()) == sessions.DAY


def test_enrolment_makes_new_recovery_codes_if_none_are_left(town, alice):
    caller = town.caller(alice.token)
    for code in alice.codes:
        town.wait(town.accounts.recovery.by_code("alice", code, PASSWORD, HERE))
    signed_in = town.sign_in("alice")
    caller = town.caller(signed_in.token)
    assert town.wait(town.accounts.own.profile(caller)).codes_left == 0
    _, on = switch_on(town, signed_in)
    assert len(on.codes) == 10
    assert second_step(town, first_step(town), on.codes[0])


def test_enrolment_keeps_the_remaining_recovery_codes(town, alice):
    assert switch_on(town, alice)[1].codes == ()


def test_enrolment_and_removal_require_the_password_and_a_session(town, alice):
    caller, two_step = town.caller(alice.token), town.accounts.two_step
    made = town.wait(town.accounts.tokens.create(caller, "script", "write", None, None, ClientInfo()))
    for call in (two_step.begin, two_step.end):
        with pytest.raises(InvalidCredentials):
            town.wait(call(caller, "wrong wrong wrong"))
        with pytest.raises(Forbidden):
            town.wait(call(town.caller(made.token), PASSWORD))
    with pytest.raises(Forbidden):
        town.wait(two_step.confirm(town.caller(made.token), "123456"))


def test_enrolment_is_refused_while_two_step_sign_in_is_on(town, alice):
    phone, on = switch_on(town, alice)
    with pytest.raises(BadRequest):
        town.wait(town.accounts.two_step.begin(town.caller(on.token), PASSWORD))
    assert second_step(town, first_step(town), phone.fresh_code())


def test_a_superuser_cannot_switch_off_required_two_step_sign_in(found):
    town = found(admin_two_step=True)
    town.sign_up("alice")
    town.write(lambda db: db.execute(update(User).values(is_admin=True)) and None)
    _, on = switch_on(town, town.sign_in("alice"))
    with pytest.raises(Forbidden):
        town.wait(town.accounts.two_step.end(town.caller(on.token), PASSWORD))
    first_step(town)


def test_the_log_distinguishes_recovery_code_and_authenticator_sign_ins(town, alice):
    phone, _ = switch_on(town, alice)
    second_step(town, first_step(town), phone.fresh_code())
    signed_in = second_step(town, first_step(town), alice.codes[0])
    events = town.wait(town.accounts.own.events(town.caller(signed_in.token)))
    assert [event.detail for event in events if event.action == "sign_in"] == [{"with": "a recovery code"}, {}]
