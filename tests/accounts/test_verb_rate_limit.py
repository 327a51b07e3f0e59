"""The rate limiter of verbs."""

import time
import timeit

import pytest

from realtime_kv.accounts import verb_rate_limit
from realtime_kv.accounts.verb_rate_limit import VerbRateLimiter
from realtime_kv.caller import Caller
from realtime_kv.errors import RateLimited


class Clock:
    now = 5_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def session(user, id=None):
    """Return a session of this user, by default their only one."""
    id = user if id is None else id
    return Caller(user, "someone", False, 0, id, f"s{id}", "A test", "socket")


def token(user, id, *, scope="write", prefix=None):
    return Caller(user, "someone", False, 0, id, f"t{id}", "A program", "http", "token", scope, prefix)


def test_processor_time_is_limited_per_user_with_a_share_for_each_credential(clock):
    limit = VerbRateLimiter(100, clock)
    flood, owner = session(1, id=1), session(1, id=2)
    burst = verb_rate_limit.OWN_TIME_BURST_SECONDS
    assert not limit.used(flood, 0.9 * burst) and limit.pause(flood) == 0.0
    assert limit.used(flood, 0.1) and limit.pause(flood) > 0.25
    # the user's other session continues, up to its own share
    assert limit.pause(owner) == 0.0
    assert not limit.used(owner, burst * 0.9) and limit.pause(owner) == 0.0
    assert limit.used(owner, 0.1) and limit.pause(owner) > 0.0
    assert limit.pause(session(2, id=3)) == 0.0


def test_the_processor_time_of_a_large_request_is_charged(clock):
    limit = VerbRateLimiter(1000, clock)
    with limit.timed(session(1)):
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
    assert calls(VerbRateLimiter(1000, clock), 1)[0] - calls(limit, 1)[0] >= 500


def calls(limit, user, most=1_000_000):
    """Return the number of verbs until one is refused, and its `retry_after`."""
    caller = session(user) if isinstance(user, int) else user
    for n in range(most):
        try:
            limit.verb(caller)
        except RateLimited as refusal:
            return n, refusal.extra["retry_after"]
    return most, None


def test_the_burst_is_ten_seconds_of_the_rate_and_refills_at_the_rate(clock):
    limit = VerbRateLimiter(2000, clock)
    assert calls(limit, 1) == (20_000, 1)
    for _ in range(3):
        clock.now += 1_000
        assert calls(limit, 1) == (2_000, 1)
    clock.now += 3_600_000
    assert calls(limit, 1) == (20_000, 1)


@pytest.mark.parametrize("rate", [1, 7, 49, 50, 99, 100, 333, 2000, 12_345])
def test_the_effective_rate_matches_the_configured_rate(clock, rate):
    limit = VerbRateLimiter(rate, clock)
    assert calls(limit, 1)[0] == pytest.approx(10 * rate, rel=0.1)
    clock.now += 100_000
    calls(limit, 1)
    taken = 0
    for _ in range(60):
        clock.now += 1_000
        taken += calls(limit, 1)[0]
    assert taken / 60 == pytest.approx(rate, rel=0.05)


def test_each_user_has_an_independent_budget(clock):
    limit = VerbRateLimiter(10, clock)
    calls(limit, 1)
    assert calls(limit, 2)[0] == 100


def test_a_batch_is_charged_by_its_number_of_ops(clock):
    limit = VerbRateLimiter(100, clock)
    for _ in range(7):
        limit.verb(session(1), 128)
    with pytest.raises(RateLimited):
        limit.verb(session(1), 128)
    clock.now += 1_000
    limit.verb(session(1), 128)


def test_the_largest_batch_eventually_succeeds_at_the_lowest_rate(clock):
    limit = VerbRateLimiter(1, clock)
    for _ in range(200):
        try:
            limit.verb(session(1), 128)
            break
        except RateLimited as refusal:
            clock.now += 1_000 * refusal.extra["retry_after"]
    assert clock.now - Clock.now == pytest.approx(118_000, abs=2_000)


def test_a_refused_verb_consumes_no_budget(clock):
    limit = VerbRateLimiter(100, clock)
    calls(limit, 1)
    for _ in range(1_000):
        with pytest.raises(RateLimited):
            limit.verb(session(1))
    clock.now += 1_000
    assert calls(limit, 1)[0] == 100


def test_the_limiter_state_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(verb_rate_limit, "SIZE", 100)
    limit = VerbRateLimiter(100, clock)
    for user in range(1_000):
        limit.verb(session(user))
    assert len(limit._paid) <= 101
    assert len(limit._budgets) <= 100


def test_the_limiter_adds_less_than_two_microseconds_to_a_verb():
    limit = VerbRateLimiter(10**9)
    caller = session(1)
    spent = min(timeit.repeat(lambda: limit.verb(caller), number=10_000, repeat=20)) / 10_000
    # some 0.1 µs; a whole verb costs some 25
    assert spent < 2e-6


def test_tokens_cannot_exhaust_the_budget_of_a_session(clock):
    limit = VerbRateLimiter(2000, clock)
    flood = [token(1, id, prefix="public/") for id in range(10, 20)] + [token(1, id) for id in range(20, 30)]
    for program in flood:
        calls(limit, program)
    assert calls(limit, session(1))[0] >= 10_000
    # and while the flood continues, the refilled budget goes to the session first
    for _ in range(5):
        clock.now += 1_000
        for program in flood:
            calls(limit, program)
        assert calls(limit, session(1))[0] >= 1_000


def test_a_limited_token_has_half_the_rate_and_leaves_budget_for_other_tokens(clock):
    limit = VerbRateLimiter(2000, clock)
    banner, payroll = token(1, 10, scope="read"), token(1, 11)
    assert calls(limit, banner)[0] < 7_000
    for _ in range(8):
        clock.now += 1_000
        spent = calls(limit, banner)[0]
    assert spent == 1_000
    assert calls(limit, payroll)[0] >= 5_000


def test_a_stolen_session_cannot_exhaust_the_budget_of_another_session(clock):
    limit = VerbRateLimiter(2000, clock)
    calls(limit, session(1, 10))
    assert calls(limit, session(1, 11))[0] >= 5_000
    for _ in range(5):
        clock.now += 1_000
        calls(limit, session(1, 10))
        assert calls(limit, session(1, 11))[0] >= 900


def test_debt_from_an_expensive_verb_delays_the_next_one(clock):
    limit = VerbRateLimiter(100, clock)
    caller = session(1)
    limit.verb(caller)
    assert limit.charge(caller, 500) == 0
    owed = limit.charge(caller, 800)
    assert owed >= 3
    with pytest.raises(RateLimited) as refused:
        limit.verb(caller)
    clock.now += 1_000 * refused.value.extra["retry_after"]
    limit.verb(caller)


def test_every_refusal_is_reported_with_its_caller(clock):
    told = []
    limit = VerbRateLimiter(10, clock, told.append)
    calls(limit, 1)
    assert [caller.session for caller in told] == ["s1"]
