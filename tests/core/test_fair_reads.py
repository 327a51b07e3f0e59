"""Reads of several users on one reader: their order, which are dropped, and what each is charged."""

import dataclasses
import threading

import pytest

from realtime_kv.concurrency import fair_pool
from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.errors import RateLimited, TooLarge, Unauthenticated, Unavailable
from tests.core.services import Person

DEADLINE = 30


class Held:
    """A store whose reader threads are all blocked, so that requests wait in the queues."""

    def __init__(self, store):
        entered = []
        self._opened = []
        for n in range(len(store.readers.threads)):
            entered.append(threading.Event())
            self._opened.append(threading.Event())
            store.readers.submit(lambda _, n=n: (entered[n].set(), self._opened[n].wait(DEADLINE)), Client(f"gate {n}"))
        for event in entered:
            assert event.wait(DEADLINE)

    def open_one(self):
        """Release one thread: its answers come in the order in which it serves the requests."""
        self._opened[0].set()

    def open(self):
        for opened in self._opened:
            opened.set()


class EvenTime(threading.local):
    """The processor time of a thread, one millisecond later at each reading: all work costs the same."""

    now = 0

    def thread_time_ns(self):
        self.now += 1_000_000
        return self.now


@pytest.fixture
def people(busy_services, runtime):
    store = busy_services.open(runtime)
    alice, charlie = (Person(store, busy_services.add_user(name)) for name in ("alice", "charlie"))
    for person in (alice, charlie):
        person.set("k", 1)
        person.list()
    return alice, charlie


def ask(runtime, *asked):
    """Call each of `asked` on the edge's thread, in this order, and return the futures."""
    futures, done = [], threading.Event()

    def on_edge():
        futures.extend(one() for one in asked)
        done.set()

    runtime.deliver(on_edge)
    assert done.wait(DEADLINE)
    return futures


@pytest.fixture
def even_costs(monkeypatch):
    monkeypatch.setattr(fair_pool, "time", EvenTime())


# alice and charlie have also consumed the same before: the pool serves the user with more use later
def test_a_list_is_served_before_the_fourth_sync_of_another_users_flood(even_costs, people, runtime):
    alice, charlie = people
    store, order = alice.store, []
    held = Held(store)
    flood = [lambda: store.sync(alice.caller)] * 100
    futures = ask(runtime, *flood, lambda: store.list(charlie.caller))
    for name, future in zip(["alice"] * 100 + ["charlie"], futures, strict=True):
        runtime.deliver(lambda name=name, future=future: future.then(lambda _: order.append(name)))
    held.open_one()
    for future in futures:
        runtime.wait(future, DEADLINE)
    held.open()
    assert order.index("charlie") <= 3


def test_quota_and_usage_are_answered_while_all_readers_are_blocked(people, runtime):
    alice, _ = people
    held = Held(alice.store)
    assert runtime.wait(alice.store.quota_of(alice.caller), DEADLINE) == alice.store.quota
    assert runtime.wait(alice.store.usage(alice.caller), DEADLINE).keys == 1
    held.open()


def test_queued_reads_of_a_closed_connection_are_dropped_and_writes_applied(people, runtime):
    alice, charlie = people
    store, held = alice.store, Held(alice.store)
    read = []
    original = store.readers.submit

    def submit(fn, *arguments, **options):
        def counted(connection):
            read.append(arguments[0].user)
            return fn(connection)

        return original(counted, *arguments, **options)

    store.readers.submit = submit
    futures = ask(runtime, *[lambda: store.history(alice.caller)] * 50, lambda: store.list(charlie.caller))
    (written,) = ask(runtime, lambda: store.set(alice.caller, "last", b"2"))
    ask(runtime, lambda: store.abandon(alice.caller))
    held.open()
    runtime.wait(futures[-1], DEADLINE)
    for future in futures[:-1]:
        with pytest.raises(Unavailable):
            runtime.wait(future, DEADLINE)
    assert set(read) == {charlie.caller.user_id}
    assert runtime.wait(written, DEADLINE).version == 1


def test_queued_reads_of_an_ended_session_are_refused(people, runtime):
    alice, charlie = people
    store, held = alice.store, Held(alice.store)
    futures = ask(runtime, lambda: store.sync(alice.caller), lambda: store.sync(charlie.caller))
    ask(runtime, lambda: store.end_session(alice.caller.user_id, alice.caller.session_id))
    held.open()
    with pytest.raises(Unauthenticated):
        runtime.wait(futures[0], DEADLINE)
    assert runtime.wait(futures[1], DEADLINE).ok


def test_queued_reads_of_a_user_over_budget_are_refused(people, runtime):
    alice, charlie = people
    store = alice.store
    for n in range(300):
        alice.set(f"key {n}", n)
    alice.list()
    store.charge_with(lambda caller, units: 3 if caller is alice.caller else 0)
    held = Held(store)
    futures = ask(runtime, *[lambda: store.sync(alice.caller)] * 20, lambda: store.sync(charlie.caller))
    held.open()
    outcomes = []
    for future in futures:
        try:
            outcomes.append(runtime.wait(future, DEADLINE).ok)
        except RateLimited:
            outcomes.append(False)
    assert outcomes[0] and outcomes[-1]
    assert outcomes.count(False) >= 15


# charging


@pytest.fixture
def charged(store):
    units = []
    store.charge_with(lambda caller, cost: units.append(cost) or 0)
    return units


def test_a_read_is_charged_for_the_rows_and_bytes_it_examines(alice, charged):
    alice.list()
    assert charged == []
    for n in range(12):
        alice.batch(*[("set", f"{n:02}/{i:03}", i) for i in range(100)])
    alice.list(limit=1000)
    assert charged.pop() >= 1000 // 64
    alice.sync()
    assert charged.pop() >= 1200 // 64
    for n in range(10):
        alice.set(f"big {n}", "x" * 60_000)
    alice.history(limit=1)
    one = sum(charged)
    assert one >= 60_000 // 8192
    charged.clear()
    alice.history(limit=9)
    assert sum(charged) >= 7 * one


def test_bulk_writes_and_dry_runs_are_charged_for_their_ops_and_bytes(alice, charged):
    for n in range(3):
        alice.batch(*[("set", f"a/{n}/{i:03}", "x" * 1000) for i in range(100)])
    for dry_run in (True, False):
        charged.clear()
        moved = alice.move("a/", "b/", dry_run=dry_run)
        assert moved["count"] == 300
        assert sum(charged) >= 600 + 300_000 // 8192
    charged.clear()
    alice.undo(moved["revision"], dry_run=True)
    assert sum(charged) >= 600
    charged.clear()
    alice.restore("a/0/001")
    assert sum(charged) >= 1


def test_a_refused_bulk_write_is_charged_for_the_rows_it_examined(alice, charged):
    for n in range(11):
        alice.batch(*[("set", f"{n:02}/{i:03}", i) for i in range(100)])
    with pytest.raises(TooLarge) as refused:
        alice.delete_prefix("", dry_run=True)
    assert refused.value.extra == {"limit": 1000, "actual": 1100}
    assert sum(charged) >= 1100 // 64


def test_a_dry_run_does_not_wait_for_the_writer(people, runtime):
    alice, _ = people
    runtime.wait(alice.store.writer.flush(None), DEADLINE)
    hold, entered = threading.Event(), threading.Event()
    alice.store.writer.run_in_transaction(lambda _: (entered.set(), hold.wait(DEADLINE)))
    assert entered.wait(DEADLINE)
    (future,) = ask(runtime, lambda: alice.store.delete_prefix(alice.caller, "k", dry_run=True))
    assert runtime.wait(future, DEADLINE).count == 1
    hold.set()


# large reads in steps


def test_a_list_skips_many_deleted_keys_in_steps(harness, alice, monkeypatch):
    harness.set_steps(monkeypatch, look_rows=32, slice_rows=8, first_slice_rows=4)
    for n in range(150):
        alice.set(f"a{n:03}", n)
    alice.delete_prefix("a")
    alice.set("z", 1)
    page = alice.list(limit=5)
    assert [entry["key"] for entry in page["entries"]] == ["z"] and page["next"] is None
    for n in range(0, 150, 40):
        alice.set(f"a{n:03}", "again")
    keys, after = [], None
    while True:
        page = alice.list(limit=2, after=after)
        keys += [entry["key"] for entry in page["entries"]]
        if (after := page["next"]) is None:
            break
    assert keys == ["a000", "a040", "a080", "a120", "z"]


@pytest.mark.parametrize("few", [1, 10_000])
def test_history_under_a_prefix_is_read_in_steps_and_is_complete(harness, alice, monkeypatch, few):
    harness.set_steps(monkeypatch, history_rows=13, history_few_rows=few)
    limited = Person(alice.store, dataclasses.replace(alice.caller, kind="token", label="program", prefix="p/"))
    wanted = []
    for n in range(60):
        if n % 9 == 0:
            made = alice.batch(*[("set", f"{name}/{i}", n) for name in "oz" for i in range(7)], ("set", "p/k", n))
            wanted.append(made["revision"])
        else:
            alice.set(f"o/{n}", n)
    found, before = [], None
    while page := limited.history(before=before, limit=3)["writes"]:
        found += [write["revision"] for write in page]
        before = found[-1]
    assert found == wanted[::-1]


@pytest.mark.parametrize("few", [1, 10_000])
def test_a_sync_in_slices_delivers_every_entry_once(harness, alice, monkeypatch, few):
    harness.set_steps(monkeypatch, slice_rows=8, sync_rows=64, few_rows=few, page_bytes=4_000)
    for n in range(40):
        alice.batch(*[("set", f"p/{n}/{i}", "x" * (n * 5)) for i in range(4)], ("set", f"o/{n}", n))
    alice.delete_prefix("o/")
    limited = Person(alice.store, dataclasses.replace(alice.caller, kind="token", label="program", prefix="p/"))
    for person, keys in ((alice, 160), (limited, 160)):
        held, position, pages = {}, {}, 0
        at = 0
        while True:
            page = person.sync(**position)
            assert page["from"] == at
            for write in page["writes"]:
                assert page["from"] < write["revision"] <= page["revision"]
                for op in write["ops"]:
                    assert op["key"] not in held
                    held[op["key"]] = op["value"]
            at, pages = page["revision"], pages + 1
            if page["next"] is None:
                break
            assert page["writes"]
            position = {"next": page["next"]}
        assert len(held) == keys and pages > 3


def test_a_running_read_is_charged_even_if_its_connection_closes(people, runtime):
    alice, _ = people
    store, charged, settled = alice.store, [], threading.Event()
    store.charge_with(lambda caller, units: (charged.append((caller, units)), settled.set(), 0)[-1])
    entered, hold = threading.Event(), threading.Event()

    def look(_, cost):
        entered.set()
        assert hold.wait(DEADLINE)
        cost.add(rows=6400)

    (future,) = ask(runtime, lambda: store._readings.submit(alice.caller, look, "look"))
    assert entered.wait(DEADLINE)
    ask(runtime, lambda: store.abandon(alice.caller))
    with pytest.raises(Unavailable):
        runtime.wait(future, DEADLINE)
    hold.set()
    assert settled.wait(DEADLINE)
    assert charged == [(alice.caller, 100)]
