"""Operations on a prefix as one write: compared with a dict, and at their limits."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_kv.caller import Caller
from realtime_kv.core.bulk import prefix_operations
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.retention.expiry import Expiry
from realtime_kv.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidKey,
    NotFound,
    OpIdReused,
    QuotaExceeded,
    Refusal,
    TooLarge,
    Unauthenticated,
)
from tests.core.services import Person, Services, Watcher

PLACES = ["a/", "a/b/", "a/b/b/", "b/", "é/", "/", "a"]
KEYS = [place + name for place in PLACES for name in ("", "x", "b/x")] + ["b", "c"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(KEYS), st.integers(0, 9), st.sampled_from([None, 5, 50])),
        st.tuples(st.just("delete_prefix"), st.sampled_from([*PLACES, "", "nothing/"]), st.booleans()),
        st.tuples(
            st.sampled_from(["move", "copy"]), st.sampled_from(PLACES + KEYS), st.sampled_from(PLACES + KEYS),
            st.booleans(),
        ),
        st.sampled_from([("later",), ("crash",), ("read",)]),
    ),
    max_size=40,
)  # fmt: skip

# a key's value, expiry time, revision of its last write, and version
Stock = dict[str, tuple[int, float, int, int]]


class Model:
    """A dict, a counter and a clock in seconds."""

    def __init__(self) -> None:
        self.entries: Stock = {}
        self.revision = 0
        self.now = 0.0

    def live(self) -> Stock:
        return {key: entry for key, entry in self.entries.items() if entry[1] > self.now}

    def set(self, key: str, value: int, ttl: int | None) -> None:
        self.revision += 1
        before = self.live().get(key)
        until = float("inf") if ttl is None else self.now + ttl
        self.entries[key] = (value, until, self.revision, before[3] + 1 if before else 1)

    def delete_prefix(self, prefix: str) -> int:
        found = [key for key in self.live() if key.startswith(prefix)]
        return self._become({key: entry for key, entry in self.entries.items() if key not in found}, len(found))

    def place(self, verb: str, from_: str, to: str) -> int:
        """Move or copy, and return the number of keys, or raise the error that the store must raise."""
        folder, live = from_.endswith("/"), self.live()
        if folder != to.endswith("/") or from_ == to or (verb == "move" and folder and to.startswith(from_)):
            raise BadRequest("")
        found = {key: live[key] for key in live if (key.startswith(from_) if folder else key == from_)}
        if not folder and not found:
            raise NotFound("")
        made = {to + key[len(from_) :]: entry for key, entry in found.items()}
        if made.keys() & live.keys():
            raise Conflict("", entry=None)
        kept = {key: entry for key, entry in self.entries.items() if verb == "copy" or key not in found}
        anew = {key: (value, until, self.revision + 1, 1) for key, (value, until, _, _) in made.items()}
        return self._become(kept | anew, len(found))

    def _become(self, entries: Stock, count: int) -> int:
        self.revision += bool(count)
        self.entries = entries
        return count

    def is_shown_by(self, alice: Person) -> None:
        listed = alice.list(limit=1000)
        shown = {e["key"]: (e["value"], e["revision"], e["version"]) for e in listed["entries"]}
        assert shown == {key: (value, *rest) for key, (value, _, *rest) in self.live().items()}
        assert listed["revision"] == self.revision
        lasting = {e["key"] for e in listed["entries"] if e["expires_at"] is None}
        assert lasting == {key for key, entry in self.live().items() if entry[1] == float("inf")}


@settings(max_examples=80)
@given(history=steps)
def test_prefix_verbs_behave_like_a_dict_model(harness, tmp_path_factory, history):
    services = Services(harness.create(tmp_path_factory.mktemp("services")))
    alice, model = Person(services.open(), services.add_user("alice")), Model()
    for step in history:
        match step:
            case ("set", key, value, ttl):
                alice.set(key, value, ttl=ttl)
                model.set(key, value, ttl)
            case ("delete_prefix", prefix, dry_run):
                before = model.entries, model.revision
                count = model.delete_prefix(prefix)
                if dry_run:
                    model.entries, model.revision = before
                answer = alice.delete_prefix(prefix, dry_run=dry_run)
                assert answer == {"ok": True, "revision": model.revision, "count": count}
            case (("move" | "copy") as verb, from_, to, dry_run):
                before = model.entries, model.revision
                call = alice.move if verb == "move" else alice.copy
                try:
                    count = model.place(verb, from_, to)
                except Refusal as refusal:
                    with pytest.raises(type(refusal)):
                        call(from_, to, dry_run=dry_run)
                else:
                    if dry_run:
                        model.entries, model.revision = before
                    answer = call(from_, to, dry_run=dry_run)
                    assert answer == {"ok": True, "revision": model.revision, "count": count}
            case ("later",):
                services.clock.now += 20_000
                model.now += 20
            case ("crash",):
                alice = Person(services.crash(alice.store), alice.caller)
            case ("read",):
                model.is_shown_by(alice)
    model.is_shown_by(alice)
    services.close()


def test_folder_move_is_one_write_that_creates_new_entries_and_keeps_expiry(services, alice, store):
    watcher = Watcher(store)
    alice.set("a/x", 1, ttl=60)
    alice.set("a/x", 2)
    alice.set("a/y", {"é": None})
    expires_at = alice.get("a/x")["expires_at"]
    assert alice.move("a/", "b/") == {"ok": True, "revision": 4, "count": 2}
    (write,) = watcher.changes[-1]["writes"]
    assert write["ops"] == [
        {"op": "set", "key": "b/x", "value": 2, "version": 1, "expires_at": expires_at},
        {"op": "set", "key": "b/y", "value": {"é": None}, "version": 1},
        {"op": "delete", "key": "a/x"},
        {"op": "delete", "key": "a/y"},
    ]
    entry = alice.get("b/x")
    assert (entry["created_revision"], entry["version"], entry["expires_at"]) == (4, 1, expires_at)
    with pytest.raises(NotFound) as trashed:
        alice.get("a/x")
    assert "deleted_at" in trashed.value.extra
    # and it does expire under the new key
    services.clock.now += 60_000
    Expiry(store).look()
    assert [entry["key"] for entry in alice.list()["entries"]] == ["b/y"]


def test_delete_prefix_takes_any_prefix_and_move_takes_a_folder(alice):
    for key in ("ab", "abc", "a/", "a/x", "b"):
        alice.set(key, 1)
    assert alice.delete_prefix("ab", dry_run=True) == {"ok": True, "revision": 5, "count": 2}
    assert alice.delete_prefix("ab")["count"] == 2
    assert alice.move("a/", "c/")["count"] == 2
    assert [entry["key"] for entry in alice.list()["entries"]] == ["b", "c/", "c/x"]
    assert alice.delete_prefix("")["count"] == 3


def test_move_and_copy_never_overwrite_an_existing_key(alice):
    alice.set("a/x", 1)
    alice.set("a/b/x", 2)
    alice.set("a/b/b/x", 3)
    alice.set("c", 4)
    for call, from_, to, taken in [
        # a/b/b/x would replace a/b/x, although a/b/x is moved as well
        (alice.move, "a/b/b/", "a/b/", "a/b/x"),
        (alice.move, "a/b/", "a/", "a/b/x"),
        (alice.move, "a/b/b/", "a/", "a/x"),
        (alice.copy, "a/", "a/b/", "a/b/b/x"),
        (alice.move, "c", "a/x", "a/x"),
        (alice.copy, "c", "a/x", "a/x"),
    ]:
        for dry_run in (True, False):
            with pytest.raises(Conflict) as conflict:
                call(from_, to, dry_run=dry_run)
            shown = msgspec.json.decode(conflict.value.extra["entry"])
            assert shown == alice.get(taken)
    assert alice.sync()["revision"] == 4


def test_folder_can_be_copied_into_itself_but_not_moved(alice):
    alice.set("a/x", 1)
    alice.set("a/y/z", 2)
    assert alice.copy("a/", "a/old/")["count"] == 2
    assert [e["key"] for e in alice.list()["entries"]] == ["a/old/x", "a/old/y/z", "a/x", "a/y/z"]
    with pytest.raises(BadRequest) as refused:
        alice.move("a/", "a/older/")
    assert refused.value.extra == {"field": "to"}
    assert alice.sync()["keys"] == 4


@pytest.mark.parametrize(
    ("from_", "to", "refusal"),
    [
        ("a/", "b", BadRequest),
        ("a", "b/", BadRequest),
        ("a", "a", BadRequest),
        ("a/", "a/", BadRequest),
        ("", "b", InvalidKey),
        ("a", "", InvalidKey),
        ("a\n", "b", InvalidKey),
        ("a", "b" * 513, InvalidKey),
        ("absent", "b", NotFound),
        ("gone", "b", NotFound),
        ("a/", "é" * 255 + "/", InvalidKey),
    ],
)
def test_invalid_move_or_copy_is_refused_and_changes_nothing(alice, from_, to, refusal):
    for key in ("a", "a/bc", "gone"):
        alice.set(key, 1)
    alice.delete("gone")
    before = alice.sync()
    for call in (alice.move, alice.copy):
        for dry_run in (True, False):
            with pytest.raises(refusal) as refused:
                call(from_, to, dry_run=dry_run)
            assert ("deleted_at" in refused.value.extra) == (from_ == "gone")
    assert alice.sync() == before


def test_prefix_write_is_limited_to_1000_keys(alice, store):
    for start in range(0, 1000, 100):
        store.batch(alice.caller, [store.set_op(f"a/{n:04}", b"1") for n in range(start, start + 100)])
    assert alice.copy("a/", "b/") == {"ok": True, "revision": 11, "count": 1000}
    alice.set("a/one more", 1)
    for call in (lambda: alice.copy("a/", "c/"), lambda: alice.move("a/", "c/"), lambda: alice.delete_prefix("a/")):
        with pytest.raises(TooLarge) as refused:
            call()
        assert refused.value.extra == {"limit": 1000, "actual": 1001}
    with pytest.raises(TooLarge) as refused:
        alice.delete_prefix("", dry_run=True)
    assert refused.value.extra == {"limit": 1000, "actual": 2001}
    assert alice.delete_prefix("b/")["count"] == 1000
    assert (alice.sync()["revision"], alice.sync()["keys"]) == (13, 1001)


def test_prefix_write_is_limited_in_total_bytes(alice, monkeypatch):
    monkeypatch.setattr(prefix_operations, "MAX_BYTES", 2000)
    alice.set("a/1", "x" * 995)
    alice.set("a/2", "x" * 995)
    assert alice.move("a/", "b/")["count"] == 2
    alice.set("b/3", 1)
    with pytest.raises(TooLarge) as refused:
        alice.delete_prefix("b/")
    assert refused.value.extra == {"limit": 2000, "actual": 2004}


def test_a_copy_is_held_to_the_quota(services):
    alice = Person(services.open(quota=Quota(keys=3, bytes=1000)), services.add_user("alice"))
    alice.set("a/x", 1)
    alice.set("a/y", 2)
    for dry_run in (True, False):
        with pytest.raises(QuotaExceeded):
            alice.copy("a/", "b/", dry_run=dry_run)
    assert alice.move("a/", "b/")["count"] == 2
    assert alice.copy("b/x", "c")["count"] == 1


def test_retried_op_id_replays_the_answer_even_if_nothing_is_left_to_move(alice):
    alice.set("a/x", 1)
    first = alice.move("a/", "b/", op_id="m")
    assert alice.move("a/", "b/", op_id="m") == {**first, "replayed": True}
    nothing = alice.delete_prefix("nothing/", op_id="d")
    assert nothing == {"ok": True, "revision": 2, "count": 0}
    alice.set("nothing/x", 1)
    assert alice.delete_prefix("nothing/", op_id="d") == {**nothing, "replayed": True}
    for again in (
        lambda: alice.move("a/", "c/", op_id="m"),
        lambda: alice.copy("a/", "b/", op_id="m"),
        lambda: alice.delete_prefix("a/", op_id="m"),
    ):
        with pytest.raises(OpIdReused):
            again()


def test_a_dry_run_leaves_no_receipt(alice):
    alice.set("a/x", 1)
    assert alice.move("a/", "b/", dry_run=True, op_id="m") == {"ok": True, "revision": 1, "count": 1}
    assert alice.move("a/", "b/", op_id="m") == {"ok": True, "revision": 2, "count": 1}
    # but an invalid op_id is refused in a dry run as well
    for dry in (
        lambda: alice.delete_prefix("b/", dry_run=True, op_id="é"),
        lambda: alice.undo(2, dry_run=True, op_id="é"),
    ):
        with pytest.raises(BadRequest):
            dry()


def test_prefix_verbs_of_a_limited_token_stay_inside_its_prefix(services, alice, store):
    alice.set("app/x", 1)
    alice.set("apple", 1)
    alice.set("other/x", 1)
    caller = alice.caller
    limited = Person(
        store, Caller(caller.user_id, "alice", False, 1, caller.session_id, "s", "T", "http", prefix="app/")
    )
    before = alice.sync()
    for call in (
        lambda: limited.delete_prefix("app"),
        lambda: limited.delete_prefix(""),
        lambda: limited.delete_prefix("other/"),
        lambda: limited.move("app/", "other/"),
        lambda: limited.move("other/", "app/there/"),
        lambda: limited.copy("other/x", "app/z"),
        lambda: limited.copy("app/x", "z"),
        lambda: limited.move("nothing/", "app/there/", dry_run=True),
    ):
        with pytest.raises(Forbidden):
            call()
    assert alice.sync() == before
    assert limited.copy("app/", "app/old/")["count"] == 1
    assert limited.delete_prefix("app/")["count"] == 2
    reader = Person(store, Caller(caller.user_id, "alice", False, 1, caller.session_id, "s", "T", "http", scope="read"))
    with pytest.raises(Forbidden):
        reader.delete_prefix("other/", dry_run=True)


def test_ended_session_gets_unauthenticated_for_every_prefix_verb(alice, store):
    caller = alice.caller
    ended = Person(store, Caller(caller.user_id, "alice", False, 1, 99, "s", "T", "http"))
    alice.set("a/x", 1)
    for call in (lambda: ended.move("absent", "b"), lambda: ended.copy("a/", "b/"), lambda: ended.delete_prefix("a/")):
        with pytest.raises(Unauthenticated):
            call()


def test_prefix_verbs_include_unflushed_writes(alice):
    """The write is only in the log so far."""
    for n in range(3):
        alice.set(f"a/{n}", n)
        assert alice.move(f"a/{n}", f"b/{n}")["count"] == 1
    alice.set("a/new", 1)
    alice.delete("b/0")
    assert alice.copy("a/", "b/")["count"] == 1
    assert alice.delete_prefix("b/")["count"] == 3
