import pytest

from realtime_kv.accounts import limits
from realtime_kv.accounts.limits import Buckets, Limits, Rate
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


def test_guessing_at_one_name_is_slowed_down_from_any_address(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_IN_NAME.burst):
        gate.sign_in(f"10.0.0.{n}", "alice")
    with pytest.raises(RateLimited) as refused:
        gate.sign_in("10.0.1.1", "alice")
    assert refused.value.extra["retry_after"] == 6
    gate.sign_in("10.0.1.1", "bob")
    clock.now += 6000
    gate.sign_in("10.0.1.1", "alice")


def test_guessing_at_many_names_is_slowed_down_from_one_address(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_IN_ADDRESS.burst):
        gate.sign_in("10.0.0.1", f"user{n}")
    with pytest.raises(RateLimited) as refused:
        gate.sign_in("10.0.0.1", "another")
    assert refused.value.extra["retry_after"] == 1
    gate.sign_in("10.0.0.2", "another")


def test_an_attempt_that_is_refused_costs_nothing(clock):
    gate = Limits(clock)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), limits.SIGN_IN_NAME.burst)
    for _ in range(100):
        with pytest.raises(RateLimited):
            gate.sign_in("10.0.0.1", "alice")
    clock.now += 6000
    gate.sign_in("10.0.0.1", "alice")


def test_honest_attempts_are_given_back(clock):
    gate = Limits(clock)
    for _ in range(500):
        gate.sign_in("10.0.0.1", "alice")
        gate.signed_in("10.0.0.1", "alice")


def test_signing_up_has_rates_of_its_own(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_UP_ADDRESS.burst):
        gate.sign_up("10.0.0.1", f"user{n}")
    with pytest.raises(RateLimited):
        gate.sign_up("10.0.0.1", "one.more")
    gate.sign_in("10.0.0.1", "alice")


def test_an_ipv6_client_is_its_whole_network_and_a_mapped_address_is_the_ipv4_one(clock):
    gate = Limits(clock)
    for n in range(limits.SIGN_UP_ADDRESS.burst):
        gate.sign_up(f"2001:db8:0:1::{n:x}", None)
    with pytest.raises(RateLimited):
        gate.sign_up("2001:db8:0:1:ffff::1", None)
    gate.sign_up("2001:db8:0:2::1", None)
    for _ in range(limits.SIGN_UP_ADDRESS.burst):
        gate.sign_up("::ffff:10.0.0.7", None)
    with pytest.raises(RateLimited):
        gate.sign_up("10.0.0.7", None)


def test_switched_off_nothing_is_counted(clock):
    gate = Limits(clock, enabled=False)
    drain(lambda: gate.sign_in("10.0.0.1", "alice"), 1000)
    drain(lambda: gate.sign_up("", None), 1000)
