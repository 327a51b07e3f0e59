"""Order of clients in the passes of the event loop: counted, never timed."""

import pytest

from realtime_kv.concurrency.time_slices import (
    MAX_REMEMBERED,
    MIN_SHARE_SECONDS,
    PASS_SECONDS,
    ROUND_SECONDS,
    SHARE_SECONDS,
    SHARED,
    SHARED_ROUNDS,
    TimeSlices,
)


class Loop:
    """The part of a runtime that the slices use: calls in the next pass."""

    def __init__(self):
        self._due = []

    def call_later(self, seconds, fn):
        assert seconds == 0
        self._due.append(fn)

    def round(self):
        due, self._due = self._due, []
        for fn in due:
            fn()
        return bool(due)


class Work:
    """A client with work that takes a while, done as long as it has a turn."""

    def __init__(self, slices, name, pieces, seconds, done):
        self.slices, self.name, self.pieces, self.seconds, self.done = slices, name, pieces, seconds, done

    def __call__(self):
        left = self.slices.left(self.name)
        while self.pieces and left > 0:
            self.pieces -= 1
            left -= self.seconds
            self.slices.use(self.name, self.seconds)
            self.done.append(self.name)
        if self.pieces:
            self.slices.wait(self.name, self)


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def slices(loop):
    return TimeSlices(loop)


def test_burst_of_one_client_is_spread_over_passes(loop, slices):
    done = []
    Work(slices, "flood", 100, SHARE_SECONDS / 10, done)()
    assert len(done) == 10
    loop.round()
    Work(slices, "home", 1, SHARE_SECONDS / 10, done)()
    loop.round()
    assert done.index("home") == 20


def test_connections_of_one_client_share_its_time_in_a_round(loop, slices):
    done = []
    for _ in range(200):
        Work(slices, "flood", 5, SHARE_SECONDS / 10, done)()
    Work(slices, "home", 1, SHARE_SECONDS / 10, done)()
    before = len(done)
    loop.round()
    assert done.index("home") <= 11
    assert len(done) - before <= 11


def test_burst_of_many_clients_is_spread_over_passes(loop, slices):
    done = []
    for n in range(50):
        Work(slices, n, 100, SHARE_SECONDS / 10, done)()
    # the pass is used up: the remaining clients wait, and so does a new one
    assert len(done) <= 11
    loop.round()
    Work(slices, "home", 1, SHARE_SECONDS / 10, done)()
    assert "home" not in done
    # it precedes the clients that wait for their next share
    before = len(done)
    while "home" not in done:
        assert loop.round()
    assert done.index("home") - before <= 50
    while loop.round():
        pass
    assert slices.left("home") and len(done) == 50 * 100 + 1


def test_a_client_that_used_nothing_lately_does_not_wait_for_the_round(loop, slices):
    done = []
    for n in range(100):
        slices.use(n, SHARE_SECONDS)
        Work(slices, n, 10_000, MIN_SHARE_SECONDS, done)()
    while not done:
        assert loop.round()
    for name in ("first", "second"):
        Work(slices, name, 1, MIN_SHARE_SECONDS, done)()
    before = len(done)
    loop.round()
    assert done[before : before + 2] == ["first", "second"]


def test_a_stream_of_new_clients_does_not_starve_those_that_wait(loop, slices):
    done = []
    slices.use("waiting", SHARE_SECONDS)
    Work(slices, "waiting", 1, SHARE_SECONDS, done)()
    for n in range(500):
        for i in range(5):
            # more than a pass of new work in each pass
            Work(slices, (n, i), 1, PASS_SECONDS / 4, done)()
        loop.round()
    assert "waiting" in done


@pytest.mark.parametrize("clients", [10, 50, 1000])
def test_shares_shrink_with_many_clients_to_keep_rounds_short(loop, slices, clients):
    done = []
    for n in range(clients):
        slices.use(n, SHARE_SECONDS)
        Work(slices, n, 10_000, MIN_SHARE_SECONDS, done)()
    while not done:
        # what they took before anybody waited
        assert loop.round()
    for _ in range(3):
        began, served = len(done), set()
        while len(served) < clients:
            before = len(done)
            assert loop.round()
            served.update(done[before:])
            assert (len(done) - before) * MIN_SHARE_SECONDS <= PASS_SECONDS + SHARED * SHARE_SECONDS
        # everybody has a request in each round, however many they are; what was more than a share is made up for
        seconds = (len(done) - began) * MIN_SHARE_SECONDS
        assert seconds <= 2 * max(1.5 * ROUND_SECONDS, clients * MIN_SHARE_SECONDS)


def test_work_longer_than_a_share_is_deducted_from_later_rounds(loop, slices):
    done = []
    Work(slices, "dear", 3, 5 * SHARE_SECONDS, done)()
    rounds = []
    while loop.round():
        rounds.append(len(done))
    # one piece, then nothing for as long as its shares take to make up for it
    assert rounds[:10] == [1, 1, 1, 1, 2, 2, 2, 2, 2, 3] and done == ["dear"] * 3


def test_client_with_share_left_takes_a_whole_share_and_repays_it_later(loop, slices):
    done = []
    slices.use("busy", 0.9 * SHARE_SECONDS)
    Work(slices, "busy", 15, SHARE_SECONDS / 10, done)()
    assert len(done) == 10
    rounds = []
    while loop.round():
        rounds.append(len(done))
    # 1.9 shares were used: 0.9 of the next one are gone, too
    assert rounds == [15]


def test_waiting_work_keeps_its_order_and_precedes_new_work(loop, slices):
    served = []
    slices.use("flood", 1.5 * SHARE_SECONDS)
    for n in range(3):
        slices.wait("flood", lambda n=n: (served.append(n), slices.use("flood", SHARE_SECONDS)))
    assert slices.left("flood") == 0.0
    while loop.round():
        assert not (len(served) < 3 and slices.left("flood"))
    assert served == [0, 1, 2]


def test_no_round_is_scheduled_while_no_client_waits(loop, slices):
    slices.use("once", SHARE_SECONDS / 2)
    assert not loop.round()
    slices.use("once", SHARE_SECONDS)
    served = []
    slices.wait("once", lambda: served.append("once"))
    assert loop.round() and served == ["once"] and not loop.round()


def test_shares_are_a_quarter_while_several_clients_are_active(loop, slices):
    assert slices.left("flood") == SHARE_SECONDS
    slices.use("home", SHARE_SECONDS / 100)
    slices.use("flood", SHARE_SECONDS / 100)
    assert slices.left("flood") == SHARED * SHARE_SECONDS <= SHARE_SECONDS / 4
    # remembered for some rounds without the other one
    for n in range(SHARED_ROUNDS + 1):
        assert slices.share == SHARED * SHARE_SECONDS, n
        slices.wait("flood", lambda: slices.use("flood", SHARE_SECONDS / 100))
        loop.round()
    assert slices.share == SHARE_SECONDS
    slices.use("home", SHARE_SECONDS / 100)
    assert slices.share == SHARED * SHARE_SECONDS


def test_number_of_remembered_clients_is_bounded(slices):
    for n in range(2 * MAX_REMEMBERED):
        slices.use(n, SHARE_SECONDS / 2)
    assert len(slices._used) <= MAX_REMEMBERED
