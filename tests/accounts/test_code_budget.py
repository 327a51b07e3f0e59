"""The budget of wrong second-step codes: 100 in all, however long an attacker with the password waits."""

import pytest
from sqlalchemy import select, update

from realtime_kv.accounts.audit_log import CLI
from realtime_kv.accounts.credentials import code_budget
from realtime_kv.errors import InvalidCode
from realtime_kv.request.client_info import ClientInfo
from realtime_kv.storage.models import AuditRow, SecondStepFailures, User
from tests.accounts.test_two_factor import PASSWORD, first_step, second_step, switch_on

HERE, ELSEWHERE = ClientInfo("curl", "10.0.0.1"), ClientInfo("curl", "203.0.113.9")
HOUR = 60 * 60 * 1000


@pytest.fixture
def harness(make_harness):
    # no delays, so that only the budget can refuse
    return make_harness(rate_limits=False, smtp_url="smtp://localhost")


@pytest.fixture
def alice(harness):
    return harness.sign_up("alice")


@pytest.fixture
def phone(harness, alice):
    return switch_on(harness, alice)[0]


def guess(harness, times, visit=ELSEWHERE):
    """Send `times` wrong codes, five for each sign-in."""
    for done in range(times):
        if done % 5 == 0:
            ticket = first_step(harness)
        with pytest.raises(InvalidCode):
            second_step(harness, ticket, "000000", visit)


def spend(harness, count, visit=ELSEWHERE):
    """Record failures as `guess` does, without the sign-ins around it."""

    def write(connection):
        user_id = connection.scalar(select(User.id))
        for _ in range(count):
            code_budget.record_failure(connection, user_id, visit.address, harness.clock())

    harness.write(write)


def wrong_codes(harness):
    return harness.write(lambda db: code_budget.of_user(db, db.scalar(select(User.id))).failures)


def refuse_codes(harness, code, visit=HERE):
    """Return whether this right code is refused because there were too many wrong ones."""
    with pytest.raises(InvalidCode) as refusal:
        second_step(harness, first_step(harness), code, visit)
    return refusal.value.extra.get("needs") == "recovery_code"


def test_100_wrong_codes_block_authenticator_codes_but_not_recovery_codes(harness, alice, phone):
    harness.write(lambda db: db.execute(update(User).values(email="alice@example.org")))
    spend(harness, 95)
    guess(harness, 5)
    assert wrong_codes(harness) == 100
    assert refuse_codes(harness, phone.fresh_code())
    [mail] = harness.mails
    assert mail["To"] == "alice@example.org" and "recovery codes" in mail.get_content()
    actions = harness.write(lambda db: list(db.scalars(select(AuditRow.action))))
    assert actions.count("second_step_blocked") == 1 and actions.count("second_step_failed") == 5
    # the server did not check the refused code: with the budget reset, the next one is accepted
    assert second_step(harness, first_step(harness), alice.codes[0]).token
    assert wrong_codes(harness) == 0
    assert second_step(harness, first_step(harness), phone.fresh_code()).token


def test_neither_time_nor_a_restart_nor_a_sign_in_elsewhere_renews_the_budget(harness, make_harness, phone):
    guess(harness, 5)
    harness.clock.now += 1000 * HOUR
    assert second_step(harness, first_step(harness), phone.fresh_code(), HERE).token
    assert wrong_codes(harness) == 5
    harness.accounts.stop()
    harness.store.stop()
    again = make_harness(rate_limits=False)
    assert wrong_codes(again) == 5


def test_a_right_code_resets_only_the_failures_of_its_own_network(harness, phone):
    spend(harness, 7, ELSEWHERE)
    guess(harness, 2, HERE)
    assert second_step(harness, first_step(harness), phone.fresh_code(), HERE).token
    assert wrong_codes(harness) == 7
    # an IPv6 client counts by its /64
    guess(harness, 1, ClientInfo("curl", "2001:db8::1"))
    assert second_step(harness, first_step(harness), phone.fresh_code(), ClientInfo("curl", "2001:db8::2")).token
    assert wrong_codes(harness) == 7


def test_wrong_recovery_codes_are_not_counted(harness, phone):
    with pytest.raises(InvalidCode):
        second_step(harness, first_step(harness), "AAAAAA-AAAAAA-AAAAAA-AAAAAA")
    assert wrong_codes(harness) == 0


@pytest.mark.parametrize("act", ["reset", "switch off", "superuser"])
def test_the_owner_and_a_superuser_reset_the_count(harness, alice, phone, act):
    begun = second_step(harness, first_step(harness), phone.fresh_code())
    caller = harness.caller(begun.token)
    spend(harness, 100)
    assert harness.wait(harness.accounts.own.profile(caller)).wrong_codes == 100
    two_step = harness.accounts.two_step
    if act == "reset":
        harness.wait(two_step.reset_failures(caller, PASSWORD))
        assert second_step(harness, first_step(harness), phone.fresh_code()).token
    elif act == "switch off":
        harness.wait(two_step.end(caller, PASSWORD))
    else:
        harness.wait(harness.accounts.administration.end_two_step(CLI, "alice"))
    assert wrong_codes(harness) == 0


def test_too_many_wrong_codes_cancel_an_enrolment_and_spend_no_budget(harness, alice):
    caller, two_step = harness.caller(alice.token), harness.accounts.two_step
    harness.wait(two_step.begin(caller, PASSWORD))
    for _ in range(code_budget.MAX_ENROLMENT_FAILURES):
        with pytest.raises(InvalidCode):
            harness.wait(two_step.confirm(caller, "000000"))
    assert harness.write(lambda db: db.scalar(select(User.totp_secret))) is None
    assert wrong_codes(harness) == 0
    # the owner starts again
    phone, _ = switch_on(harness, alice)
    assert second_step(harness, first_step(harness), phone.fresh_code()).token
    assert harness.write(lambda db: db.scalar(select(SecondStepFailures.count))) is None


def test_codes_sent_while_two_step_sign_in_is_off_spend_no_budget(harness, alice):
    with pytest.raises(InvalidCode):
        harness.wait(harness.accounts.two_step.confirm(harness.caller(alice.token), "123456"))
    assert wrong_codes(harness) == 0
