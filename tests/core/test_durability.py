"""A crash at any moment loses no acknowledged write, and a failed commit leaves nothing of its own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from realtime_kv.core.engine import committer, memtable
from realtime_kv.core.messages import digest_of
from realtime_kv.errors import Conflict, NotFound, Unavailable
from tests.core.services import Person, Services

KEYS = ["a", "b", "c/é", "d"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(KEYS), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS)),
        st.tuples(st.just("batch"), st.lists(st.sampled_from(KEYS), min_size=1, unique=True), st.integers(0, 9)),
        st.sampled_from([("crash",), ("stop",), ("read",), ("job",), ("fail",)]),
    ),
    max_size=40,
)


class Copy:
    """The expected content of the space: key → (value, revision, version)."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, int, int]] = {}
        self.revision = 0

    def write(self, ops: list[tuple[str, int | None]]) -> None:
        after, changed = dict(self.entries), False
        for key, value in ops:
            if value is not None:
                after[key] = (value, self.revision + 1, after.get(key, (0, 0, 0))[2] + 1)
                changed = True
            else:
                changed = after.pop(key, None) is not None or changed
        if changed:
            self.entries, self.revision = after, self.revision + 1

    def is_shown_by(self, alice: Person) -> None:
        synced = alice.sync()
        listed = alice.list()
        shown = {e["key"]: (e["value"], e["revision"], e["version"]) for e in listed["entries"]}
        assert shown == self.entries
        assert listed["revision"] == synced["revision"] == self.revision
        assert synced["keys"] == len(self.entries)
        assert synced["digest"] == sum(digest_of(key, e[1]) for key, e in self.entries.items()) % 2**32


@settings(max_examples=40)
@given(history=steps, backlog=st.sampled_from([1, 3, 100]), cached=st.sampled_from([0, 4, 100]))
def test_space_matches_its_writes_across_crashes_restarts_and_failed_commits(
    harness, tmp_path_factory, history, backlog, cached
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committer, "BACKLOG", backlog)
        patch.setattr(memtable, "MAX_CACHED", cached)
        services = Services(harness.create(tmp_path_factory.mktemp("services")))
        alice = Person(services.open(), services.add_user("alice"))
        copy = Copy()
        for step in history:
            match step:
                case ("set", key, value):
                    alice.set(key, value)
                    copy.write([(key, value)])
                case ("delete", key):
                    alice.delete(key)
                    copy.write([(key, None)])
                case ("batch", keys, value):
                    ops = [(key, value if n % 2 else None) for n, key in enumerate(keys)]
                    alice.batch(*(("delete", key) if v is None else ("set", key, v) for key, v in ops))
                    copy.write(ops)
                case ("crash",):
                    alice = Person(services.crash(alice.store), alice.caller)
                case ("stop",):
                    alice.store.stop()
                    alice = Person(services.open(), alice.caller)
                case ("read",):
                    copy.is_shown_by(alice)
                case ("job",):
                    alice.store.writer.run_in_transaction(lambda _: None).result()
                case ("fail",):
                    with services.database.refuse_writes(alice.store), pytest.raises(Unavailable):
                        alice.set("a", "never")
            for key in KEYS:
                if key in copy.entries:
                    entry = alice.get(key)
                    assert (entry["value"], entry["revision"], entry["version"]) == copy.entries[key]
                else:
                    with pytest.raises(NotFound):
                        alice.get(key)
        copy.is_shown_by(alice)
        services.close()


def test_receipt_of_a_no_op_write_survives_a_crash(services):
    alice = Person(services.open(), services.add_user("alice"))
    answer = alice.delete("absent", op_id="x")
    alice.set("absent", 1)
    again = Person(services.crash(alice.store), alice.caller)
    assert again.delete("absent", op_id="x") == {**answer, "replayed": True}
    assert again.get("absent")["value"] == 1


def test_timestamps_origins_and_trash_survive_a_crash_unchanged(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("kept", "é")
    alice.set("kept", "é2")
    alice.set("gone", "its last value")
    alice.delete("gone")
    before = alice.get("kept")
    with pytest.raises(NotFound) as trashed:
        alice.get("gone")
    again = Person(services.crash(alice.store), alice.caller)
    assert again.get("kept") == before == again.list()["entries"][0]
    with pytest.raises(NotFound) as trashed_again:
        again.get("gone")
    assert trashed_again.value.extra == trashed.value.extra
    assert again.restore("gone")["ok"] and again.get("gone")["value"] == "its last value"
    assert again.history(key="kept")["writes"][0]["origin"]["label"] == "A test"


def test_conflict_returns_the_current_entry_from_the_memtable_or_the_table(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", "in the memtable")
    with pytest.raises(Conflict) as fresh:
        alice.set("k", 2, if_revision=7)
    assert bytes(fresh.value.extra["entry"].value) == b'"in the memtable"'
    alice.list()
    with pytest.raises(Conflict) as flushed:
        alice.set("k", 2, if_revision=7)
    assert bytes(flushed.value.extra["entry"].value) == b'"in the memtable"'
    alice.delete("k")
    with pytest.raises(Conflict) as deleted:
        alice.set("k", 2, if_revision=7)
    assert deleted.value.extra["entry"] is None


def test_job_sees_flushed_tables_and_its_failure_undoes_no_write(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", 1)

    def look_and_fail(db):
        assert db.execute(text("SELECT value FROM entries")).scalars().all() == ["1"]
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        alice.store.writer.run_in_transaction(look_and_fail).result()
    assert alice.get("k")["value"] == 1
    assert alice.set("k", 2) == {"ok": True, "revision": 2, "version": 2}
    assert [entry["value"] for entry in alice.list()["entries"]] == [2]


def test_unflushed_delete_takes_precedence_over_the_stale_table_row(services):
    alice = Person(services.open(), services.add_user("alice"))
    alice.set("k", 1)
    alice.list()
    alice.delete("k")
    assert alice.set("k", 2, if_revision=0) == {"ok": True, "revision": 3, "version": 1}
