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
def town(found):
    # no delays, so that only the budget can refuse
    return found(rate_limits=False, smtp_url="smtp://localhost")


@pytest.fixture
def alice(town):
    return town.sign_up("alice")


@pytest.fixture
def phone(town, alice):
    return switch_on(town, alice)[0]


def guess(town, times, visit=ELSEWHERE):
    """Send `times` wrong codes, five for each sign-in."""
    for done in range(times):
        if done % 5 == 0:
            ticket = first_step(town)
        with pytest.raises(InvalidCode):
            second_step(town, ticket, "000000", visit)


def spend(town, count, visit=ELSEWHERE):
    """Record failures as `guess` does, without the sign-ins around it."""

    def write(connection):
        user_id = connection.scalar(select(User.id))
        for _ in range(count):
            code_budget.record_failure(connection, user_id, visit.address, town.clock())

    town.write(write)


def wrong_codes(town):
    return town.write(lambda db: code_budget.of_user(db, db.scalar(select(User.id))).failures)


def refuse_codes(town, code, visit=HERE):
    """Return whether this right code is refused because there were too many wrong ones."""
    with pytest.raises(InvalidCode) as refusal:
        second_step(town, first_step(town), code, visit)
    return refusal.value.extra.get("needs") == "recovery_code"


def test_100_wrong_codes_block_authenticator_codes_but_not_recovery_codes(town, alice, phone):
    town.write(lambda db: db.execute(update(User).values(email="alice@example.org")))
    spend(town, 95)
    guess(town, 5)
    assert wrong_codes(town) == 100
    assert refuse_codes(town, phone.fresh_code())
    [mail] = town.mails
    assert mail["To"] == "alice@example.org" and "recovery codes" in mail.get_content()
    actions = town.write(lambda db: list(db.scalars(select(AuditRow.action))))
    assert actions.count("second_step_blocked") == 1 and actions.count("second_step_failed") == 5
    # the server did not check the refused code: with the budget reset, the next one is accepted
    assert second_step(town, first_step(town), alice.codes[0]).token
    assert wrong_codes(town) == 0
    assert second_step(town, first_step(town), phone.fresh_code()).token


def test_neither_time_nor_a_restart_nor_a_sign_in_elsewhere_renews_the_budget(town, found, phone):
    guess(town, 5)
    town.clock.now += 1000 * HOUR
    assert second_step(town, first_step(town), phone.fresh_code(), HERE).token
    assert wrong_codes(town) == 5
    town.accounts.stop()
    town.store.stop()
    again = found(rate_limits=False)
    assert wrong_codes(again) == 5


def test_a_right_code_resets_only_the_failures_of_its_own_network(town, phone):
    spend(town, 7, ELSEWHERE)
    guess(town, 2, HERE)
    assert second_step(town, first_step(town), phone.fresh_code(), HERE).token
    assert wrong_codes(town) == 7
    # an IPv6 client counts by its /64
    guess(town, 1, ClientInfo("curl", "2001:db8::1"))
    assert second_step(town, first_step(town), phone.fresh_code(), ClientInfo("curl", "2001:db8::2")).token
    assert wrong_codes(town) == 7


def test_wrong_recovery_codes_are_not_counted(town, phone):
    with pytest.raises(InvalidCode):
        second_step(town, first_step(town), "AAAAAA-AAAAAA-AAAAAA-AAAAAA")
    assert wrong_codes(town) == 0


@pytest.mark.parametrize("act", ["reset", "switch off", "superuser"])
def test_the_owner_and_a_superuser_reset_the_count(town, alice, phone, act):
    begun = second_step(town, first_step(town), phone.fresh_code())
    caller = town.caller(begun.token)
    spend(town, 100)
    assert town.wait(town.accounts.own.profile(caller)).wrong_codes == 100
    two_step = town.accounts.two_step
    if act == "reset":
        town.wait(two_step.reset_failures(caller, PASSWORD))
        assert second_step(town, first_step(town), phone.fresh_code()).token
    elif act == "switch off":
        town.wait(two_step.end(caller, PASSWORD))
    else:
        town.wait(town.accounts.administration.end_two_step(CLI, "alice"))
    assert wrong_codes(town) == 0


def test_too_many_wrong_codes_cancel_an_enrolment_and_spend_no_budget(town, alice):
    caller, two_step = town.caller(alice.token), town.accounts.two_step
    town.wait(two_step.begin(caller, PASSWORD))
    for _ in range(code_budget.MAX_ENROLMENT_FAILURES):
        with pytest.raises(InvalidCode):
            town.wait(two_step.confirm(caller, "000000"))
    assert town.write(lambda db: db.scalar(select(User.totp_secret))) is None
    assert wrong_codes(town) == 0
    # the owner starts again
    phone, _ = switch_on(town, alice)
    assert second_step(town, first_step(town), phone.fresh_code()).token
    assert town.write(lambda db: db.scalar(select(SecondStepFailures.count))) is None


def test_codes_sent_while_two_step_sign_in_is_off_spend_no_budget(town, alice):
    with pytest.raises(InvalidCode):
        town.wait(town.accounts.two_step.confirm(town.caller(alice.token), "123456"))
    assert wrong_codes(town) == 0
