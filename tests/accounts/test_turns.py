import pytest

from realtime_kv.accounts.turns import MOST_WAITING, Turns
from realtime_kv.core.errors import RateLimited, Unavailable
from realtime_kv.core.runtime import Inline


class Still(Inline):
    """Threads that never come to anything: what they were given stays with them until `work` is called."""

    def start_thread(self, fn, name):
        return _Thread()


class _Thread:
    def join(self):
        pass


@pytest.fixture
def turns():
    return Turns(Still(), "test")


def work(turns):
    """One piece is done."""
    turns._workers._run(*turns._workers._queue.get_nowait(), None)


@pytest.fixture
def done():
    return []


def bring(turns, done, network, count):
    return [turns.submit(network, lambda _: done.append(network)) for _ in range(count)]


def test_one_who_comes_from_elsewhere_is_next_however_many_wait(turns, done):
    bring(turns, done, "flood", 60)
    bring(turns, done, "home", 1)
    for _ in range(5):
        work(turns)
    # three were given to the threads already, and one of the flood was next in turn
    assert done[-1] == "home"


def test_everything_is_done_in_the_end_each_line_in_its_order(turns, done):
    futures = [turns.submit(network, lambda _, n=n: done.append(n)) for n, network in enumerate("aaabcb")]
    for _ in futures:
        work(turns)
    assert sorted(done) == list(range(6))
    assert [n for n in done if n in {0, 1, 2}] == [0, 1, 2]
    assert [n for n in done if n in {3, 5}] == [3, 5]
    assert all(future.done for future in futures)


def test_when_too_many_wait_the_last_of_the_longest_line_has_to_go_and_not_who_comes_from_elsewhere(turns, done):
    flood = bring(turns, done, "flood", 3 + MOST_WAITING)
    (home,) = bring(turns, done, "home", 1)
    assert flood[-1].failed
    assert not any(future.failed for future in [*flood[:-1], home])
    with pytest.raises(RateLimited):
        flood[-1].result()


def test_who_stands_in_the_longest_line_is_sent_away_when_too_many_wait(turns, done):
    bring(turns, done, "home", 1)
    flood = bring(turns, done, "flood", 2 + MOST_WAITING)
    assert [future.failed for future in bring(turns, done, "flood", 2)] == [True, True]
    assert not any(future.failed for future in flood)


def test_a_piece_that_fails_gives_its_turn_to_the_next(turns, done):
    failing = [turns.submit("home", lambda _: 1 // 0) for _ in range(4)]
    bring(turns, done, "home", 1)
    for _ in range(5):
        work(turns)
    assert done == ["home"]
    assert all(future.failed for future in failing)


def test_at_a_stop_whoever_waits_hears_of_it(turns, done):
    futures = bring(turns, done, "home", 5)
    turns.stop()
    for _ in range(3):
        work(turns)
    assert done == ["home"] * 3
    with pytest.raises(Unavailable):
        futures[-1].result()
