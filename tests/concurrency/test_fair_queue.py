"""The order in which the work of several users is served: counted, never timed."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_kv.concurrency.fair_queue import FairQueue


@dataclass(eq=False)
class Work:
    user: str
    name: int = 0
    credential: str = ""
    cost: float = 1.0


def queue(**limits):
    return FairQueue(**{"max_running": 1, "max_per_user": 1000, "max_total": 10_000, **limits})


def serve(queue, most=None, cost=None):
    """Serve the work one by one, and return it in that order."""
    served = []
    while (most is None or len(served) < most) and (work := queue.pop()) is not None:
        queue.finish(work, work.cost if cost is None else cost(work))
        served.append(work)
    return served


def test_flood_of_one_user_does_not_delay_other_users():
    waiting = queue()
    for n in range(500):
        waiting.push(Work("flood", n))
    serve(waiting, 100)
    waiting.push(Work("home"))
    assert "home" in [work.user for work in serve(waiting, 2)]


def test_users_share_by_cost_and_not_by_number_of_requests():
    waiting = queue()
    for n in range(400):
        waiting.push(Work("dear", n))
        waiting.push(Work("cheap", n))
    served = [work.user for work in serve(waiting, 220, cost=lambda work: 10.0 if work.user == "dear" else 1.0)]
    assert 15 <= served.count("dear") <= 25


def test_idle_users_accumulate_no_credit():
    waiting = queue()
    for n in range(300):
        waiting.push(Work("busy", n))
    serve(waiting, 200)
    for n in range(300):
        waiting.push(Work("late", n))
    served = [work.user for work in serve(waiting, 40)]
    assert 15 <= served.count("busy") <= 25


def test_credentials_of_a_user_share_equally_and_keep_their_order():
    waiting = queue()
    for n in range(100):
        waiting.push(Work("user", n, "thief"))
    waiting.push(Work("user", 0, "owner"))
    waiting.push(Work("user", 1, "owner"))
    served = serve(waiting)
    assert [work.credential for work in served[:4]].count("owner") == 2
    for credential in ("thief", "owner"):
        names = [work.name for work in served if work.credential == credential]
        assert names == sorted(names)


def test_continuation_is_served_before_other_work_of_its_credential():
    waiting = queue()
    for n in range(3):
        waiting.push(Work("a", n))
    waiting.push(Work("a", 9), first=True)
    assert [work.name for work in serve(waiting)] == [9, 0, 1, 2]


def test_concurrent_work_per_user_is_limited():
    waiting = queue(max_running=2)
    for n in range(5):
        waiting.push(Work("a", n))
    first, second = waiting.pop(), waiting.pop()
    assert waiting.pop() is None
    waiting.push(Work("b"))
    assert waiting.pop().user == "b"
    waiting.finish(first, 1.0)
    assert waiting.pop().name == 2
    assert waiting.pop() is None
    waiting.finish(second, 1.0)
    assert waiting.pop().name == 3


def test_overflow_drops_the_tail_of_the_longest_queue():
    waiting = queue(max_total=10)
    flood = [Work("flood", n) for n in range(9)]
    assert [waiting.push(work) for work in [*flood, Work("home")]] == [None] * 10
    assert waiting.push(Work("late")) is flood[-1]
    another = Work("flood")
    assert waiting.push(another) is another
    assert len(waiting) == 10


def test_overflow_of_one_user_drops_the_tail_of_their_longest_credential():
    waiting = queue(max_per_user=5)
    thief = [Work("user", n, "thief") for n in range(5)]
    for work in thief:
        waiting.push(work)
    one_more = Work("user", 5, "thief")
    assert waiting.push(one_more) is one_more
    assert waiting.push(Work("user", 0, "owner")) is thief[-1]
    assert waiting.waiting("user") == 5


def test_removed_work_is_not_served():
    waiting = queue()
    works = [Work("a", n) for n in range(4)]
    for work in works:
        waiting.push(work)
    assert waiting.remove(works[1]) and not waiting.remove(works[1])
    assert waiting.remove_all("a", lambda work: work.name > 2) == [works[3]]
    assert serve(waiting) == [works[0], works[2]]
    assert not waiting.has_ready and len(waiting) == 0


@pytest.mark.parametrize("limit", [1, 3])
@given(st.lists(st.tuples(st.sampled_from(["push", "pop", "finish", "drop"]), st.integers(0, 3), st.integers(0, 2))))
def test_no_work_is_lost_or_served_twice_under_any_sequence_of_steps(limit, steps):
    waiting = queue(max_running=limit, max_per_user=6, max_total=12)
    pending, running, n = set(), [], 0
    for step, user, credential in steps:
        if step == "push":
            work = Work(f"u{user}", n := n + 1, f"c{credential}")
            pending.add(work)
            pending.discard(waiting.push(work))
        elif step == "pop":
            work = waiting.pop()
            ready = [left for left in pending if sum(other.user == left.user for other in running) < limit]
            assert (work is None) == (not ready)
            if work is not None:
                pending.remove(work)
                running.append(work)
        elif step == "finish" and running:
            waiting.finish(running.pop(0), float(credential))
        elif step == "drop":
            for work in waiting.remove_all(f"u{user}", lambda work, name=f"c{credential}": work.credential == name):
                pending.remove(work)
        assert len(waiting) == len(pending)
    assert set(waiting.clear()) == pending


def test_work_of_a_held_credential_waits_until_the_release():
    waiting = queue(max_running=2)
    for n in range(3):
        waiting.push(Work("held", n))
    running = waiting.pop()
    waiting.hold("held", "")
    waiting.push(Work("held", 3))
    waiting.push(Work("home"))
    waiting.push(Work("held", 9, credential="another"))
    waiting.finish(running, 1.0)
    assert sorted((work.user, work.name) for work in serve(waiting)) == [("held", 9), ("home", 0)]
    waiting.release("held", "")
    assert [work.name for work in serve(waiting)] == [1, 2, 3]
    # a credential that is held while nothing waits
    waiting.hold("held", "")
    waiting.push(Work("held", 4))
    assert serve(waiting) == []
    waiting.release("held", "")
    assert [work.name for work in serve(waiting)] == [4]
