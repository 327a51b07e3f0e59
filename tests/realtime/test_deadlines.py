"""The deadline queue: one queue and one timer for all items that are due after the same delay."""

import heapq

from realtime_kv.realtime.engineio.deadlines import SLICE, DeadlineQueue


class Time:
    """A clock that stands still until it is moved; counts the timers that were needed."""

    def __init__(self):
        self.now = 0.0
        self.timers = []
        self.needed = 0

    def clock(self):
        return self.now

    def call_later(self, seconds, fn):
        self.needed += 1
        heapq.heappush(self.timers, (self.now + seconds, self.needed, fn))

    def go_to(self, then):
        while self.timers and self.timers[0][0] <= then:
            self.now, _, fn = heapq.heappop(self.timers)
            fn()
        self.now = then


def make(seconds=10.0):
    time, seen = Time(), []
    return time, seen, DeadlineQueue(seconds, seen.append, time.call_later, time.clock)


def test_each_item_is_due_the_full_delay_after_it_was_added():
    time, seen, rounds = make()
    rounds.add("a")
    time.go_to(4)
    rounds.add("b")
    time.go_to(9.9)
    assert seen == []
    time.go_to(10)
    assert seen == ["a"]
    time.go_to(14)
    assert seen == ["a", "b"]
    time.go_to(1000)
    assert seen == ["a", "b"] and not time.timers
    rounds.add("c")
    time.go_to(1010)
    assert seen == ["a", "b", "c"]


def test_a_thousand_simultaneous_items_are_processed_in_slices():
    time, seen, rounds = make()
    for n in range(1000):
        rounds.add(n)
    assert time.needed == 1
    time.go_to(10)
    assert seen == list(range(1000))
    assert time.needed == 1 + 1000 // SLICE - (1000 % SLICE == 0)


def test_an_item_may_be_added_again_while_it_is_due():
    time, seen, _ = make()
    again = DeadlineQueue(10.0, lambda item: (seen.append(item), again.add(item)), time.call_later, time.clock)
    again.add("ping")
    time.go_to(35)
    assert seen == ["ping"] * 3


def test_a_failing_item_does_not_block_the_others():
    time, seen, _ = make()

    def due(item):
        seen.append(item)
        if item == "bad":
            raise ValueError(item)

    rounds = DeadlineQueue(10.0, due, time.call_later, time.clock)
    rounds.add("bad")
    rounds.add("good")
    try:
        time.go_to(10)
    except ValueError:
        time.go_to(10)
    assert seen == ["bad", "good"]
