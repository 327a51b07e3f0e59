"""A client's paused work: one timer for all of it, in slices, and in its order."""

import pytest

from realtime_kv.concurrency.pauses import Pauses
from realtime_kv.concurrency.time_slices import SHARE_SECONDS, TimeSlices


class Loop:
    """A runtime whose time passes when the test says so."""

    def __init__(self):
        self.now, self.timers = 0.0, []

    def call_later(self, seconds, fn):
        self.timers.append((self.now + seconds, fn))

    def run_until(self, now):
        self.now = now
        while due := [timer for timer in self.timers if timer[0] <= now]:
            for timer in due:
                self.timers.remove(timer)
                timer[1]()


class Client:
    """Work that uses time, and is overdue until `free_at`."""

    def __init__(self, loop):
        self.loop, self.slices = loop, TimeSlices(loop)
        self.pauses, self.free_at, self.done, self.checks = Pauses(loop), 0.0, [], 0

    def overdue(self):
        self.checks += 1
        return max(0.0, self.free_at - self.loop.now)

    def work(self, name, seconds=0.0, pause=0.0):
        def go_on():
            self.done.append(name)
            self.slices.use("payer", seconds)
            self.free_at = self.loop.now + pause

        self.pauses.wait("client", self.free_at - self.loop.now, self.slices, "payer", self.overdue, go_on)


@pytest.fixture
def client():
    return Client(Loop())


def test_all_work_of_a_paused_client_has_one_timer_and_keeps_its_order(client):
    client.free_at = 5.0
    for n in range(200):
        client.work(n)
    assert len(client.loop.timers) == 1
    client.loop.run_until(4.9)
    assert client.done == []
    client.loop.run_until(5.0)
    assert client.done == list(range(200)) and client.loop.timers == []


def test_client_that_has_to_pause_again_costs_one_check_for_all_its_work(client):
    client.free_at = 1.0
    for n in range(200):
        client.work(n, pause=1.0)
    for second in range(1, 6):
        client.checks = 0
        client.loop.run_until(float(second))
        # each second one goes on, and the next one finds that it has to wait
        assert client.done == list(range(second)) and client.checks == 2


def test_resumed_work_waits_for_its_turn(client):
    client.free_at = 1.0
    for n in range(3):
        client.work(n, seconds=SHARE_SECONDS)
    others = []
    client.loop.call_later(1.0, lambda: client.slices.wait("other", lambda: others.append(list(client.done))))
    client.loop.run_until(1.0)
    # the other client was served after one share, not after all three
    assert client.done == [0, 1, 2] and len(others) == 1 and len(others[0]) <= 1


def test_work_that_fails_does_not_keep_the_rest_waiting(client):
    client.free_at = 1.0

    def fail():
        raise RuntimeError

    client.pauses.wait("client", 1.0, client.slices, "payer", client.overdue, fail)
    client.work("next")
    with pytest.raises(RuntimeError):
        client.loop.run_until(1.0)
    client.loop.run_until(1.0)
    assert client.done == ["next"]
