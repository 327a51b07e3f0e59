"""Time budgets of users: one user's use neither reduces another's budget nor what each credential has for itself."""

import pytest

from realtime_kv.concurrency.time_budget import UserTime

COMMON = 0.4


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def times(clock):
    return UserTime(clock, share=0.1, burst_seconds=0.1, own_share=0.02, own_burst_seconds=0.02, common_share=COMMON)


def got_by(times, clock, callers, seconds):
    """Let these users and credentials use as much as they may, by pieces of 1 ms; return the part that each one got."""
    end, got = clock.now + seconds, dict.fromkeys(callers, 0.0)
    while clock.now < end:
        for user, credential in callers:
            if not times.overdue(user, credential):
                times.charge(user, credential, 0.001)
                got[user, credential] += 0.001
        clock.now += 0.001
    return {caller: part / seconds for caller, part in got.items()}


def test_each_user_gets_a_whole_share_while_few_exceed_theirs(times, clock):
    few = [(user, user) for user in range(3)]
    got_by(times, clock, few, 10.0)
    assert got_by(times, clock, few, 10.0) == {caller: pytest.approx(0.1, rel=0.1) for caller in few}
    # and somebody new has a burst for themselves
    assert times.charge(99, 99, 0.02) == 0.0


def test_busy_users_share_equally_and_take_no_more_than_the_common_share(times, clock):
    crowd = [(user, user) for user in range(10)]
    got_by(times, clock, crowd, 10.0)
    got = got_by(times, clock, crowd, 10.0)
    assert sum(got.values()) <= 1.1 * COMMON
    assert min(got.values()) >= 0.9 * COMMON / 10


def test_a_crowd_cannot_use_up_the_time_of_another_user(times, clock):
    crowd = [(user, user) for user in range(9)]
    got_by(times, clock, crowd, 10.0)
    got = got_by(times, clock, [*crowd, ("late", "late")], 10.0)
    assert got["late", "late"] >= 0.9 * COMMON / 10
    # and afterwards nobody is busy any more
    clock.now += 10
    times.charge("calm", "calm", 0.001)
    assert not times._busy


def test_each_credential_keeps_its_own_part_in_a_crowd(times, clock):
    crowd = [(user, user) for user in range(100)]
    got_by(times, clock, crowd, 10.0)
    assert min(got_by(times, clock, crowd, 10.0).values()) >= 0.9 * 0.02


def test_a_credential_has_its_own_part_beside_a_flood_of_the_same_user(times, clock):
    got_by(times, clock, [(1, 1)], 10.0)
    got = got_by(times, clock, [(1, 1), (1, 2)], 10.0)
    assert got[1, 2] >= 0.9 * 0.02
