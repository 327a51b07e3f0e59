"""`restore`, `undo` and `history` against a plain model: a list of the complete state after each write.

The steps include flushes, crashes before them, an index that is behind, and purges of the history.
"""

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime_kv.core.retention.purge import Purge
from realtime_kv.errors import NotFound
from tests.core.model import Model, Row
from tests.core.services import Person, Services

KEYS = ["a", "b", "é/c"]

keys = st.sampled_from(KEYS)
ttls = st.sampled_from([None, None, None, 30, 1000])
revisions = st.integers(0, 14)
parts = st.one_of(st.tuples(st.just("set"), keys, ttls), st.tuples(st.just("delete"), keys, st.none()))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(parts, min_size=1, max_size=3, unique_by=lambda part: part[1])),
        st.tuples(st.just("write"), st.lists(parts, min_size=1, max_size=3, unique_by=lambda part: part[1])),
        st.tuples(st.just("restore"), keys, st.none() | revisions),
        st.tuples(st.just("undo"), revisions | st.just(-1)),
        st.tuples(st.just("undo"), st.just(-1)),
        st.tuples(st.just("later"), st.sampled_from([10_000, 60_000])),
        st.tuples(st.just("purge"), st.integers(100, 1500)),
        st.tuples(st.just("flush")),
        st.tuples(st.just("index")),
        st.tuples(st.just("crash")),
    ),
    max_size=24,
)


@pytest.fixture(scope="module")
def shared_services(harness, tmp_path_factory):
    services = Services(harness.create(tmp_path_factory.mktemp("shared")))
    yield services
    services.close()


names = itertools.count()


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(steps)
def test_undo_and_restore_match_a_model_after_any_sequence_of_steps(shared_services, history):
    clock = shared_services.clock
    alice = Person(shared_services.open(), shared_services.add_user(f"alice{next(names)}"))
    model, floor = Model(), 0
    for number, (step, *details) in enumerate(history):
        match step:
            case "write":
                write(alice, model, details[0], number, clock)
            case "restore":
                key, revision = details
                expected = model.restored(key, revision, clock.now)
                if revision is not None and revision <= floor and isinstance(expected, Row):
                    continue
                if isinstance(expected, Row):
                    assert alice.restore(key, revision=revision)["version"] == expected.version
                    model.write({key: expected}, clock.now)
                else:
                    with pytest.raises(
                        (expected, NotFound) if revision is not None and revision <= floor else expected
                    ):
                        alice.restore(key, revision=revision)
            case "undo":
                revision = model.revision if details[0] == -1 else details[0]
                expected = NotFound if revision <= floor else model.undone(revision, clock.now)
                if isinstance(expected, dict):
                    assert alice.undo(revision, dry_run=True)["count"] == len(expected)
                    assert alice.undo(revision)["count"] == len(expected)
                    model.write(expected, clock.now)
                    model.undoes[model.revision] = revision
                else:
                    with pytest.raises(expected):
                        alice.undo(revision)
            case "later":
                clock.now += details[0]
            case "purge":
                Purge(alice.store).remove_history(0, details[0])
                floor = alice.history()["floor"] - 1
                assert floor <= model.revision
            case "flush":
                alice.list()
            case "index":
                alice.history()
            case "crash":
                # unflushed writes are in the log only
                alice = Person(shared_services.crash(alice.store), alice.caller)
        check(alice, model, floor, clock.now)
    alice.store.stop()


def write(alice, model, parts, number, clock):
    rows, ops = {}, []
    now = clock.now + 1
    for what, key, ttl in parts:
        row = model.states[-1].get(key)
        live = row is not None and row.live(now)
        if what == "delete":
            ops.append(alice.store.delete_op(key))
            if live:
                rows[key] = row._replace(revision=model.revision + 1, deleted=True)
            continue
        ops.append(alice.store.set_op(key, json.dumps(number).encode(), None, ttl))
        expires_at = None if ttl is None else now + ttl * 1000
        version, created = (row.version + 1, row.created) if live else (1, model.revision + 1)
        rows[key] = Row(number, model.revision + 1, version, created, expires_at)
    alice._answer(alice.store.batch(alice.caller, ops))
    assert clock.now == now
    if rows:
        model.write(rows, now)


def check(alice, model, floor, now):
    """Compare with `get` only: `list` and `sync` would bring the tables up to date."""
    for key in KEYS:
        row = model.states[-1].get(key)
        if row is None or not row.live(now + 1):
            with pytest.raises(NotFound):
                alice.get(key)
        else:
            entry = alice.get(key)
            assert (entry["value"], entry["revision"], entry["version"], entry["created_revision"]) == row[:4]
            assert (entry["expires_at"] is None) == (row.expires_at is None)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps)
def test_history_is_complete_from_its_floor_on(shared_services, history):
    alice = Person(shared_services.open(), shared_services.add_user(f"alice{next(names)}"))
    model, clock = Model(), shared_services.clock
    for number, (step, *details) in enumerate(history):
        if step == "write":
            write(alice, model, details[0], number, clock)
        elif step == "purge":
            Purge(alice.store).remove_history(0, details[0])
    answer = alice.history(limit=1000)
    told = {write["revision"]: {op["key"]: op.get("value") for op in write["ops"]} for write in answer["writes"]}
    assert list(told) == sorted(told, reverse=True)
    for revision in range(1, model.revision + 1):
        if revision >= answer["floor"]:
            assert told[revision] == model.writes[revision]
        else:
            assert told.get(revision, {}).items() <= model.writes[revision].items()
    for key in KEYS:
        of_key = {write["revision"]: write["ops"] for write in alice.history(key=key, limit=1000)["writes"]}
        assert of_key.keys() == {revision for revision, ops in told.items() if key in ops}
        assert all([op["key"] for op in ops] == [key] for ops in of_key.values())
    alice.store.stop()
