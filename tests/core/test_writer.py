import itertools
import json
import threading

import pytest
from sqlalchemy import text

from realtime_kv.core.domain.space import Quota
from realtime_kv.core.engine.write_queue import GROUP_WEIGHT, LIGHT_WEIGHT, WriteQueue
from realtime_kv.errors import Unavailable
from tests.core.services import Person, Watcher


def test_writes_from_many_threads_get_gapless_revisions_and_share_commits(busy_services, runtime):
    store = busy_services.open(runtime)
    people = [Person(store, busy_services.add_user(name)) for name in ("alice", "charlie", "zoe")]
    heard = Watcher(store)
    futures = {id(person): [] for person in people}
    gate = threading.Barrier(6)

    def write(person, part):
        gate.wait()
        for n in range(100):
            futures[id(person)].append(store.set(person.caller, f"{part}/{n}", b"1", op_id=f"{part}-{n}"))

    threads = [threading.Thread(target=write, args=(person, part)) for person in people for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for person in people:
        answers = [runtime.wait(future, timeout=30) for future in futures[id(person)]]
        assert sorted(answer.revision for answer in answers) == list(range(1, 201))
        pushed = [
            write["revision"]
            for news, change in zip(heard.commits, heard.changes, strict=True)
            if news.user_id == person.caller.user_id
            for write in change["writes"]
        ]
        assert pushed == list(range(1, 201))
    assert store.writer.groups < store.writer.writes == 600


def test_write_is_committed_before_it_is_acknowledged(busy_services, runtime):
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    for n in range(20):
        alice.set("k", n)
        frame = busy_services.database.frames()[-1]
        assert json.loads(frame)["ops"] == [{"op": "set", "key": "k", "value": n, "version": n + 1}]


def test_shared_job_is_committed_before_it_is_acknowledged_or_rolled_back(busy_services, runtime):
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    alice.set("k", 1)
    note = text("INSERT INTO meta (name, value) VALUES ('note', 'here')")
    runtime.wait(store.writer.run_in_shared_transaction(lambda db: db.execute(note).rowcount), timeout=30)
    found = "SELECT value FROM meta WHERE name = 'note'"
    assert busy_services.database.rows(found) == [("here",)]
    assert alice.set("k", 2)["revision"] == 2
    # and an exception rolls its changes back
    delete = text("DELETE FROM meta")
    again = store.writer.run_in_shared_transaction(lambda db: db.execute(delete).rowcount // 0)
    with pytest.raises(ZeroDivisionError):
        runtime.wait(again, timeout=30)
    assert busy_services.database.rows(found) == [("here",)]


def test_group_shares_its_capacity_equally_between_users(monkeypatch):
    monkeypatch.setattr("realtime_kv.core.engine.write_queue.GROUP_WEIGHT", 4)
    waiting = WriteQueue()
    for user, count in (("a", 10), ("c", 2)):
        for n in range(count):
            waiting.add(_Pending(user, n))
    groups = []
    while waiting:
        groups.append([(write.user_id, write.n) for write in waiting.next_group()])
    assert groups[0] == [("a", 0), ("a", 1), ("c", 0), ("c", 1)]
    assert list(itertools.chain(*groups[1:])) == [("a", n) for n in range(2, 10)]


def test_exclusive_write_gets_its_own_group_in_fair_order(monkeypatch):
    monkeypatch.setattr("realtime_kv.core.engine.write_queue.GROUP_WEIGHT", 4)
    waiting = WriteQueue()
    for user, n, alone in (
        ("a", 0, False),
        ("a", 1, True),
        ("c", 0, True),
        ("a", 2, False),
        ("c", 1, True),
        ("d", 0, False),
    ):
        waiting.add(_Pending(user, n, alone))
    groups = []
    while waiting:
        groups.append([(write.user_id, write.n) for write in waiting.next_group()])
    assert groups == [[("a", 0)], [("c", 0)], [("d", 0)], [("a", 1)], [("c", 1)], [("a", 2)]]
    # and no state of it is left
    for n in range(4):
        waiting.add(_Pending("a", n))
    assert len(waiting.next_group()) == 4


def test_small_writes_precede_the_large_ones_of_other_users():
    waiting = WriteQueue()
    for user in range(10):
        for n in range(2):
            waiting.add(_Pending(user, n, weight=GROUP_WEIGHT // 2))
    waiting.add(_Pending("home", 0))

    def group():
        return [(write.user_id, write.n) for write in waiting.next_group()]

    assert group() == [(0, 0), ("home", 0), (1, 0)]
    waiting.add(_Pending("home", 1))
    assert group() == [(2, 0), ("home", 1), (3, 0)]


def test_many_users_with_small_writes_do_not_keep_a_large_one_waiting():
    waiting = WriteQueue()
    waiting.add(_Pending("large", 0, weight=GROUP_WEIGHT // 2))
    served = 0
    for n in range(3):
        for user in range(2 * GROUP_WEIGHT):
            waiting.add(_Pending(user, n, weight=LIGHT_WEIGHT))
        served += any(write.user_id == "large" for write in waiting.next_group())
    assert served == 1


class _Pending:
    def __init__(self, user_id, n, alone=False, weight=1):
        self.weight = weight
        self.user_id = user_id
        self.n = n
        self.alone = alone


def test_write_rejected_by_the_database_does_not_fail_the_rest_of_its_group(busy_services, runtime):
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    busy_services.database.reject_frames('"bad"')
    hold = threading.Event()
    store.writer.run_in_transaction(lambda _: hold.wait())
    futures = {key: store.set(alice.caller, key, b"1") for key in ("a", "bad", "b")}
    hold.set()
    assert runtime.wait(futures["a"]).revision == 1
    assert runtime.wait(futures["b"]).revision == 2
    with pytest.raises(busy_services.database.rejection):
        runtime.wait(futures["bad"])


def test_full_disk_returns_unavailable_and_leaves_no_partial_write(services):
    store = services.open()
    alice = Person(store, services.add_user("alice"))
    alice.set("small", 1)
    with services.database.fill_disk(store):
        with pytest.raises(Unavailable):
            alice.batch(*(("set", f"{n}", "x" * 60_000) for n in range(5)), op_id="big")
        assert alice.sync()["revision"] == 1
    answer = alice.batch(*(("set", f"{n}", "x" * 60_000) for n in range(5)), op_id="big")
    assert answer["revision"] == 2
    assert "replayed" not in answer


def test_job_runs_in_its_own_transaction_and_an_exception_rolls_it_back(services):
    store = services.open()
    alice = Person(store, services.add_user("alice"))

    def spoil(db):
        db.exec_driver_sql("UPDATE users SET username = 'spoilt'")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.writer.run_in_transaction(spoil).result()
    name = store.writer.run_in_transaction(
        lambda db: db.exec_driver_sql("SELECT username FROM users").scalar()
    ).result()
    assert name == "alice"
    assert alice.set("k", 1)["revision"] == 1


def test_stopped_store_refuses_writes(services):
    store = services.open()
    alice = Person(store, services.add_user("alice"))
    store.stop()
    with pytest.raises(Unavailable):
        alice.set("k", 1)


def test_queued_writes_are_finished_before_the_writer_stops(busy_services, runtime):
    store = busy_services.open(runtime)
    alice = busy_services.add_user("alice")
    futures = [store.set(alice, f"{n}", b"1") for n in range(200)]
    store.stop()
    assert [runtime.wait(future, timeout=10).revision for future in futures] == list(range(1, 201))


def test_full_queue_returns_unavailable_but_admits_another_user(busy_services, runtime, monkeypatch):
    monkeypatch.setattr("realtime_kv.core.engine.writer.QUEUE_LIMIT", 4)
    monkeypatch.setattr("realtime_kv.core.engine.writer.CROWDED", 1)
    refused = []
    store = busy_services.open(runtime, on_refusal=lambda *limit: refused.append(limit))
    alice, charlie = busy_services.add_user("alice"), busy_services.add_user("charlie")
    hold = threading.Event()
    store.writer.run_in_transaction(lambda _: hold.wait())
    futures = [store.set(alice, f"{n}", b"1") for n in range(3)]
    with pytest.raises(Unavailable):
        store.set(alice, "one too many", b"1")
    assert refused == [("writes_waiting", alice.user_id, alice.session)]
    # a later user finds room
    futures.append(store.set(charlie, "k", b"1"))
    hold.set()
    assert [runtime.wait(future, timeout=10).revision for future in futures] == [1, 2, 3, 1]
    assert store.writer.queued == 0
    assert runtime.wait(store.set(alice, "again", b"1"), timeout=10).revision == 4


def test_store_enforces_the_key_quota(services):
    store = services.open(quota=Quota(keys=2, bytes=1000))
    alice = Person(store, services.add_user("alice"))
    alice.set("a", 1)
    alice.set("b", 1)
    with pytest.raises(Exception, match="may keep 2"):
        alice.set("c", 1)
    alice.delete("a")
    alice.set("c", 1)
