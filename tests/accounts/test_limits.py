import pytest

from realtime_kv.accounts import limits
from realtime_kv.accounts.limits import Buckets, Delays, Limits, Rate
from realtime_kv.core.errors import RateLimited


class Clock:
    now = 1_800_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def drain(attempt, times):
    for _ in range(times):
        attempt()


def test_a_bucket_gives_its_burst_at_once_and_then_one_each_interval():
    bucket = Buckets(Rate(3, 1000))
    for _ in range(3):
        assert bucket.wait("a", 0) == 0
        bucket.take("a", 0)
    assert bucket.wait("a", 0) == 1000
    assert bucket.wait("a", 400) == 600
    assert bucket.wait("a", 1000) == 0
    assert bucket.wait("b", 0) == 0


def test_buckets_forget_the_quietest_key_first_and_stay_bounded():
    bucket = Buckets(Rate(1, 1000), size=3)
    for key in ["a", "b", "c", "a", "d"]:
        bucket.take(key, 0)
    assert len(bucket) == 3
    assert bucket.wait("b", 0) == 0
    assert bucket.wait("a", 0) > 0


def waits(attempt):
    """Return the seconds that the next attempt has to wait; 0 for an accepted one."""
    try:
        attempt()
    except RateLimited as refused:
        return refused.extra["retry_after"]
    return 0


def test_a_few_guesses_at_a_name_are_free_and_then_each_waits_twice_as_long_up_to_15_minutes(clock):
    gate = Limits(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), limits.FREE)
    seen = []
    for _ in range(13):
        wait = waits(lambda: gate.sign_in("10.0.0.1", "alice"))
        seen.append(wait)
        clock.now += wait * 1000 - 1
        assert waits(lambda: gate.sign_in("10.0.0.1", "alice")) == 1
        clock.now += 1
        gate.sign_in("10.0.0.1", "alice")
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_after_a_quiet_hour_the_guesses_are_forgotten(clock):
    gate = Limits(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), limits.FREE)
    assert waits(lambda: gate.sign_in("10.0.0.1", "alice")) > 0
    clock.now += limits.QUIET
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), limits.FREE)


def test_no_stranger_keeps_the_owner_of_a_name_from_signing_in(clock):
    gate = Limits(clock)
    for network in range(2000):
        for _ in range(limits.FREE):
            waits(lambda network=network: gate.sign_in(f"10.1.{network // 256}.{network % 256}", "alice"))
    drain(lambda: gate.sign_in("192.0.2.7", "alice"), limits.FREE_UNDER_ATTACK)
    gate.signed_in("192.0.2.7", "alice")
    gate.sign_in("192.0.2.7", "alice")


def test_a_name_under_attack_leaves_each_network_fewer_free_guesses(clock):
    gate = Limits(clock)
    for network in range(limits.ATTACK.burst):
        gate.sign_in(f"10.1.0.{network}", "alice")
    drain(lambda: gate.sign_in("10.2.0.1", "alice"), limits.FREE_UNDER_ATTACK)
    assert waits(lambda: gate.sign_in("10.2.0.1", "alice")) == 1
    drain(lambda: gate.sign_in("10.2.0.1", "bob"), limits.FREE)
    clock.now += limits.ATTACK.burst * limits.ATTACK.interval
    drain(lambda: gate.sign_in("10.2.0.2", "alice"), limits.FREE)


def test_guessing_at_many_names_is_slowed_down_from_one_address(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_IN.burst):
        gate.sign_in("10.0.0.1", f"user{n}")
    assert waits(lambda: gate.sign_in("10.0.0.1", "another")) == 1
    gate.sign_in("10.0.0.2", "another")


def test_an_attempt_that_is_refused_costs_nothing(clock):
    gate = Limits(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), limits.FREE)
    assert [waits(lambda: gate.sign_in("10.0.0.1", "alice")) for _ in range(100)] == [1] * 100
    clock.now += 1000
    gate.sign_in("10.0.0.1", "alice")


def test_honest_attempts_are_given_back(clock):
    gate = Limits(clock)
    for _ in range(500):
        gate.sign_in("10.0.0.1", "alice")
        gate.signed_in("10.0.0.1", "alice")
        gate.recover("10.0.0.1", "alice")
        gate.recovered("10.0.0.1", "alice")
        gate.confirm(1)
        gate.confirmed(1)
        gate.second_step("10.0.0.1", 1, guessable=True)
        gate.second_step_done("10.0.0.1", 1)


def test_recovering_has_rates_of_its_own(clock):
    gate = Limits(clock)
    drain(lambda: gate.recover("10.0.0.1", "alice"), limits.FREE)
    assert waits(lambda: gate.recover("10.0.0.1", "alice")) == 1
    gate.recover("10.0.0.2", "alice")
    gate.sign_in("10.0.0.1", "alice")
    for _ in range(limits.RECOVER.burst - limits.FREE):
        gate.recover("10.0.0.1", None)
    assert waits(lambda: gate.recover("10.0.0.1", None)) == 6


def test_six_digits_are_guessed_slowly_from_however_many_networks_but_recovery_codes_always_have_a_try(clock):
    gate = Limits(clock)
    for network in range(limits.FREE_CODES):
        gate.second_step(f"10.0.0.{network}", 1, guessable=True)
    assert waits(lambda: gate.second_step("192.0.2.7", 1, guessable=True)) == 1
    gate.second_step("192.0.2.7", 1, guessable=False)
    gate.second_step("192.0.2.7", 2, guessable=True)


def test_saying_the_password_again_is_slowed_down_for_the_session_that_guesses(clock):
    gate = Limits(clock)
    drain(lambda: gate.confirm(1), limits.FREE)
    assert waits(lambda: gate.confirm(1)) == 1
    gate.confirm(2)


def test_mails_to_one_account_are_few(clock):
    gate = Limits(clock)
    assert [gate.may_mail("recovery", 1) for _ in range(4)] == [True, True, True, False]
    assert gate.may_mail("recovery", 2) and gate.may_mail("email", 1)
    clock.now += limits.MAIL.interval
    assert gate.may_mail("recovery", 1)


def test_delays_forget_the_quietest_key_first_and_stay_bounded():
    delays = Delays(size=3)
    for key in ["a", "b", "c", "a", "d"]:
        delays.take((key,), 0)
    assert len(delays) == 3
    assert delays.wait(("b",), 0, free=1) == 0
    assert delays.wait(("a",), 0, free=1) > 0


def test_signing_up_has_rates_of_its_own(clock):
    gate = Limits(clock)
    for _ in range(limits.SIGN_UP.burst):
        gate.sign_up("10.0.0.1")
    with pytest.raises(RateLimited):
        gate.sign_up("10.0.0.1")
    gate.sign_in("10.0.0.1", "alice")


def test_an_ipv6_client_is_its_whole_network_and_a_mapped_address_is_the_ipv4_one(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_UP.burst):
        gate.sign_up(f"2001:db8:0:1::{n:x}")
    with pytest.raises(RateLimited):
        gate.sign_up("2001:db8:0:1:ffff::1")
    gate.sign_up("2001:db8:0:2::1")
    for _ in range(limits.SIGN_UP.burst):
        gate.sign_up("::ffff:10.0.0.7")
    with pytest.raises(RateLimited):
        gate.sign_up("10.0.0.7")


@pytest.mark.parametrize(
    "attempt",
    [
        lambda gate, address, n: gate.sign_in(address, f"name{n}"),
        lambda gate, address, n: gate.sign_in(address, "alice"),
        lambda gate, address, n: gate.recover(address, f"name{n}"),
        lambda gate, address, n: gate.recover(address, "alice"),
        lambda gate, address, n: gate.second_step(address, n, guessable=True),
        lambda gate, address, n: gate.second_step(address, 1, guessable=False),
        lambda gate, address, n: gate.sign_up(address),
        lambda gate, address, n: gate.mail_elsewhere(address),
    ],
)
def test_every_limit_of_a_network_counts_the_addresses_of_one_together(clock, attempt):
    gate = Limits(clock)
    assert any(waits(lambda n=n: attempt(gate, f"2001:db8:0:1::{n:x}", n)) for n in range(200))
    # and a success gives back to the network of the user
    gate = Limits(clock)
    for n in range(200):
        gate.sign_in(f"2001:db8:0:1::{n:x}", "alice")
        gate.signed_in(f"[2001:db8:0:1::{n + 1:x}]:80", "alice")
        gate.recover(f"2001:db8:0:1::{n:x}", "alice")
        gate.recovered(f"2001:db8:0:1::{n + 1:x}", "alice")
        gate.second_step(f"2001:db8:0:1::{n:x}", 1, guessable=True)
        gate.second_step_done(f"2001:db8:0:1::{n + 1:x}", 1)


def test_failures_of_one_network_are_written_down_together(clock):
    gate = Limits(clock)
    assert sum(gate.may_note(f"2001:db8:0:1::{n:x}") for n in range(3000)) == limits.LASTING.burst


def test_switched_off_nothing_is_counted(clock):
    gate = Limits(clock, enabled=False)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), 1000)
    drain(lambda: gate.sign_up(""), 1000)


def test_what_leaves_rows_for_months_is_bounded_in_the_long_run(clock):
    gate, accepted, days = Limits(clock), 0, 2
    for _ in range(days * 24 * 60 * 6):
        clock.now += 10_000
        accepted += not waits(lambda: gate.change(7, 1))
    own = limits.OWN_CHANGES.burst + days * 24
    assert accepted <= limits.LASTING.burst + days * 24 * 60 + own + 1
    # another session can still end this one, which is not blocked for ever either
    assert [waits(lambda: gate.change(7, 2)) > 0 for _ in range(21)] == [False] * 20 + [True]
    assert not waits(lambda: gate.change(8, 3))
    clock.now += 60_000
    assert not waits(lambda: gate.change(7, 1))
    assert not waits(lambda: gate.enter(7))


def test_failures_about_nobody_are_written_down_as_long_as_there_are_few(clock):
    gate = Limits(clock)
    noted = sum(gate.may_note("10.0.0.1") for _ in range(5000))
    assert noted == limits.LASTING.burst
    assert gate.may_note("10.0.0.2")
    clock.now += 60_000
    assert gate.may_note("10.0.0.1")
