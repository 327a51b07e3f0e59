"""Plans are made in steps: a plan that reads many rows delays no other user, and its user is charged for it."""

import threading

import pytest

from realtime_kv.core.engine import planner
from realtime_kv.errors import Conflict
from tests.core.services import Person

DEADLINE = 30


@pytest.fixture
def people(busy_services, runtime, monkeypatch):
    monkeypatch.setattr(planner, "STEP_ROWS", 64)
    monkeypatch.setattr(planner, "STEP_BYTES", 10_000)
    store = busy_services.open(runtime)
    return [Person(store, busy_services.add_user(name)) for name in ("alice", "charlie")]


def much_trash(alice):
    """Create two keys with 300 deleted ones between them."""
    alice.set("a/000", 1)
    alice.set("a/999", 2)
    for n in range(0, 300, 100):
        names = [f"a/{n + i + 1}" for i in range(100)]
        alice.batch(*[("set", name, 1) for name in names])
        alice.batch(*[("delete", name) for name in names])


def delete_prefix(alice):
    much_trash(alice)
    return lambda **options: alice.store.delete_prefix(alice.caller, "a/", **options)


def copy(alice):
    much_trash(alice)
    return lambda **options: alice.store.copy(alice.caller, "a/", "b/", **options)


def undo_of_what_was_put_back_and_forth(alice):
    alice.batch(("set", "a/1", 1), ("set", "a/2", 2))
    first = last = alice.copy("a/", "b/")["revision"]
    for _ in range(40):
        last = alice.undo(last)["revision"]
    return lambda **options: alice.store.undo(alice.caller, first, **options)


def undo_of_what_was_overwritten_in_long_writes(alice):
    for n in range(2):
        alice.batch(("set", f"k{n}", 1), *[("set", f"large {n} {i}", "x" * 4000) for i in range(10)])
    last = alice.batch(("set", "k0", 2), ("set", "k1", 2))["revision"]
    return lambda **options: alice.store.undo(alice.caller, last, **options)


PLANS = [delete_prefix, copy, undo_of_what_was_put_back_and_forth, undo_of_what_was_overwritten_in_long_writes]


@pytest.mark.parametrize("prepare", PLANS)
def test_other_users_write_between_the_steps_of_a_plan(people, prepare):
    alice, charlie = people
    store, order, done = alice.store, [], threading.Event()
    plan = prepare(alice)
    expected = store.runtime.wait(plan(dry_run=True), DEADLINE)
    store.runtime.wait(store.writer.flush(None, indexed=True), DEADLINE)
    hold, held = threading.Event(), threading.Event()
    store.writer.run_in_transaction(lambda _: (held.set(), hold.wait(DEADLINE)))
    assert held.wait(DEADLINE)

    def ask():
        plan().then(lambda future: order.append(future.result().count))
        store.set(alice.caller, "a/later", b"1").then(lambda _: (order.append("alice"), done.set()))
        store.set(charlie.caller, "k", b"1").then(lambda _: order.append("charlie"))
        hold.set()

    store.runtime.deliver(ask)
    assert done.wait(DEADLINE)
    # alice's own writes keep their order; her later write is not a part of the plan
    assert order == ["charlie", expected.count, "alice"]
    assert expected.count == 2


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("prepare", PLANS)
def test_a_plan_is_charged_for_the_data_it_examines(people, prepare, dry_run):
    alice, _ = people
    plan = prepare(alice)
    charged = []
    alice.store.charge_with(lambda caller, units: charged.append(units) or 0)
    alice.store.runtime.wait(plan(dry_run=dry_run), DEADLINE)
    # two ops, and 300 rows, 80 lookups or 80 000 bytes
    assert sum(charged) >= 6


def test_a_refused_undo_is_charged(people):
    alice, _ = people
    plan = undo_of_what_was_overwritten_in_long_writes(alice)
    alice.set("k0", 3)
    charged = []
    alice.store.charge_with(lambda caller, units: charged.append(units) or 0)
    with pytest.raises(Conflict):
        alice.store.runtime.wait(plan(), DEADLINE)
    assert sum(charged) >= 10
