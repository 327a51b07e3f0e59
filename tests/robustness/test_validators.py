"""Each validator on hand-made histories: a good one, and one for each way to break the guarantee."""

from copy import deepcopy

import pytest

from tests.robustness.history import Answer, Call, Connected, Disconnected, History, Push, TabLog
from tests.robustness.replica import Replica, digest_of
from tests.robustness.validators import GUARANTEES, check

K, OTHER = "alice/k1", "alice/k2"
GROUP = [f"alice/g0/{n}" for n in range(4)]


class Story:
    """A history told event by event, one second apart."""

    def __init__(self) -> None:
        self._t = 0
        self._id = 0
        self.logs: dict[str, TabLog] = {}

    def history(self, **facts) -> History:
        return History(list(self.logs.values()), **facts)

    def connect(self, tab: str, *, auditor: bool = False) -> None:
        log = self.logs.setdefault(tab, TabLog("alice", tab, auditor=auditor, events=[]))
        self._add(tab, Connected, connection=self._connection(log) + 1)

    def disconnect(self, tab: str) -> None:
        self._add(tab, Disconnected, why="cut")

    def call(self, tab: str, verb: str, **payload) -> int:
        self._id += 1
        self._add(tab, Call, id=self._id, verb=verb, payload=payload)
        return self._id

    def answer(self, tab: str, id: int, **body) -> None:
        self._add(tab, Answer, id=id, body={"ok": True, **body})

    def refuse(self, tab: str, id: int, code: str, **extra) -> None:
        self._add(tab, Answer, id=id, body={"ok": False, "error": {"code": code, **extra}})

    def push(self, tab: str, *writes: dict, start: int | None = None) -> None:
        revisions = [write["revision"] for write in writes]
        start = revisions[0] - 1 if start is None else start
        data = {"epoch": "e", "from": start, "revision": revisions[-1], "writes": list(writes)}
        self._add(tab, Push, name="change", data=data)

    def bookmark(self, tab: str, revision: int, held: dict[str, int]) -> None:
        self._add(tab, Push, name="bookmark", data={"epoch": "e", "revision": revision, **proof(held)})

    def sync(self, tab: str, revision: int, held: dict[str, int], *writes: dict, since: int | None = None, **page):
        asked = {} if since is None else {"epoch": "e", "since": since}
        self.page(tab, self.call(tab, "sync", **asked), since or 0, revision, held, *writes, since=since, **page)

    def page(self, tab, id, start, revision, held, *writes, since=None, **page):
        body = {"epoch": "e", "from": start, "revision": revision, "reset": since is None, "writes": list(writes)}
        self.answer(tab, id, **{**body, "next": None, **proof(held), **page})

    def set(self, tab: str, revision: int, value: str, key: str = K, version: int = 1, **payload) -> None:
        """Record a set, pushed and acknowledged."""
        id = self.call(tab, "set", key=key, value=value, **payload)
        self.push(tab, write(revision, {key: value}))
        self.answer(tab, id, revision=revision, version=version)

    def get(self, tab: str, revision: int | None, value: str = "", key: str = K) -> None:
        id = self.call(tab, "get", key=key)
        if revision is None:
            self.refuse(tab, id, "not_found")
        else:
            self.answer(tab, id, entry={"key": key, "revision": revision, "value": value})

    def _add(self, tab: str, kind, **fields) -> None:
        self._t += 10**9
        log = self.logs[tab]
        self.logs[tab].events.append(kind(t=self._t, **{"connection": self._connection(log), **fields}))

    def _connection(self, log: TabLog) -> int:
        return log.events[-1].connection if log.events else 0


def write(revision: int, ops: dict[str, str | None]) -> dict:
    shown = [
        {"op": "delete", "key": key} if value is None else {"op": "set", "key": key, "value": value, "version": 1}
        for key, value in ops.items()
    ]
    return {"revision": revision, "at": "", "origin": {}, "ops": shown}


def proof(held: dict[str, int]) -> dict:
    return {"keys": len(held), "digest": sum(digest_of(*entry) for entry in held.items()) % 2**32}


def story() -> Story:
    """A tab that has set one key and was cut afterwards, and an auditor that finds the key."""
    told = Story()
    told.connect("a")
    told.sync("a", 0, {})
    told.set("a", 1, "alice:1", op_id="o1")
    return told


def audit(told: Story, revision: int, held: dict[str, int], *writes: dict) -> None:
    told.connect("z", auditor=True)
    told.sync("z", revision, held, *writes)


def violated(told: Story, **facts) -> set[str]:
    return {violation.guarantee for violation in check(told.history(**facts))}


def test_the_digest_is_that_of_the_protocol():
    assert digest_of("a", 1) == 293912779
    held = {"a": 1, "é/b": 2, "k": 2**40 + 7}
    assert sum(digest_of(*entry) for entry in held.items()) % 2**32 == 4037345603


def test_a_good_history_violates_nothing():
    told = story()
    told.connect("b")
    told.sync("b", 1, {K: 1}, write(1, {K: "alice:1"}))
    told.set("b", 2, "alice:2", OTHER)
    told.push("a", write(2, {OTHER: "alice:2"}))
    told.bookmark("a", 2, {K: 1, OTHER: 2})
    told.disconnect("a")
    batch = told.call("b", "batch", ops=[{"op": "set", "key": key, "value": "alice:3"} for key in GROUP], op_id="o3")
    told.push("b", write(3, dict.fromkeys(GROUP, "alice:3")))
    told.answer("b", batch, revision=3, results=[{"version": 1}] * 4)
    delete = told.call("b", "delete", key=K, op_id="o4")
    told.push("b", write(4, {K: None}))
    told.answer("b", delete, revision=4, existed=True)
    told.get("b", None)
    told.connect("a")
    now = {OTHER: 2, **dict.fromkeys(GROUP, 3)}
    told.sync("a", 4, now, write(3, dict.fromkeys(GROUP, "alice:3")), write(4, {K: None}), since=2)
    told.bookmark("a", 4, now)
    again = told.call("a", "set", key=K, value="alice:1", op_id="o1")
    told.answer("a", again, revision=1, version=1, replayed=True)
    going_back(told, 5, {K: "alice:1"}, revision=4)
    going_back(told, 6, {K: None}, revision=5)
    restore = told.call("b", "restore", key=K, revision=1, op_id="o7")
    told.push("b", write(7, {K: "alice:1"}))
    told.answer("b", restore, revision=7, version=3)
    moved = [f"alice/g1/{n}" for n in range(4)]
    move = told.call("b", "move", **{"from": "alice/g0/", "to": "alice/g1/"}, op_id="o8")
    told.push("b", write(8, {**dict.fromkeys(moved, "alice:3"), **dict.fromkeys(GROUP)}))
    told.answer("b", move, revision=8, count=4)
    audit(
        told,
        8,
        {OTHER: 2, K: 7, **dict.fromkeys(moved, 8)},
        write(2, {OTHER: "alice:2"}),
        write(7, {K: "alice:1"}),
        write(8, dict.fromkeys(moved, "alice:3")),
    )
    assert check(told.history()) == []


def going_back(told: Story, at: int, ops: dict[str, str | None], **payload) -> None:
    undo = told.call("b", "undo", **payload, op_id=f"u{at}")
    told.push("b", write(at, ops))
    told.answer("b", undo, revision=at, count=len(ops))


def reordered(told):
    told.push("a", write(3, {K: "alice:3"}))
    told.push("a", write(2, {K: "alice:2"}))


def disordered_within(told):
    told.push("a", write(3, {K: "alice:3"}), write(2, {K: "alice:2"}), start=1)


def effects_in_another_order_than_the_calls(told):
    first = told.call("a", "set", key=K, value="alice:2")
    second = told.call("a", "set", key=OTHER, value="alice:3")
    told.push("a", write(2, {OTHER: "alice:3"}), write(3, {K: "alice:2"}))
    told.answer("a", second, revision=2, version=1)
    told.answer("a", first, revision=3, version=2)


def pushed_twice(told):
    told.push("a", write(1, {K: "alice:1"}))


def two_contents_of_one_revision(told):
    told.connect("b")
    told.sync("b", 0, {})
    told.push("b", write(1, {K: "alice:other"}))


def left_out_between(told):
    told.push("a", write(3, {K: "alice:3"}))


def left_out_within(told):
    told.push("a", write(2, {K: "alice:2"}), write(4, {K: "alice:4"}))


def left_out_after_the_first_sync(told):
    told.connect("b")
    told.sync("b", 1, {K: 1}, write(1, {K: "alice:1"}))
    told.push("b", write(3, {K: "alice:3"}))


def left_out_at_the_end(told):
    told.bookmark("a", 2, {K: 2})


def acknowledged_before_it_is_pushed(told):
    told.answer("a", told.call("a", "set", key=K, value="alice:2"), revision=2, version=2)


def half_a_batch_pushed(told):
    batch = told.call("a", "batch", ops=[{"op": "set", "key": key, "value": "alice:2"} for key in (K, OTHER)])
    told.push("a", write(2, {K: "alice:2"}))
    told.answer("a", batch, revision=2, results=[{"version": 2}, {"version": 1}])


def half_a_group_synced(told):
    told.connect("b")
    told.sync("b", 2, {GROUP[0]: 2, K: 1}, write(1, {K: "alice:1"}), write(2, {GROUP[0]: "alice:2"}))


def half_a_group_listed(told):
    asked = told.call("a", "list", prefix="alice/g0/")
    entries = [{"key": key, "revision": 2, "value": "alice:2"} for key in GROUP[:3]]
    told.answer("a", asked, entries=entries, next=None, revision=2)


def a_key_of_somebody_else(told):
    told.push("a", write(2, {"charlie/k1": "charlie:2"}))


def a_sync_that_skips(told):
    told.set("a", 2, "alice:2", OTHER)
    told.disconnect("a")
    told.connect("b")
    told.sync("b", 1, {K: 1}, write(1, {K: "alice:1"}))
    told.disconnect("b")
    told.connect("b")
    told.sync("b", 2, {K: 1}, since=1)


def a_sync_from_elsewhere(told):
    told.disconnect("a")
    told.connect("a")
    asked = told.call("a", "sync", epoch="e", since=1)
    told.page("a", asked, 2, 3, {K: 1}, since=1)


def a_reset_without_need(told):
    told.disconnect("a")
    told.connect("a")
    told.sync("a", 1, {K: 1}, write(1, {K: "alice:1"}), since=1, reset=True, **{"from": 0})


def a_deleted_key_that_comes_back(told):
    delete = told.call("a", "delete", key=K)
    told.push("a", write(2, {K: None}))
    told.answer("a", delete, revision=2, existed=True)
    told.connect("b")
    told.sync("b", 2, {K: 1}, write(1, {K: "alice:1"}))


def a_wrong_digest(told):
    told.bookmark("a", 1, {K: 2})


def a_wrong_digest_in_a_sync(told):
    told.connect("b")
    told.sync("b", 1, {OTHER: 1}, write(1, {K: "alice:1"}))


def a_stale_read(told):
    told.set("a", 2, "alice:2")
    told.get("a", 1, "alice:1")


def a_read_that_goes_back(told):
    # the write is not acknowledged, but was read
    told.call("a", "set", key=K, value="alice:2")
    told.get("a", 2, "alice:2")
    told.get("a", 1, "alice:1")


def absent_without_a_delete(told):
    told.get("a", None)


def a_write_before_what_was_there_already(told):
    told.set("a", 2, "alice:2")
    told.disconnect("a")
    told.connect("a")
    told.sync("a", 2, {K: 2}, since=2)
    told.answer("a", told.call("a", "set", key="alice/k9", value="alice:9"), revision=1, version=1)


def a_condition_that_did_not_hold(told):
    told.set("a", 2, "alice:2")
    told.set("a", 3, "alice:3", if_revision=1)


def read_before_it_was_written(told):
    told.get("a", 2, "alice:2")
    told.set("a", 2, "alice:2")


def a_lost_write(told):
    told.set("a", 2, "alice:2", OTHER)
    audit(told, 1, {K: 1}, write(1, {K: "alice:1"}))


def a_lost_key(told):
    audit(told, 1, {})


def applied_twice(told):
    told.set("a", 2, "alice:1", version=2, op_id="o1")


def a_replay_with_another_answer(told):
    again = told.call("a", "set", key=K, value="alice:1", op_id="o1")
    told.answer("a", again, revision=1, version=7, replayed=True)


def an_op_id_for_two_writes(told):
    told.set("a", 2, "alice:2", OTHER, op_id="o1")


def a_refused_write_that_is_there(told):
    told.refuse("a", told.call("a", "set", key=OTHER, value="alice:2", op_id="o2"), "conflict", entry=None)
    told.push("a", write(2, {OTHER: "alice:2"}))


def a_write_that_nobody_asked_for(told):
    told.push("a", write(2, {OTHER: "alice:2"}))


def a_delete_that_nobody_asked_for(told):
    told.push("a", write(2, {K: None}))


def group_of_two_writes(told: Story) -> None:
    """Record the writes of a group at 2 and then at 3, by a tab `b`."""
    told.connect("b")
    told.sync("b", 1, {K: 1}, write(1, {K: "alice:1"}))
    for revision in (2, 3):
        value = f"alice:{revision}"
        batch = told.call("b", "batch", ops=[{"op": "set", "key": key, "value": value} for key in GROUP], op_id=value)
        told.push("b", write(revision, dict.fromkeys(GROUP, value)))
        told.answer("b", batch, revision=revision, results=[{"version": revision - 1}] * 4)


def half_an_undo(told):
    group_of_two_writes(told)
    undo = told.call("b", "undo", revision=3, op_id="u")
    told.push("b", write(4, dict.fromkeys(GROUP[:3], "alice:2")))
    told.answer("b", undo, revision=4, count=3)


def an_undo_that_puts_back_something_else(told):
    group_of_two_writes(told)
    going_back(told, 4, dict.fromkeys(GROUP), revision=3)


def an_undo_that_was_refused_and_is_there(told):
    group_of_two_writes(told)
    told.refuse("b", told.call("b", "undo", revision=3, op_id="u"), "conflict", entry=None)
    told.push("b", write(4, dict.fromkeys(GROUP, "alice:2")))


def a_copy_of_what_was_there_before(told):
    group_of_two_writes(told)
    copy = told.call("b", "copy", **{"from": "alice/g0/", "to": "alice/g1/"}, op_id="c")
    told.push("b", write(4, {f"alice/g1/{n}": "alice:2" for n in range(4)}))
    told.answer("b", copy, revision=4, count=4)


BAD = {
    "ordered": [reordered, disordered_within, effects_in_another_order_than_the_calls],
    "unique": [pushed_twice, two_contents_of_one_revision],
    "gapless": [
        left_out_between,
        left_out_within,
        left_out_after_the_first_sync,
        left_out_at_the_end,
        acknowledged_before_it_is_pushed,
    ],
    "atomic": [half_a_batch_pushed, half_a_group_synced, half_a_group_listed, half_an_undo],
    "isolated": [a_key_of_somebody_else],
    "resumable": [a_sync_that_skips, a_sync_from_elsewhere, a_reset_without_need, a_deleted_key_that_comes_back],
    "bookmarkable": [a_wrong_digest, a_wrong_digest_in_a_sync],
    "linearizable": [
        a_stale_read,
        a_read_that_goes_back,
        absent_without_a_delete,
        a_write_before_what_was_there_already,
        a_condition_that_did_not_hold,
        read_before_it_was_written,
    ],
    "durable": [a_lost_write, a_lost_key],
    "exactly_once": [
        applied_twice,
        a_replay_with_another_answer,
        an_op_id_for_two_writes,
        a_refused_write_that_is_there,
        a_write_that_nobody_asked_for,
        a_delete_that_nobody_asked_for,
        an_undo_that_puts_back_something_else,
        an_undo_that_was_refused_and_is_there,
        a_copy_of_what_was_there_before,
    ],
}


def test_every_guarantee_has_its_bad_histories():
    assert BAD.keys() == GUARANTEES.keys()


@pytest.mark.parametrize(
    ("guarantee", "happens"),
    [(guarantee, happens) for guarantee, stories in BAD.items() for happens in stories],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_bad_history_violates_its_guarantee(guarantee, happens):
    told = story()
    assert violated(deepcopy(told)) == set()
    happens(told)
    assert guarantee in violated(told)


def test_a_purge_allows_a_reset_for_a_tab_that_was_away_long():
    told = story()
    for revision in range(2, 20):
        told.set("a", revision, f"alice:{revision}", version=revision)
    told.connect("b")
    told.sync("b", 19, {K: 19}, write(19, {K: "alice:19"}), since=1, reset=True, **{"from": 0})
    assert "resumable" in violated(told)
    assert "resumable" not in violated(told, purge_keeps=10)


def test_an_unknown_outcome_may_take_effect_or_not():
    told = story()
    told.call("a", "set", key=K, value="alice:2")
    told.disconnect("a")
    told.connect("b")
    told.sync("b", 1, {K: 1}, write(1, {K: "alice:1"}))
    assert violated(told) == set()
    # late, but allowed
    told.push("b", write(2, {K: "alice:2"}))
    told.get("b", 2, "alice:2")
    assert violated(told) == set()


def test_a_read_concurrent_with_a_write_may_return_either_value():
    told = story()
    asked = told.call("a", "get", key=K)
    told.set("a", 2, "alice:2")
    before, after = deepcopy(told), told
    before.answer("a", asked, entry={"key": K, "revision": 1, "value": "alice:1"})
    after.answer("a", asked, entry={"key": K, "revision": 2, "value": "alice:2"})
    assert violated(before) == violated(after) == set()


def test_a_replica_buffers_pushes_until_its_sync_is_complete():
    replica = Replica()
    assert replica.begin_sync() == {}
    page = {"epoch": "e", "reset": True, "writes": [write(1, {K: "1"})], "from": 0, "revision": 1, "next": "more"}
    assert replica.on_page(page) == {"next": "more"}
    assert replica.on_change({"epoch": "e", "from": 2, "revision": 3, "writes": [write(3, {K: "3"})]})
    assert replica.entries == {}
    last = {**page, "from": 1, "revision": 2, "writes": [write(2, {OTHER: "2"})], "next": None, **proof({K: 1})}
    assert replica.on_page(last) is None
    assert {key: held.revision for key, held in replica.entries.items()} == {K: 3, OTHER: 2}
    assert replica.revision == 3
