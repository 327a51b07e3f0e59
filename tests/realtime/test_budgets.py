"""Budgets of frames and of unauthenticated work, with a clock that the tests set."""

from types import SimpleNamespace

import pytest

from realtime_kv.concurrency import time_budget
from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.concurrency.time_slices import SHARE_SECONDS
from realtime_kv.realtime.engineio import budgets
from realtime_kv.realtime.engineio.budgets import FrameBudget
from realtime_kv.realtime.engineio.sessions import STRANGER_ROUND_SECONDS, Limits, SessionRegistry


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_burst_of_empty_frames_per_connection_is_limited():
    budget = FrameBudget()
    assert all(budget.take(1) for _ in range(int(budgets.IDLE_FRAMES_BURST)))
    # the refill since then is less than the burst
    assert not budget.take(budgets.IDLE_FRAMES_BURST)


def test_network_waits_after_its_burst_and_other_networks_do_not(clock):
    budget = TimeBudget(clock, share=0.5, burst_seconds=2.0)
    assert budget.charge("a", 2.0) == 0.0
    assert budget.charge("a", 0.5) == pytest.approx(1.0)
    assert budget.overdue("a") == pytest.approx(1.0)
    assert budget.charge("b", 1.0) == budget.overdue("b") == budget.overdue("unknown") == 0.0
    clock.now += 1.0
    assert budget.overdue("a") == 0.0
    assert budget.charge("a", 0.1) == pytest.approx(0.2)


def test_refund_restores_the_budget_but_never_exceeds_the_burst(clock):
    budget = TimeBudget(clock, share=0.5, burst_seconds=2.0)
    budget.charge("a", 2.0)
    budget.charge("a", -2.0)
    assert budget.charge("a", 2.0) == 0.0
    budget.charge("b", -100.0)
    assert budget.charge("b", 3.0) > 0.0


def test_debt_is_bounded(clock):
    budget = TimeBudget(clock, share=0.5, burst_seconds=2.0)
    assert budget.charge("a", 1e6) == pytest.approx(time_budget.MAX_DEBT_SECONDS)
    clock.now += time_budget.MAX_DEBT_SECONDS
    assert budget.overdue("a") == 0.0


def test_the_number_of_networks_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(time_budget, "MAX_PAYERS", 10)
    budget = TimeBudget(clock, share=0.2, burst_seconds=1.0)
    budget.charge("first", 100.0)
    for n in range(10):
        budget.charge(f"network {n}", 0.001)
    assert budget.overdue("first") == 0.0


def test_simultaneous_reconnect_of_200_tabs_fits_the_budget_of_a_network(clock):
    budget = TimeBudget(clock, share=0.5, burst_seconds=2.0)
    for _tab in range(200):
        cost = 4 * budgets.REQUEST_COST + budgets.OPEN_COST + budgets.CONNECT_COST + 20 * budgets.FRAME_COST
        assert budget.charge("office", cost) == 0.0


def test_a_connection_uses_the_time_of_guests_until_it_has_joined():
    runtime, accounts = ThreadedRuntime(), {}
    receiver = SimpleNamespace(account=accounts.get, busy=lambda _: False)

    def join_or_leave(sid, message):
        accounts[sid] = 7 if message == b"40" else None

    connections = SessionRegistry(Limits(), receiver, runtime, spawn=None, work=join_or_leave, left=lambda *_: None)
    connection = connections.open("sid", {"REMOTE_ADDR": "192.0.2.1"})
    assert (connection.slices, connection.payer) == (connections.stranger_slices, "192.0.2.1")
    connection.join_or_leave(b"40")
    assert (connection.slices, connection.payer) == (connections.slices, 7)
    # all guests together may take less than one user
    assert STRANGER_ROUND_SECONDS <= SHARE_SECONDS
    connection.join_or_leave(b"41")
    assert connection.slices is connections.stranger_slices
    runtime.stop()
