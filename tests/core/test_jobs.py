"""Jobs of the writer: their order between groups of writes, and the independence of each one."""

import threading

import pytest
from sqlalchemy import select, text, update

from realtime_kv.concurrency.fair_pool import Client
from realtime_kv.errors import BadRequest, Unauthenticated
from realtime_kv.storage.models import Meta, UserSession
from tests.core.services import Person

DEADLINE = 30


class Over:
    def __init__(self, session_id):
        self.session_id = session_id


class Held:
    """Blocks the writer, so that all requests made now wait."""

    def __init__(self, writer):
        self._opened, entered = threading.Event(), threading.Event()
        writer.run_in_shared_transaction(lambda _: (entered.set(), self._opened.wait(DEADLINE)), Client("gate"))
        assert entered.wait(DEADLINE)

    def open(self):
        self._opened.set()


def test_a_session_end_precedes_the_queued_account_work_of_a_flood(busy_services, runtime):
    store, order = busy_services.open(runtime), []
    writer, held = store.writer, Held(store.writer)
    futures = [writer.run_in_shared_transaction(lambda _: order.append("flood"), Client(1, 1)) for _ in range(200)]
    futures += [writer.run_in_transaction(lambda _: order.append("flood"), Client(1, 1)) for _ in range(20)]
    futures.append(writer.end_sessions(lambda _: (order.append("end"), []), Client(1, 2)))
    held.open()
    for future in futures:
        runtime.wait(future, DEADLINE)
    assert order[0] == "end"


def test_writes_alternate_with_account_work(busy_services, runtime):
    store, order = busy_services.open(runtime), []
    alice = Person(store, busy_services.add_user("alice"))
    alice.set("k", 0)
    writer, held = store.writer, Held(store.writer)
    store.watch(lambda _: order.append("write"))
    futures = [writer.run_in_transaction(lambda _: order.append("run"), Client(n % 5)) for n in range(30)]
    futures += [writer.run_in_shared_transaction(lambda _: order.append("note"), Client(n % 5)) for n in range(100)]
    futures.append(store.set(alice.caller, "k", b"1"))
    held.open()
    for future in futures:
        runtime.wait(future, DEADLINE)
    before = order[: order.index("write")]
    # one transaction of notes and one other, and the work done while its outcome was on the way
    assert before.count("run") <= 4 and before.count("note") <= 4 * 32


def test_account_work_is_scheduled_fairly_across_users(busy_services, runtime):
    store, order = busy_services.open(runtime), []
    writer, held = store.writer, Held(store.writer)
    futures = [writer.run_in_shared_transaction(lambda _: order.append("flood"), Client("flood")) for _ in range(200)]
    futures.append(writer.run_in_shared_transaction(lambda _: order.append("home"), Client("home")))
    held.open()
    for future in futures:
        runtime.wait(future, DEADLINE)
    assert order.index("home") <= 2


def test_notes_in_one_transaction_succeed_or_fail_independently(busy_services, runtime):
    store = busy_services.open(runtime)
    writer, held = store.writer, Held(store.writer)

    def put(name, fails=False):
        def write(db):
            db.execute(text("INSERT INTO meta (name, value) VALUES (:name, '1')"), {"name": name})
            if fails:
                raise BadRequest("no")

        return writer.run_in_shared_transaction(write)

    futures = [put(f"n{n}", fails=n % 2 == 1) for n in range(6)]
    held.open()
    for n, future in enumerate(futures):
        if n % 2:
            with pytest.raises(BadRequest):
                runtime.wait(future, DEADLINE)
        else:
            runtime.wait(future, DEADLINE)
    found = runtime.wait(
        writer.run_in_shared_transaction(lambda db: list(db.execute(select(Meta.name)).scalars())), DEADLINE
    )
    assert [name for name in found if name.startswith("n") and name[1:].isdigit()] == ["n0", "n2", "n4"]


def test_an_ended_session_cannot_write(busy_services, runtime):
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    alice.set("k", 1)
    session = alice.caller.session_id

    def end(db):
        db.execute(update(UserSession).where(UserSession.id == session).values(ended_at=busy_services.clock()))
        return None, [Over(session)]

    runtime.wait(store.writer.end_sessions(end), DEADLINE)
    with pytest.raises(Unauthenticated):
        alice.set("k", 2)


def test_a_heavy_writer_leaves_capacity_in_a_group_for_other_users(busy_services):
    store = busy_services.open()
    waiting = store.writer._waiting

    class Pending:
        alone = False

        def __init__(self, user_id, weight):
            self.user_id, self.weight = user_id, weight

    for _ in range(40):
        waiting.add(Pending("flood", 128))
    waiting.add(Pending("home", 1))
    group = waiting.next_group()
    assert [write.user_id for write in group].count("home") == 1
    assert sum(write.weight for write in group) <= 512 + 128 + 1
    while waiting:
        waiting.next_group()
