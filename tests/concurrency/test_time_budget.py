"""Time budgets of users: what one credential leaves to another, and many users to the rest."""

import pytest

from realtime_kv.concurrency.time_budget import HEAVY_SECONDS, MAX_TOTAL_SHARE, UserTime


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def times(clock):
    return UserTime(clock, share=0.1, burst_seconds=0.1, own_share=0.02)


def used_by(times, clock, users, seconds):
    """Let these users use as much as they may for this long, by pieces of 1 ms; return the time that they got."""
    end, got = clock.now + seconds, 0.0
    while clock.now < end:
        for user in range(users):
            if not times.overdue(user, user):
                times.charge(user, user, 0.001)
                got += 0.001
        clock.now += 0.001
    return got / seconds


def test_one_user_gets_the_whole_share_of_a_user(times, clock):
    used_by(times, clock, 1, 10.0)
    assert used_by(times, clock, 1, 10.0) == pytest.approx(0.1, rel=0.1)


def test_users_over_their_budgets_have_a_bounded_share_together(times, clock):
    for users in (3, 10, 30):
        used_by(times, clock, users, 10.0)
        assert used_by(times, clock, users, 20.0) <= 1.3 * MAX_TOTAL_SHARE


def test_price_returns_to_one_once_the_heavy_users_have_stopped(times, clock):
    used_by(times, clock, 30, 10.0)
    # the longest debt, and then some
    clock.now += 10 + HEAVY_SECONDS
    used_by(times, clock, 1, 10.0)
    assert used_by(times, clock, 1, 10.0) == pytest.approx(0.1, rel=0.1)
