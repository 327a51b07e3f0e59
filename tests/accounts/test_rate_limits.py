import pytest

from realtime_kv.accounts import rate_limits
from realtime_kv.accounts.rate_limits import Backoff, Rate, RateLimiter, TokenBuckets
from realtime_kv.errors import RateLimited


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


def test_token_bucket_allows_its_burst_and_then_one_per_interval():
    bucket = TokenBuckets(Rate(3, 1000))
    for _ in range(3):
        assert bucket.wait("a", 0) == 0
        bucket.take("a", 0)
    assert bucket.wait("a", 0) == 1000
    assert bucket.wait("a", 400) == 600
    assert bucket.wait("a", 1000) == 0
    assert bucket.wait("b", 0) == 0


def test_token_buckets_evict_the_least_recently_used_key_and_stay_bounded():
    bucket = TokenBuckets(Rate(1, 1000), size=3)
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


def test_sign_in_delay_doubles_after_the_free_attempts_up_to_15_minutes(clock):
    gate = RateLimiter(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), rate_limits.FREE_ATTEMPTS)
    seen = []
    for _ in range(13):
        wait = waits(lambda: gate.sign_in("10.0.0.1", "alice"))
        seen.append(wait)
        clock.now += wait * 1000 - 1
        assert waits(lambda: gate.sign_in("10.0.0.1", "alice")) == 1
        clock.now += 1
        gate.sign_in("10.0.0.1", "alice")
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_sign_in_attempts_are_forgotten_after_a_quiet_hour(clock):
    gate = RateLimiter(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), rate_limits.FREE_ATTEMPTS)
    assert waits(lambda: gate.sign_in("10.0.0.1", "alice")) > 0
    clock.now += rate_limits.RESET_AFTER
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), rate_limits.FREE_ATTEMPTS)


def test_distributed_guessing_does_not_lock_out_the_account_owner(clock):
    gate = RateLimiter(clock)
    for network in range(2000):
        for _ in range(rate_limits.FREE_ATTEMPTS):
            waits(lambda network=network: gate.sign_in(f"10.1.{network // 256}.{network % 256}", "alice"))
    drain(lambda: gate.sign_in("192.0.2.7", "alice"), rate_limits.FREE_UNDER_ATTACK)
    gate.signed_in("192.0.2.7", "alice")
    gate.sign_in("192.0.2.7", "alice")


def test_each_network_gets_fewer_free_attempts_at_a_name_under_attack(clock):
    gate = RateLimiter(clock)
    for network in range(rate_limits.ATTACK.burst):
        gate.sign_in(f"10.1.0.{network}", "alice")
    drain(lambda: gate.sign_in("10.2.0.1", "alice"), rate_limits.FREE_UNDER_ATTACK)
    assert waits(lambda: gate.sign_in("10.2.0.1", "alice")) == 1
    drain(lambda: gate.sign_in("10.2.0.1", "bob"), rate_limits.FREE_ATTEMPTS)
    clock.now += rate_limits.ATTACK.burst * rate_limits.ATTACK.interval
    drain(lambda: gate.sign_in("10.2.0.2", "alice"), rate_limits.FREE_ATTEMPTS)


def test_guessing_at_many_names_from_one_address_is_throttled(clock):
    gate = RateLimiter(clock)
    for n in range(rate_limits.SIGN_IN.burst):
        gate.sign_in("10.0.0.1", f"user{n}")
    assert waits(lambda: gate.sign_in("10.0.0.1", "another")) == 1
    gate.sign_in("10.0.0.2", "another")


def test_refused_attempts_do_not_count(clock):
    gate = RateLimiter(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), rate_limits.FREE_ATTEMPTS)
    assert [waits(lambda: gate.sign_in("10.0.0.1", "alice")) for _ in range(100)] == [1] * 100
    clock.now += 1000
    gate.sign_in("10.0.0.1", "alice")


def test_successful_attempts_are_refunded(clock):
    gate = RateLimiter(clock)
    for _ in range(500):
        gate.sign_in("10.0.0.1", "alice")
        gate.signed_in("10.0.0.1", "alice")
        gate.recover("10.0.0.1", "alice")
        gate.recovered("10.0.0.1", "alice")
        gate.confirm(1)
        gate.confirmed(1)
        gate.second_step("10.0.0.1", 1, guessable=True)
        gate.second_step_done("10.0.0.1", 1)


def test_account_recovery_has_its_own_rate_limits(clock):
    gate = RateLimiter(clock)
    drain(lambda: gate.recover("10.0.0.1", "alice"), rate_limits.FREE_ATTEMPTS)
    assert waits(lambda: gate.recover("10.0.0.1", "alice")) == 1
    gate.recover("10.0.0.2", "alice")
    gate.sign_in("10.0.0.1", "alice")
    for _ in range(rate_limits.RECOVER.burst - rate_limits.FREE_ATTEMPTS):
        gate.recover("10.0.0.1", None)
    assert waits(lambda: gate.recover("10.0.0.1", None)) == 6


def test_totp_guesses_are_limited_per_account_without_blocking_recovery_codes(clock):
    gate = RateLimiter(clock)
    for network in range(rate_limits.FREE_CODES):
        gate.second_step(f"10.0.0.{network}", 1, guessable=True)
    assert waits(lambda: gate.second_step("192.0.2.7", 1, guessable=True)) == 1
    gate.second_step("192.0.2.7", 1, guessable=False)
    gate.second_step("192.0.2.7", 2, guessable=True)


def test_reauthentication_guesses_are_throttled_per_session(clock):
    gate = RateLimiter(clock)
    drain(lambda: gate.confirm(1), rate_limits.FREE_ATTEMPTS)
    assert waits(lambda: gate.confirm(1)) == 1
    gate.confirm(2)


def test_mail_is_rate_limited_per_account_and_kind(clock):
    gate = RateLimiter(clock)
    assert [gate.may_mail("recovery", 1) for _ in range(4)] == [True, True, True, False]
    assert gate.may_mail("recovery", 2) and gate.may_mail("email", 1)
    clock.now += rate_limits.MAIL.interval
    assert gate.may_mail("recovery", 1)


def test_delays_evict_the_least_recently_used_key_and_stay_bounded():
    delays = Backoff(size=3)
    for key in ["a", "b", "c", "a", "d"]:
        delays.take((key,), 0)
    assert len(delays) == 3
    assert delays.wait(("b",), 0, free=1) == 0
    assert delays.wait(("a",), 0, free=1) > 0


def test_sign_up_has_its_own_rate_limit(clock):
    gate = RateLimiter(clock)
    for _ in range(rate_limits.SIGN_UP.burst):
        gate.sign_up("10.0.0.1")
    with pytest.raises(RateLimited):
        gate.sign_up("10.0.0.1")
    gate.sign_in("10.0.0.1", "alice")


def test_ipv6_addresses_count_per_64_bit_network_and_mapped_ones_as_ipv4(clock):
    gate = RateLimiter(clock)
    for n in range(rate_limits.SIGN_UP.burst):
        gate.sign_up(f"2001:db8:0:1::{n:x}")
    with pytest.raises(RateLimited):
        gate.sign_up("2001:db8:0:1:ffff::1")
    gate.sign_up("2001:db8:0:2::1")
    for _ in range(rate_limits.SIGN_UP.burst):
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
def test_every_network_limit_counts_and_refunds_the_whole_ipv6_network(clock, attempt):
    gate = RateLimiter(clock)
    assert any(waits(lambda n=n: attempt(gate, f"2001:db8:0:1::{n:x}", n)) for n in range(200))
    # and a success gives back to the network of the user
    gate = RateLimiter(clock)
    for n in range(200):
        gate.sign_in(f"2001:db8:0:1::{n:x}", "alice")
        gate.signed_in(f"[2001:db8:0:1::{n + 1:x}]:80", "alice")
        gate.recover(f"2001:db8:0:1::{n:x}", "alice")
        gate.recovered(f"2001:db8:0:1::{n + 1:x}", "alice")
        gate.second_step(f"2001:db8:0:1::{n:x}", 1, guessable=True)
        gate.second_step_done(f"2001:db8:0:1::{n + 1:x}", 1)


def test_audit_entries_for_failures_are_limited_per_ipv6_network(clock):
    gate = RateLimiter(clock)
    assert sum(gate.may_note(f"2001:db8:0:1::{n:x}") for n in range(3000)) == rate_limits.LASTING.burst


def test_disabled_limits_refuse_no_attempt(clock):
    gate = RateLimiter(clock, enabled=False)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), 1000)
    drain(lambda: gate.sign_up(""), 1000)


def test_account_changes_are_bounded_long_term_and_each_session_keeps_a_few(clock):
    gate, accepted, days = RateLimiter(clock), 0, 2
    for _ in range(days * 24 * 60 * 6):
        clock.now += 10_000
        accepted += not waits(lambda: gate.change(7, 1))
    own = rate_limits.OWN_CHANGES.burst + days * 24
    assert accepted <= rate_limits.LASTING.burst + days * 24 * 60 + own + 1
    # another session can still end this one, which is not blocked for ever either
    assert [waits(lambda: gate.change(7, 2)) > 0 for _ in range(21)] == [False] * 20 + [True]
    assert not waits(lambda: gate.change(8, 3))
    clock.now += 60_000
    assert not waits(lambda: gate.change(7, 1))
    assert not waits(lambda: gate.enter(7))


def test_audit_entries_for_failures_without_an_account_are_rate_limited(clock):
    gate = RateLimiter(clock)
    noted = sum(gate.may_note("10.0.0.1") for _ in range(5000))
    assert noted == rate_limits.LASTING.burst
    assert gate.may_note("10.0.0.2")
    clock.now += 60_000
    assert gate.may_note("10.0.0.1")
